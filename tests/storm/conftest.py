# SPDX-License-Identifier: Apache-2.0
"""Lets the tests of this folder import the simulator and the shared tools."""

import os
import sys

sys.dont_write_bytecode = True  # a test run leaves nothing behind
_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for _folder in ("sim", "tools"):
    sys.path.insert(0, os.path.join(_TESTS, _folder))

from fixtures import folder, stage  # noqa: E402,F401
