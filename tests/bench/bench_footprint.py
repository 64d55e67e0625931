# SPDX-License-Identifier: Apache-2.0
"""bench_footprint - what the daemon takes of a small box: bytes of program, memory, threads, processor time, allocations.

5, 50 or 500 units of 20 registers each, one uplink or many, with TLS; a day's backlog has gone out before anything is
looked at. bench.py runs it, docs/BENCHMARKS.md explains every line.
"""

import os
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from contextlib import ExitStack

import settings as config_file
from broker import Broker
from certs import Authority
from daemon import Daemon, default_binary
from filled import Filled
from proc import memory_kib
from table import RUNS, in_folder, processor_s, say, side_by_side, threads
from wire_line import WireTcp, program

REGISTERS = 20  # of a unit
UNITS_MOST = 250  # behind one endpoint
SECONDS = 20
IN_MEMORY = "/dev/shm"  # where status and metrics are written, as they are in /run
MIB = 1024  # in KiB
# Others with 50 devices of 20 registers each second (Neuron: as many tags), measured on another day: share of a core.
STATED = {1000: (("mqmgateway's 0.33 %, which stores nothing", 0.33), ("collectd's 2.97 %", 2.97), ("Neuron's 2.3 %", 2.3)),
          10000: (("Neuron's 10.5 %", 10.5),)}
STATED_RESIDENT = {1000: ("Neuron's 17 MB", 17e6 / 1024), 10000: ("Neuron's 39 MB", 39e6 / 1024)}


# -- one box


def settings(folder, endpoints, units, urls, **options):
    """The configuration of so many units, a second each."""
    points = [{"name": "r%02d" % n, "register": "holding", "address": n} for n in range(REGISTERS)]
    return {
        "gateway": {"id": "bench"}, "store": {"path": os.path.join(folder, "state", "buffer.db")},
        "clock": {"trust": "always"}, "buses": [e.bus(name="line%d" % i) for i, e in enumerate(endpoints)],
        "devices": [{"name": "u%d" % u, "bus": "line%d" % (u // UNITS_MOST), "unit": 1 + u % UNITS_MOST, "every": "1s",
                     "points": points} for u in range(units)],
        "uplinks": [config_file.uplink(url, name="up%d" % i, topic="up%d/{gateway}" % i, **options)
                    for i, url in enumerate(urls)]}


class Box:
    """A daemon whose backlog has gone out, its units, and its broker with TLS. Leaving it stops all."""

    def __init__(self, folder, units, uplinks=1, backlog=True, env=None):
        self.units, self._ends = units, ExitStack()
        os.makedirs(os.path.join(folder, "state"))
        authority = Authority(os.path.join(folder, "ca"))
        broker = self._ends.enter_context(Broker(os.path.join(folder, "broker"),
                                                 tls=(authority.ca_file, *authority.issue("broker"))))
        self.endpoints = [self._ends.enter_context(WireTcp("1-%d" % min(UNITS_MOST, units - begin), REGISTERS))
                          for begin in range(0, units, UNITS_MOST)]
        for endpoint in self.endpoints:
            endpoint.order("book off")
        path = os.path.join(folder, "fieldgate.yaml")
        config_file.write(path, settings(folder, self.endpoints, units, [broker.url] * uplinks,
                                         ca_file=authority.ca_file))
        if backlog:
            Filled.until_yesterday(path, 1, 6 * units).fill()
        runtime = self._ends.enter_context(tempfile.TemporaryDirectory(prefix="fg-bench-", dir=IN_MEMORY))
        self.daemon = self._ends.enter_context(Daemon(folder, path, state_dir=os.path.join(folder, "state"), env=env,
                                                      runtime_dir=runtime))

    def start(self):
        self.daemon.start()
        self.daemon.wait_for_status(lambda s: all(u["connected"] and u["delivered"] > 0 and u["waiting"] < 5 * self.units
                                                  for u in s["uplinks"]), 120, "the end of the backlog")
        time.sleep(2)  # first polls are spread
        return self

    def readings(self):
        return sum(endpoint.answered() for endpoint in self.endpoints) * REGISTERS

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.daemon.stop()
        self._ends.close()


# -- what the kernel says


def thread_name(pid, thread):
    with open("/proc/%d/task/%d/comm" % (pid, thread), encoding="utf-8") as file:
        return file.read().strip()


# -- the cases


def footprint(folder, units, uplinks=1):
    """Memory in KiB, threads, and the processor: seconds per million readings, and percent of a core."""
    with Box(folder, units, uplinks) as box:
        pid, seen = box.daemon.pid, []
        before, used, begin = box.readings(), processor_s(pid), time.monotonic()
        for _ in range(SECONDS):
            time.sleep(1)
            seen.append(memory_kib(pid))
        used, readings = processor_s(pid) - used, box.readings() - before
        seconds = time.monotonic() - begin
        assert readings > 0.98 * units * REGISTERS * (seconds - 1), "%d readings in %.1f s" % (readings, seconds)
        anonymous, resident = (statistics.median(column) for column in zip(*seen))
        return {"anonymous": anonymous, "resident": resident, "threads": len(threads(pid)),
                "per_million": used / readings * 1e6, "percent": used / seconds * 100}


def allocations(folder, units=50):
    """How often each thread asked for memory in SECONDS, and the readings meanwhile."""
    path = os.path.join(folder, "allocations")
    with open(path, "wb") as file:
        file.write(bytes(4096))

    def counted(pid):
        with open(path, "rb") as file:
            calls = dict(struct.iter_unpack("=qq", file.read()))
        return {thread: (thread_name(pid, thread), calls.get(thread, 0)) for thread in threads(pid)}

    env = {"LD_PRELOAD": program("bench", "count_alloc.so"), "FG_ALLOCATIONS": path}
    with Box(folder, units, env=env) as box:
        before, began = counted(box.daemon.pid), box.readings()
        time.sleep(SECONDS)
        after, readings = counted(box.daemon.pid), box.readings() - began
    calls = {}
    for thread, (name, count) in after.items():
        calls[name] = calls.get(name, 0) + count - before.get(thread, (name, 0))[1]
    assert any(name.startswith("bus-") for name in calls) and sum(calls.values()) > 0, calls
    return calls, readings


def program_bytes(folder):
    """What the package installs: without the symbols for debuggers."""
    copy = shutil.copy(default_binary(), folder)
    subprocess.run(["strip", copy], check=True)
    return os.path.getsize(copy)


# -- the groups


def all_runs(*arguments, at_once):
    """RUNS times, so many at once: what waits most of its time does not disturb its like."""
    runs = []
    while len(runs) < RUNS:
        runs += side_by_side([lambda: in_folder(footprint, *arguments)] * min(at_once, RUNS - len(runs)))
    return runs


def bench_footprint(table):
    say("footprint: TLS, 20 points a unit, each read once a second")
    table.add("footprint: bytes of the program, of 1 MiB", "B", [(in_folder(program_bytes), 1 << 20)], 1, at_most=True)
    for units in (5, 50, 500):
        runs = all_runs(units, at_once=5 if units < 50 else 1)
        points = units * REGISTERS
        name = "footprint: %d points, " % points
        if points <= 1000:
            table.add(name + "anonymous memory, of 6 MiB", "KiB", [(r["anonymous"], 6 * MIB) for r in runs], 1, at_most=True)
            table.add(name + "resident memory, of 16 MiB", "KiB", [(r["resident"], 16 * MIB) for r in runs], 1, at_most=True)
        else:
            table.add(name + "anonymous memory, of 24 MiB", "KiB", [(r["anonymous"], 24 * MIB) for r in runs], 1, at_most=True)
        table.add(name + "threads, of 10", "", [(r["threads"], 10) for r in runs], 1, at_most=True)
        # A reading is polled, committed, encoded, encrypted and acknowledged. 1,000 s would be a core at 1,000 a second.
        table.add(name + "processor for a million readings, of 1,000 s", "s", [(r["per_million"], 1000) for r in runs],
                  0.05 if points < 1000 else 0.008, at_most=True)
        for whose, percent in STATED.get(points, ()):
            table.add(name + "of a core, of " + whose, "%", [(r["percent"], percent) for r in runs], 1, at_most=True)
        if points in STATED_RESIDENT:
            whose, kib = STATED_RESIDENT[points]
            table.add(name + "resident memory, of " + whose, "KiB", [(r["resident"], kib) for r in runs], 1, at_most=True)
        for what in ("anonymous", "resident", "per_million", "percent"):
            table.curve("points: " + what, points, [r[what] for r in runs])


def bench_allocations(table):
    say("allocations: 50 units of 20 registers each second, TLS")
    runs = side_by_side([lambda: in_folder(allocations)] * RUNS)
    polls = [sum(n for name, n in calls.items() if name.startswith("bus-")) for calls, _ in runs]
    calls, readings = runs[0]
    table.add("allocations: by the bus' thread, plus one", "", [(n + 1, 1) for n in polls], 1, at_most=True,
              note="allocations for a thousand readings, by thread: " + ", ".join(
                  "%s %.1f" % (name, count * 1e3 / readings) for name, count in sorted(calls.items()) if count))


def bench_uplinks(table):
    say("uplinks: 100 points, and as many uplinks with TLS")
    one = None
    for uplinks in (1, 10, 100):
        runs = all_runs(5, uplinks, at_once=5 if uplinks < 100 else 2)
        for what in ("anonymous", "resident", "per_million", "percent"):
            table.curve("uplinks: " + what, uplinks, [r[what] for r in runs])
        one = one or runs
        if uplinks > 1:
            base = statistics.median(r["anonymous"] for r in one)
            table.add("uplinks: anonymous memory of each beyond the first, of 1 MiB (%d)" % uplinks, "KiB",
                      [((r["anonymous"] - base) / (uplinks - 1), MIB) for r in runs], 1, at_most=True)
            base = statistics.median(r["percent"] for r in one)
            table.add("uplinks: of a core, of as many times one (%d)" % uplinks, "%",
                      [(r["percent"], base * uplinks) for r in runs], 1, at_most=True)


GROUPS = [("footprint", bench_footprint), ("allocations", bench_allocations), ("uplinks", bench_uplinks)]
