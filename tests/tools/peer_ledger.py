# SPDX-License-Identifier: Apache-2.0
"""peer_ledger - what the simulator's book of answers says about what an outside subscriber received.

Every register tells where it comes from (tests/sim/unit_table.h): five bits of its address, three of its unit, eight of the
number of the answer. A published value that tells of another register or unit than it is published for is wrong. One whose
answer had left long before the time that it is published with is stale: it was lying about, and was taken for the answer to
a later question.
"""

from collections import defaultdict

NEAR_MS = 15000  # a number of an answer comes again after 256 answers of a unit; a reading's own time says which it is


def word_source(word):
    """(address, unit, number of the answer), each as many bits as the word has of it."""
    return word >> 11 & 31, word >> 8 & 7, word & 255


class Book:
    """The answers that the simulator gave, each register of each a reading."""

    def __init__(self, simulator):
        self._at = defaultdict(list)
        self.served = []  # (ts, key), key = (number of the answer, register)
        self.late = set()
        self.questions = defaultdict(list)  # (unit, first register): times of the answers
        for answer in simulator.answers():
            if answer.exception or answer.fault in ("garbled", "dropped", "collided"):
                continue
            unit = int(answer.device[1:])
            self.questions[unit, answer.address].append(answer.ts)
            for i, word in enumerate(answer.words):
                key = (answer.number, answer.address + i)
                self._at[unit, answer.address + i, word].append((answer.ts, key))
                self.served.append((answer.ts, key))
                if answer.fault == "late":
                    self.late.add(key)

    def find(self, unit, register, word, ts):
        """(when it left, key) of the answer with this word nearest to a time; None when there is none near."""
        near = min(self._at.get((unit, register, word), ()), key=lambda entry: abs(entry[0] - ts), default=None)
        return near if near and abs(near[0] - ts) <= NEAR_MS else None


class Verdict:
    """What of a window [begin, end) of time was received, judged against a book."""

    def __init__(self, book, messages, readings, begin_ms, end_ms, stale_ms):
        self.wrong = self.stale = 0
        got = {}
        for message in messages:
            for unit, register, word, ts in readings(message):
                address, its_unit, _ = word_source(word)
                if (address, its_unit) != (register & 31, unit & 7):
                    self.wrong += begin_ms <= ts < end_ms
                    continue
                found = book.find(unit, register, word, ts)
                if not found or found[1] in got:
                    continue
                if ts - found[0] > stale_ms:
                    self.stale += begin_ms <= ts < end_ms
                else:
                    got[found[1]] = message.ms - ts
        window = {key for ts, key in book.served if begin_ms <= ts < end_ms}
        in_time = window - book.late
        self.good = len(window & got.keys())  # right and fresh, whenever it was answered
        self.served = len(in_time)            # what a poller had in time
        self.delivered = len(in_time & got.keys())
        self.lost = self.served - self.delivered
        self.ages = sorted(got[key] for key in window & got.keys())
        self._window = begin_ms, end_ms
        self._asked = [[t for t in times if begin_ms <= t < end_ms] for times in book.questions.values()]
        self.gaps = sorted(b - a for times in self._asked for a, b in zip(times, times[1:]))

    def polled(self, interval_ms):
        """Answers of a question for each interval, 1 when none was left out. Counted from the first answer to the last, so
        that it does not matter where in a period the window begins; unless it began late or ended early."""
        begin, end = self._window
        answers = intervals = 0.0
        for times in self._asked:
            first, last = (times[0], times[-1]) if times else (begin, begin)
            answers += max(0, len(times) - 1)
            intervals += ((last if end - last < 2 * interval_ms else end) -
                          (first if first - begin < 2 * interval_ms else begin)) / interval_ms
        return answers / intervals if intervals else 0.0
