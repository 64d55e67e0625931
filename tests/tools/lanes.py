#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""lanes - runs targets of the Makefile in lanes side by side: `lanes.py FOLDER LANE..`

A lane is one argument: make's own words of one target after the other, with semicolons between
("FLAVOR=asan faults; month DAYS=5"). Each target's output goes into FOLDER, in a file named after it; told here are its
begin, its end with the last lines, and more of them when it failed. A failure does not keep the others from running.

What tests the targets have skipped, and why, is said once more at the end, and after all else how each failure ended:
often the end of a long output is all that is kept of it.

Exit code 0 when all passed, 1 when one failed, 130 when interrupted (SIGINT, SIGTERM, SIGHUP): then every target has
been interrupted too, and killed if that did not end it.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time

TOLD, TOLD_OF_A_FAILURE, TOLD_AGAIN = 3, 60, 15
GRACE_S = 20


class Interrupted(Exception):
    """Somebody wants us to end."""


def environment():
    """Ours, without the make that called: its job slots are not ours to give."""
    env = dict(os.environ)
    env["MAKEFLAGS"] = re.sub(r"(^| )(--jobserver-\S+|-j\d*)", "", env.get("MAKEFLAGS", ""))
    env.pop("MAKELEVEL", None)
    return env


class Lanes:
    """Each lane is a thread that waits for one child after the other."""

    def __init__(self, folder, lanes):
        self._folder = folder
        self._lanes = [[target.split() for target in lane.split(";") if target.strip()] for lane in lanes]
        self._lock = threading.Lock()  # guards the rest, and what is printed
        self._children = set()
        self._ended = False
        self.done = []  # (words, seconds, exit code)

    def run(self):
        os.makedirs(self._folder, exist_ok=True)
        threads = [threading.Thread(target=self._lane, args=(number, lane), daemon=True)
                   for number, lane in enumerate(self._lanes, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _lane(self, number, lane):
        for words in lane:
            path = self._log(words)
            begin = time.monotonic()
            child = self._start(number, words, path)
            if child is None:
                return
            code = child.wait()
            with self._lock:
                self._children.discard(child)
                self.done.append((words, time.monotonic() - begin, code))
                if not self._ended:
                    self._tell(number, words, path, *self.done[-1][1:])

    def _start(self, number, words, path):
        """None when nothing is to be started any more."""
        with self._lock:
            if self._ended:
                return None
            self._say(number, "make %s begins; %s" % (" ".join(words), os.path.relpath(path)))
            with open(path, "wb") as log:
                child = subprocess.Popen(["make", "--no-print-directory", *words], stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log, env=environment(), start_new_session=True)
            self._children.add(child)
            return child

    @staticmethod
    def _say(number, text):
        print("%s  lane %d: %s" % (time.strftime("%H:%M:%S"), number, text), flush=True)

    def _tell(self, number, words, path, seconds, code):
        self._say(number, "make %s %s after %.0f s" % (" ".join(words), "FAILED" if code else "passed", seconds))
        self._print_last(path, TOLD_OF_A_FAILURE if code else TOLD)

    @staticmethod
    def _print_last(path, count):
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log.read().splitlines()[-count:]:
                print("    " + line, flush=True)

    def tell_failures(self):
        """How each of them ended."""
        for words, _, code in self.done:
            if code:
                print("== make %s, which failed, ended so:" % " ".join(words), flush=True)
                self._print_last(self._log(words), TOLD_AGAIN)

    def skipped(self):
        """What the targets left out: their lines about it, see skips.py and run_units.sh."""
        for words, _, _ in self.done:
            with open(self._log(words), encoding="utf-8", errors="replace") as log:
                for line in log:
                    if line.startswith("SKIPPED "):
                        yield words, line.rstrip("\n")

    def _log(self, words):
        return os.path.join(self._folder, re.sub(r"[^A-Za-z0-9]+", "-", " ".join(words)) + ".log")

    def end(self):
        with self._lock:
            self._ended = True
            children = list(self._children)
        for child in children:
            os.killpg(child.pid, signal.SIGINT)
        deadline = time.monotonic() + GRACE_S
        for child in children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)


def interrupted(*_):
    raise Interrupted


def main():
    if len(sys.argv) < 3:
        print("usage: lanes.py FOLDER LANE..", file=sys.stderr)
        return 64
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    lanes = Lanes(sys.argv[1], sys.argv[2:])
    begin = time.monotonic()
    try:
        lanes.run()
    except Interrupted:
        lanes.end()
        print("== interrupted", flush=True)
        return 130
    for words, seconds, code in sorted(lanes.done, key=lambda one: -one[1]):
        print("  %-6s %5.0f s  %s" % ("FAILED" if code else "passed", seconds, " ".join(words)))
    for words, line in lanes.skipped():
        print("  make %s: %s" % (" ".join(words), line))
    failed = sum(code != 0 for _, _, code in lanes.done)
    print("== %d targets, %d failed; %.0f s side by side, %.0f s one after the other"
          % (len(lanes.done), failed, time.monotonic() - begin, sum(seconds for _, seconds, _ in lanes.done)), flush=True)
    lanes.tell_failures()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
