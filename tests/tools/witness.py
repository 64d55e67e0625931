# SPDX-License-Identifier: Apache-2.0
"""witness - how long this machine itself stood still: what a test that judges times must not blame on the gateway.

    with Witness(folder) as witness:
        ...
        assert late_ms - witness.held_ms(begin_ms, end_ms) <= limit_ms

A process of its own wants what a gateway wants, every 20 ms: to be woken, and to have a line safely on the disk that
the test uses. What takes much longer than that takes so long for anybody; a test that fails all the same failed by the
gateway. Times are those of the wall clock, ms since 1970, as in the ledgers.
"""

import bisect
import os
import sys
import time

from proc import Child, wait_until

BEAT_MS = 20
STALL_MS = 100  # from beat to beat; anything less is within the limits of every test


def now_ms():
    return time.time_ns() // 1000000


class Witness:
    """In a folder on the disk that matters. Leaving it ends its process."""

    def __init__(self, folder):
        self._path = os.path.join(str(folder), "witness")
        self._beats = []  # (woken, safely on the disk)
        self._woken = None  # the last one, of which the file does not tell yet when it was safe
        self._read_so_far = 0
        self._child = Child([sys.executable, os.path.abspath(__file__), self._path],
                            os.path.join(str(folder), "witness.log"))

    def _read(self):
        """Each line brings its own waking, and when the one before was safe."""
        with open(self._path, "rb") as file:
            file.seek(self._read_so_far)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read_so_far += len(line)
                woken, safe = map(int, line.split())
                if self._woken is not None:
                    self._beats.append((self._woken, safe))
                self._woken = woken

    def _until(self, end_ms):
        def look():
            self._read()
            return self._beats and self._beats[-1][0] > end_ms

        if not self._beats or self._beats[-1][0] <= end_ms:
            wait_until(look, 60, "the witness of this machine")
        return self._beats

    def held_ms(self, begin_ms=None, end_ms=None):
        """How much of the time between these two moments processor or disk stood still. Without them: from the beginning
        of the watch, which is the earliest that can be told of, until now."""
        end_ms = now_ms() if end_ms is None else end_ms
        beats = self._until(end_ms)
        begin_ms = beats[0][0] if begin_ms is None else max(begin_ms, beats[0][0])
        first = bisect.bisect_right(beats, (begin_ms, begin_ms)) - 1
        here = beats[max(0, first):bisect.bisect_left(beats, (end_ms, 0)) + 1]
        return sum(max(0, min(b, end_ms) - max(a, begin_ms) - BEAT_MS)
                   for (a, _), (b, _) in zip(here, here[1:]) if b - a >= STALL_MS)

    def longest_sleep_ms(self):
        """The most by which the processor alone was late so far."""
        beats = self._until(now_ms())
        return max(woken - safe - BEAT_MS for (_, safe), (woken, _) in zip(beats, beats[1:]))

    def freeze(self):
        """Stops it in its tracks: to it that is a machine that stands still."""
        self._child.freeze()

    def thaw(self):
        self._child.thaw()

    def __enter__(self):
        self._child.launch()
        wait_until(lambda: os.path.exists(self._path), 30, "the witness of this machine")
        self._until(0)
        return self

    def __exit__(self, *_):
        self._child.kill()


def main(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    safe = now_ms()
    while True:
        os.write(fd, b"%d %d\n" % (now_ms(), safe))
        os.fdatasync(fd)
        safe = now_ms()
        time.sleep(BEAT_MS / 1000)


if __name__ == "__main__":
    main(sys.argv[1])
