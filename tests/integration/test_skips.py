# SPDX-License-Identifier: Apache-2.0
"""A skipped test hides a proof: each run says which and why, and FG_NO_SKIPS=1 does not let it pass."""

import os
import subprocess
import sys

import pytest

from daemon import ROOT

TESTS = """
import pytest
def test_that_runs(): pass
def test_of_a_disk(): pytest.skip("a tmpfs cannot be mounted here")
def test_of_another_disk(): pytest.skip("a tmpfs cannot be mounted here")
"""
OF_A_CLOCK = """
def test_of_a_clock(): pytest.skip("the kernel says that this machine's clock is synchronised")
"""


@pytest.fixture
def run(folder):
    """Runs these tests as a target of the Makefile does; returns exit code, what was said, and the file of skips."""
    def run(tests, *words, **more):
        with open(os.path.join(folder, "test_some.py"), "w", encoding="utf-8") as file:
            file.write(tests)
        kept = os.path.join(folder, "skips")
        env = {key: value for key, value in os.environ.items() if not key.startswith(("FG_", "FIELDGATE", "PYTEST_"))}
        env.update(PYTHONPATH=os.path.join(ROOT, "tests", "tools"), FG_SKIPS=kept, **more)
        done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "skips", "-q", *words, folder],
                              env=env, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
        with open(kept, "a+", encoding="utf-8") as file:
            file.seek(0)
            return done.returncode, done.stdout, file.read()
    return run


@pytest.mark.parametrize("words", [(), ("-n", "2")])
def test_the_end_of_a_run_says_what_was_skipped_and_why(run, words):
    code, said, kept = run(TESTS, *words, FIELDGATE="build/asan/fieldgate")
    line = "SKIPPED 2 tests: a tmpfs cannot be mounted here: "
    assert code == 0 and said.count(line) == 1, said
    assert kept.startswith(line) and kept.count("\n") == 1, kept
    assert "test_of_a_disk" in kept and "test_of_another_disk" in kept and "(with build/asan/fieldgate)" in kept


def test_a_run_without_skips_says_so(run):
    code, said, kept = run("def test_that_runs(): pass\n")
    assert code == 0 and "no test was skipped" in said and not kept, said


@pytest.mark.parametrize("words", [(), ("-n", "2")])
def test_whoever_wants_no_skips_gets_failures_but_for_what_a_sound_machine_may_be(run, words):
    code, said, kept = run(TESTS + OF_A_CLOCK, *words, FG_NO_SKIPS="1")
    assert code == 1 and "2 failed, 1 passed, 1 skipped" in said and "FG_NO_SKIPS" in said, said
    assert "SKIPPED 1 test: the kernel says" in kept and "tmpfs" not in kept
    code, said, kept = run("import pytest\n" + OF_A_CLOCK, *words, FG_NO_SKIPS="1")
    assert code == 0, said
