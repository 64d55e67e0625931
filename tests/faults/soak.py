#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""soak - random faults for hours: `soak.py 2h` (s, min, h; a bare number is seconds). One line per event, a balance after each round.

A round is a world of its own and ten minutes of faults (or all the time, when it is less), judged like the test's. Its
seed is printed: `FG_SEED=n make soak` runs that round alone. Exit code 0 when every round balanced.
"""

import os
import random
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for _folder in ("sim", "tools"):
    sys.path.insert(0, os.path.join(_TESTS, _folder))

from fixtures import refuse_sanitizer_reports  # noqa: E402
from schedule import Plan  # noqa: E402
from stage import Stage  # noqa: E402
from world import Disk, World, judge  # noqa: E402

ROUND_S = 600
UNITS = {"": 1, "s": 1, "min": 60, "h": 3600}


def seconds_of(text):
    found = re.fullmatch(r"(\d+)(s|min|h|)", text)
    if not found:
        sys.exit("soak.py: how long? write 90s, 10min or 2h")
    return int(found[1]) * UNITS[found[2]]


def say(text):
    print(text, flush=True)


def one_round(seed, seconds):
    """The story of one seed; AssertionError when the books do not agree."""
    folder = tempfile.mkdtemp(prefix="fg-soak-")
    try:
        with Stage(folder) as stage:
            disk = Disk(stage.state_dir)
            refused = disk.mount()
            if refused:
                say("no faults of the disk: " + refused)
            else:
                stage.ends.callback(disk.unmount)
            world = World(stage, None if refused else disk, say, clock=True, resolver=True)
            world.begin()
            world.run(Plan(seed, seconds, not refused, longest=min(60.0, seconds / 10), clock=True, resolver=True))
            say(world.summary(judge(world)))
            refuse_sanitizer_reports(stage.daemon.log())
    finally:
        shutil.rmtree(folder)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: soak.py TIME")
    total = seconds_of(sys.argv[1])
    seconds = min(ROUND_S, total)
    if os.environ.get("FG_SEED"):
        seeds = [int(os.environ["FG_SEED"])]
    else:
        seeds = [random.SystemRandom().randrange(1 << 32) for _ in range(total // seconds)]
    failed = []
    for number, seed in enumerate(seeds, 1):
        say("== round %d of %d: FG_SEED=%d" % (number, len(seeds), seed))
        try:
            one_round(seed, seconds)
        except AssertionError as error:
            failed.append(seed)
            say("FAILED, FG_SEED=%d: %s" % (seed, error))
    say("== soak: %d rounds of %d s, %d failed%s" % (len(seeds), seconds, len(failed),
                                                   "".join(" FG_SEED=%d" % seed for seed in failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
