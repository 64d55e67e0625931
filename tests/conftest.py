# SPDX-License-Identifier: Apache-2.0
"""For every folder of tests: what is skipped is said, see tools/skips.py."""

import os
import sys

sys.dont_write_bytecode = True  # a test run leaves nothing behind
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))

from skips import pytest_runtest_makereport, pytest_terminal_summary  # noqa: E402,F401
