# SPDX-License-Identifier: Apache-2.0
"""pymodbus_door - imports pymodbus although a part of it that is not used here is not installed.

Debian's pymodbus imports serial_asyncio at the top for its asyncio serial classes, but only recommends the
package. The threaded serial client and the TCP server, which the tests use, never call it.
"""

import sys
import types


def _refuse(*_, **__):
    raise RuntimeError("python3-serial-asyncio is not installed")


try:
    import serial_asyncio  # noqa: F401
except ImportError:
    _empty = types.ModuleType("serial_asyncio")
    _empty.create_serial_connection = _refuse
    sys.modules["serial_asyncio"] = _empty
