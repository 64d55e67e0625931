# SPDX-License-Identifier: Apache-2.0
"""lanes.py, which runs what takes long side by side: nothing that fails is overlooked, nothing is left running."""

import os
import signal
import subprocess
import sys
import time

import pytest

from daemon import ROOT
from proc import wait_until

MAKEFILE = """
good: ; @echo all is well $(WORD)
gaps: ; @echo "SKIPPED 2 tests: no disk: a, b"; for i in 1 2 3 4 5; do echo "and $$i"; done
bad: ; @echo something broke; exit 3
meet-%: ; @touch here-$*; for i in $$(seq 100); do [ -e here-one ] && [ -e here-two ] && exit 0; sleep 0.1; done; exit 1
long: ; @sh -c 'echo $$$$ > child; exec sleep 100'
"""


@pytest.fixture
def lanes(folder):
    with open(os.path.join(folder, "Makefile"), "w", encoding="utf-8") as file:
        file.write(MAKEFILE)

    def run(*lanes):
        return subprocess.Popen([sys.executable, os.path.join(ROOT, "tests", "tools", "lanes.py"), "log", *lanes],
                                cwd=folder, stdout=subprocess.PIPE, text=True)

    return run


def test_lanes_run_side_by_side_and_each_in_order(lanes, folder):
    one = lanes("meet-one; good WORD=today", "meet-two")
    said = one.communicate(timeout=30)[0]
    assert one.returncode == 0, said
    assert said.index("make meet-one passed") < said.index("make good WORD=today begins")
    assert "all is well today" in said and "3 targets, 0 failed" in said
    with open(os.path.join(folder, "log", "good-WORD-today.log"), encoding="utf-8") as log:
        assert log.read() == "all is well today\n"


def test_a_failure_is_shown_and_the_rest_still_runs(lanes):
    one = lanes("bad; good", "good")
    said = one.communicate(timeout=30)[0]
    assert one.returncode == 1
    assert "make bad FAILED" in said and "something broke" in said and said.count("make good passed") == 2


def test_how_a_failure_ended_is_the_last_word(lanes):
    one = lanes("bad; good", "good")
    said = one.communicate(timeout=30)[0]
    assert "something broke" in said[said.index("3 targets, 1 failed"):]
    assert "all is well" not in said[said.index("3 targets, 1 failed"):]


def test_what_was_skipped_is_said_at_the_end_and_is_no_failure(lanes):
    one = lanes("gaps; good")
    said = one.communicate(timeout=30)[0]
    assert one.returncode == 0
    assert said.count("SKIPPED") == 1 and said.index("make good passed") < said.index("make gaps: SKIPPED 2 tests: no disk: a, b")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_what_runs(lanes, folder, number):
    one = lanes("long; good")
    path = os.path.join(folder, "child")
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path), 10, "the child")
    with open(path, encoding="ascii") as file:
        child = int(file.read())
    begin = time.monotonic()
    one.send_signal(number)
    said = one.communicate(timeout=30)[0]
    assert one.returncode == 130 and "make good" not in said
    assert time.monotonic() - begin < 10
    wait_until(lambda: not os.path.exists("/proc/%d" % child), 5, "the end of the child")
