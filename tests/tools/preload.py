# SPDX-License-Identifier: Apache-2.0
"""preload - the clock, the disk and the name server as one process sees them, in the hand of a test.

Each part is a library that is loaded before the program (tests/faults/clock_step.c, disk_error.c, resolver.c) and the
environment that it reads. A sanitizer's runtime must be loaded before either: program() sees to it.
"""

import os
import re
import struct
import subprocess
from contextlib import suppress


def program(binary, parts):
    """How to start it with these parts: a command line."""
    if not parts:
        return [binary]
    libraries = [os.path.join(os.path.dirname(binary), "faults", part.library) for part in parts]
    for path in libraries:
        assert os.access(path, os.R_OK), "%s: not built; run `make sims` first" % path
    return ["env", "LD_PRELOAD=" + ":".join(sanitizer(binary) + libraries), binary]


def sanitizer(binary):
    """The runtime that an asan or tsan build is linked with, as a list of none or one."""
    linked = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    return re.findall(r"=> (\S*/lib[at]san\.so\S*)", linked)


class Clock:
    """The wall clock. It can be stepped; what waits for monotonic time does not notice. What the kernel says of it is
    what this machine's kernel says, until a test says otherwise: lose(), set()."""

    library = "clock_step.so"

    def __init__(self, path):
        self.env = {"FG_CLOCK_STEP": path}
        with open(path, "wb") as file:
            file.write(bytes(16))
            file.flush()
        self._file = open(path, "r+b", buffering=0)  # pylint: disable=consider-using-with

    def step(self, ms):
        """How far it is off from now on."""
        self._put(0, ms)

    def lose(self, ms):
        """A box that was switched on without a network: it is so far off, and nobody has set it."""
        self.step(ms)
        self._put(8, 1)

    def set(self):
        """A time server was reached. The clock is right first, and is said to be right then."""
        self.step(0)
        self._put(8, 2)

    def _put(self, place, number):
        self._file.seek(place)
        self._file.write(struct.pack("=q", number))

    def close(self):
        self._file.close()


class DiskError:
    """The disk that a folder is on. It can be read; everything else it may answer with an error."""

    library = "disk_error.so"

    def __init__(self, path, folder):
        self.env = {"FG_DISK_ERROR": path, "FG_DISK_FOLDER": folder}
        with open(path, "wb") as file:
            file.write(bytes(16))
            file.flush()
        self._file = open(path, "r+b", buffering=0)  # pylint: disable=consider-using-with

    def answer(self, code):
        """With this errno, from now on; 0: it works again."""
        self._file.seek(0)
        self._file.write(struct.pack("=q", code))

    def refused(self):
        """How often so far."""
        self._file.seek(8)
        return struct.unpack("=q", self._file.read(8))[0]

    def close(self):
        self._file.close()


class Resolver:
    """The name server. Names it knows are 127.0.0.1; for each it can hang."""

    library = "resolver.so"

    def __init__(self, folder):
        os.makedirs(folder)
        self.env = {"FG_RESOLVER": folder}
        self._folder = folder

    def know(self, name):
        self._touch(name)

    def hang(self, name):
        """No answer comes any more, to nobody who asks from now on."""
        self._touch(name + ".hangs")

    def answer_once(self, name):
        """It hangs from the second question on."""
        self.know(name)
        self._touch(name + ".once")

    def answer(self, name):
        """Also to those who have been waiting."""
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self._folder, name + ".hangs"))

    def waited(self, name):
        """How many questions found it hanging so far."""
        try:
            return os.path.getsize(os.path.join(self._folder, name + ".waited"))
        except FileNotFoundError:
            return 0

    def _touch(self, name):
        with open(os.path.join(self._folder, name), "wb"):
            pass
