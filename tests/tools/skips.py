# SPDX-License-Identifier: Apache-2.0
"""skips - hooks for pytest: a test that is skipped hides a proof, so each run says which were, and why.

The end of a run has a line "SKIPPED 2 tests: why: their names" for each reason, or says that none was skipped. The same
lines go into the file $FG_SKIPS, when there is one, so that whoever starts many runs can say it once more at the end.

With FG_NO_SKIPS=1 a skip is a failure, but for what a sound machine may be: see EXPECTED.
"""

import os
from collections import defaultdict

import pytest

EXPECTED = (
    # A machine with a time server; the tests of an unknown time then cannot make the kernel forget it.
    "the kernel says that this machine's clock is synchronised",
    # With FIELDGATE set to an asan or tsan build.
    "a sanitizer allocates for itself",
)
PREFIX = "Skipped: "


def reason_of(report):
    """Why a test was skipped: pytest keeps (file, line, text)."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text[len(PREFIX):] if text.startswith(PREFIX) else text


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport():
    outcome = yield
    report = outcome.get_result()
    if not report.skipped or os.environ.get("FG_NO_SKIPS") != "1":
        return
    reason = reason_of(report)
    if reason not in EXPECTED:
        report.outcome = "failed"
        report.longrepr = "skipped: %s\n(with FG_NO_SKIPS=1 this is a failure: CONTRIBUTING.md)" % reason


def lines_of(reports):
    """One for each reason, in order of their first test."""
    names = defaultdict(list)
    for report in reports:
        names[reason_of(report)].append(report.nodeid)
    return ["SKIPPED %d test%s: %s: %s" % (len(ids), "s" if len(ids) > 1 else "", reason, ", ".join(ids))
            for reason, ids in names.items()]


def pytest_terminal_summary(terminalreporter):
    if hasattr(terminalreporter.config, "workerinput"):
        return  # a worker of several: what it knows the first process knows, too
    lines = lines_of(terminalreporter.stats.get("skipped", []))
    for line in lines or ["no test was skipped"]:
        terminalreporter.write_line(line)
    path = os.environ.get("FG_SKIPS")
    if path and lines:
        binary = os.environ.get("FIELDGATE", "")
        with open(path, "a", encoding="utf-8") as file:
            file.write("".join("%s%s\n" % (line, " (with %s)" % binary if binary else "") for line in lines))
