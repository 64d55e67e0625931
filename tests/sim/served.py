# SPDX-License-Identifier: Apache-2.0
"""served - the simulator's own book: every answer it gave, in order.

Threads: every method may be called from any thread. An entry is written to the file when its fate is
known (sent or not), and never changes afterwards.
"""

import json
import threading
import time
from dataclasses import asdict, dataclass
from typing import List, Optional


def wall_ms():
    return time.time_ns() // 1000000


@dataclass
class Answer:
    """One answer. `fault` says what was done to it on purpose; a good answer has none and was written."""

    number: int
    ts: int  # wall clock, ms, just before the answer went out
    bus: str
    device: str
    unit: int
    table: str
    address: int
    words: List[int]
    exception: Optional[int] = None
    fault: Optional[str] = None
    written: bool = False

    @property
    def good(self):
        return self.written and self.fault is None and self.exception is None


class ServedLedger:
    """All answers of a farm. sealed: nobody gets an answer any more."""

    def __init__(self, path=None):
        self._changed = threading.Condition()  # over an RLock: predicates may call back
        self._answers = []
        self._functions = {}
        self._sealed = False
        self._file = open(path, "a", encoding="utf-8") if path else None

    def admit(self, ts=None, **what):
        """Books an answer that is about to be given; None when the book is sealed: then say nothing."""
        with self._changed:
            if self._sealed:
                return None
            answer = Answer(number=len(self._answers), ts=ts or wall_ms(), **what)
            self._answers.append(answer)
            return answer

    def settle(self, answer, written):
        """The answer was handed to the wire, or could not be."""
        with self._changed:
            answer.written = written
            if self._file:
                self._file.write(json.dumps(asdict(answer)) + "\n")
                self._file.flush()
            self._changed.notify_all()

    def note_request(self, device, function):
        """Counts questions by function code, so that a test can say what was never asked (a write)."""
        with self._changed:
            key = (device, function)
            self._functions[key] = self._functions.get(key, 0) + 1
            self._changed.notify_all()

    def seal(self):
        """From here on no answer is given. Returns the wall time in ms."""
        with self._changed:
            self._sealed = True
            return wall_ms()

    def unseal(self):
        with self._changed:
            self._sealed = False

    def answers(self, device=None):
        """A copy, in the order they were given."""
        with self._changed:
            return [a for a in self._answers if device is None or a.device == device]

    def good(self, device=None):
        """The answers a healthy master has received whole."""
        return [a for a in self.answers(device) if a.good]

    def count(self, device=None):
        return len(self.good(device))

    def requests(self, device=None):
        """{function code: questions}"""
        with self._changed:
            counts = {}
            for (name, function), n in self._functions.items():
                if device in (None, name):
                    counts[function] = counts.get(function, 0) + n
            return counts

    def wait_for(self, predicate, seconds, what="an answer"):
        """Waits until predicate(self) is true; AssertionError after the deadline."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not predicate(self):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError("no %s within %.1f s" % (what, seconds))
                self._changed.wait(left)

    def close(self):
        with self._changed:
            if self._file:
                self._file.close()
                self._file = None
