# SPDX-License-Identifier: Apache-2.0
"""environment - what a variable of the environment asks of a test or benchmark."""

import os
import sys


def whole(variable, otherwise):
    """Its number, 1 or more; what is none ends the program with 64 and says so."""
    text = os.environ.get(variable, "") or str(otherwise)
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        print("%s=%s: write a whole number, 1 or more" % (variable, text), file=sys.stderr)
        sys.exit(64)
    return int(text)
