#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""soak_short - one daemon at 50 times the usual load, through faults: does it grow?

`soak_short.py [MINUTES]` (10). The daemon is never restarted: its anonymous memory, file descriptors and threads
are looked at every second, and compared in two quiet windows: everything healed, nothing waiting. The first is when the
first minute is over, the other at the end. The first minute begins with a backlog of days, as a gateway has that comes
back from the shelf, and has every kind of fault in it once: what caches and buffers take they have taken by then.

Faults: links cut, held, slowed and reset, brokers frozen, restarted, killed and emptied, silent sensors, a full disk,
steps of the clock; one uplink uses TLS. At the end the outside books must balance. FG_SEED=n repeats a schedule.
"""

import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

sys.dont_write_bytecode = True
_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for _folder in ("sim", "tools"):
    sys.path.insert(0, os.path.join(_TESTS, _folder))

from certs import Authority  # noqa: E402
from filled import Filled  # noqa: E402
from fixtures import refuse_sanitizer_reports  # noqa: E402
from proc import memory_kib  # noqa: E402
from schedule import Plan  # noqa: E402
from stage import Stage  # noqa: E402
from witness import now_ms  # noqa: E402
from world import UPLINKS, Disk, World  # noqa: E402

# A farm has about 40 readings a minute: a handful of probes, once a minute each.
USUAL_PER_MINUTE = 40
LOAD = 50
# Days of the usual load that wait at the start: more than SQLite's page cache holds.
DAYS = 3
GROWTH = 1.05
# Growth of the memory that is told as it happens, in KiB: the story shows which fault it came with.
STEP = 32
# Faults until the first window, and how long a window is.
WARM_S, WINDOW_S = 35, 25
# Those that fall silent have several registers: the one that asks whether a device is back is then no poll to the judge.
SENSORS = ("soil-a1", "air-1", "meter")


@dataclass
class Look:
    """At the daemon, once. anonymous: KiB."""

    at: float
    anonymous: int
    descriptors: int
    threads: int


def look(pid):
    count = [len(os.listdir("/proc/%d/%s" % (pid, folder))) for folder in ("fd", "task")]
    return Look(time.monotonic(), memory_kib(pid).anonymous, *count)


class Watch:
    """Looks every second, from a thread of its own."""

    def __init__(self, pid):
        self._pid = pid
        self.looks = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        greatest = 0
        while not self._end.wait(1):
            try:
                one = look(self._pid)
            except OSError:
                return  # it ended; the story says why
            self.looks.append(one)
            if one.anonymous >= greatest + STEP:
                say("%d   anonymous memory: %d KiB" % (now_ms() % 100000000, one.anonymous))
                greatest = one.anonymous

    def window(self, seconds):
        """What is held, from now on: the medians."""
        begin = time.monotonic()
        time.sleep(seconds)
        seen = [one for one in self.looks if one.at >= begin]
        assert len(seen) >= seconds / 2, "the daemon could not be looked at"
        return Look(begin, *(statistics.median(getattr(one, name) for one in seen)
                             for name in ("anonymous", "descriptors", "threads")))

    def close(self):
        self._end.set()
        self._thread.join()


def say(text):
    print(text, flush=True)


class Trial:
    """A world at LOAD times the usual load, with a backlog of days."""

    def __init__(self, stage):
        disk = Disk(stage.state_dir)
        refused = disk.mount()
        if refused:
            say("no faults of the disk: " + refused)
        else:
            stage.ends.callback(disk.unmount)
        authority = Authority(stage.path("ca"))
        self.world = World(stage, None if refused else disk, say, per_minute=USUAL_PER_MINUTE * LOAD, clock=True,
                           certificate=(authority.ca_file, *authority.issue("broker")))
        self.stage = stage
        self.filled = {}
        self.watch = None

    def begin(self):
        world = self.world
        world.make()
        points = sum(len(slave.model.fields) for slave in self.stage.farm.devices.values())
        first_ts = now_ms() - (DAYS * 24 + 1) * 3600000
        for uplink in UPLINKS:
            self.filled[uplink] = Filled(self.stage.config_path, first_ts, DAYS, 60 * points // USUAL_PER_MINUTE)
            world.ledgers[uplink].since_ms = self.filled[uplink].end_ts
        self.filled["market"].fill()
        for site in world.sites.values():
            site.begin_link("refuse", None)
        world.start()
        self.stage.ends.callback(self._close)
        self.watch = Watch(self.stage.daemon.pid)
        say("%d points, %d readings a minute; %d readings of %d days wait"
            % (points, USUAL_PER_MINUTE * LOAD, self.filled["market"].readings, DAYS))

    def warm(self):
        """A full disk for so long that the store goes to memory, and back; then the backlog, which fills the page cache of
        the database that was opened anew. What these take once they take here: the random faults of the first minute are
        too short for it."""
        if self.world.disk:
            self._through_memory()
        for site in self.world.sites.values():
            site.clear_link()
        self.world.wait_sending()

    def _through_memory(self):
        daemon = self.stage.daemon
        self.world.disk.fill(0)
        daemon.wait_for_status(lambda s: s["store"]["in_memory"] > 0, 30, "readings in memory")
        self.world.disk.heal()
        daemon.wait_for_status(lambda s: s["store"]["durable"], 30, "the disk in use again")

    def _close(self):
        if self.watch:
            self.watch.close()

    def faults(self, seed, seconds, longest):
        plan = Plan(seed, seconds, self.world.disk is not None, longest=longest, restarts=False, sensors=SENSORS, clock=True)
        self.world.run(plan)

    def quiet(self):
        """What is seen when everything is well and nothing waits."""
        self.world.heal()
        self.stage.daemon.wait_for_status(
            lambda s: s["store"]["durable"] and not s["store"]["in_memory"] and
            all(u["connected"] and u["waiting"] < 20 for u in s["uplinks"]), 120, "a backlog that is gone")
        seen = self.watch.window(WINDOW_S)
        say("   window: %.0f KiB anonymous, %d descriptors, %d threads"
            % (seen.anonymous, seen.descriptors, seen.threads))
        return seen

    def judge(self):
        reports = self.world.settle()
        for uplink, names in UPLINKS.items():
            for name in names:
                for message in self.world.sites[name].subscriber.messages():
                    if message.lane:
                        self.filled[uplink].take(message.json)
            self.filled[uplink].report().check()
        self.world.check_messages()
        say(self.world.summary(reports))
        code, _ = self.stage.daemon.stop()
        assert code == 0
        refuse_sanitizer_reports(self.stage.daemon.log())
        return reports


def grown(first, last):
    """What is not as it was, in words; empty when all is well."""
    found = []
    if last.anonymous > first.anonymous * GROWTH:
        found.append("anonymous memory grew from %.0f to %.0f KiB" % (first.anonymous, last.anonymous))
    for name in ("descriptors", "threads"):
        if getattr(last, name) > getattr(first, name):
            found.append("%s grew from %d to %d" % (name, getattr(first, name), getattr(last, name)))
    return found


def table(looks, begin):
    lines = ["minute  anonymous KiB (least, most)  descriptors  threads"]
    for minute in range(int((looks[-1].at - begin) // 60) + 1):
        seen = [one for one in looks if minute * 60 <= one.at - begin < (minute + 1) * 60]
        if seen:
            memory = [one.anonymous for one in seen]
            lines.append("%6d  %13.0f (%d, %d)  %11d  %7d" % (
                minute, statistics.median(memory), min(memory), max(memory),
                max(one.descriptors for one in seen), max(one.threads for one in seen)))
    return "\n".join(lines)


def soak(stage, seed, seconds):
    trial = Trial(stage)
    begin = time.monotonic()
    trial.begin()
    trial.warm()
    trial.faults(seed, WARM_S, 4)
    first = trial.quiet()
    say("== after %.0f s: the first window; now the faults" % (first.at - begin))
    trial.faults(seed + 1, max(WARM_S, seconds - WINDOW_S - (time.monotonic() - begin)), min(60.0, seconds / 10))
    last = trial.quiet()
    say(table(trial.watch.looks, begin))
    trial.watch.close()
    trial.judge()
    say("anonymous memory: %.0f KiB after the first minute, %.0f KiB at the end (%+.1f %%); descriptors %d, %d; threads %d, %d"
        % (first.anonymous, last.anonymous, 100 * (last.anonymous / first.anonymous - 1), first.descriptors,
           last.descriptors, first.threads, last.threads))
    assert not grown(first, last), "; ".join(grown(first, last))


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    seed = int(os.environ.get("FG_SEED") or random.SystemRandom().randrange(1 << 32))
    say("== soak in short: %g minutes at %d times the usual load, FG_SEED=%d" % (minutes, LOAD, seed))
    folder = tempfile.mkdtemp(prefix="fg-soak-")
    try:
        with Stage(folder) as stage:
            soak(stage, seed, minutes * 60)
    except AssertionError as error:
        say("FAILED, FG_SEED=%d: %s" % (seed, error))
        return 1
    finally:
        shutil.rmtree(folder)
    say("== soak in short: nothing grew, the books balance")
    return 0


if __name__ == "__main__":
    sys.exit(main())
