# SPDX-License-Identifier: Apache-2.0
"""bench_footprint - what the daemon takes of a small box: bytes of program, memory, threads, processor time.

A bus with 10 or 100 units of 10 registers each, one uplink with TLS; a day's backlog has gone out before anything is
looked at. bench.py runs it, docs/BENCHMARKS.md explains every line.
"""

import os
import shutil
import statistics
import subprocess
import time

import settings as config_file
from broker import Broker
from certs import Authority
from daemon import Daemon, default_binary
from filled import Filled
from table import RUNS, in_folder, say
from wire_line import WireTcp

POINTS = 10  # of a unit
SECONDS = 20
MIB = 1024  # in KiB


def memory(pid):
    """KiB: anonymous, resident. Exact, unlike what status says of a process with threads."""
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
        sizes = dict(line.split(":", 1) for line in file.read().splitlines()[1:])
    return [int(sizes[name].split()[0]) for name in ("Anonymous", "Rss")]


def processor_s(pid):
    """Seconds that its threads have run."""
    total = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, thread), encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def footprint(folder, units):
    """Anonymous and resident KiB, threads, processor seconds per million readings at 1 s a unit."""
    authority = Authority(os.path.join(folder, "ca"))
    state, path = os.path.join(folder, "state"), os.path.join(folder, "fieldgate.yaml")
    os.makedirs(state)
    with Broker(os.path.join(folder, "broker"), tls=(authority.ca_file, *authority.issue("broker"))) as broker, \
            WireTcp("1-%d" % units, POINTS) as endpoint:
        points = [{"name": "r%02d" % n, "register": "holding", "address": n} for n in range(POINTS)]
        config_file.write(path, {
            "gateway": {"id": "bench"}, "store": {"path": os.path.join(state, "buffer.db")}, "clock": {"trust": "always"},
            "buses": [endpoint.bus()],
            "devices": [{"name": "u%d" % u, "bus": "line", "unit": u, "every": "1s", "points": points}
                        for u in range(1, units + 1)],
            "uplinks": [config_file.uplink(broker.url, ca_file=authority.ca_file)]})
        Filled(path, int(time.time() - 90000) * 1000, 1, 6 * units).fill()
        with Daemon(folder, path, state_dir=state) as daemon:
            daemon.start()
            daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"] and s["uplinks"][0]["waiting"] < 5 * units and
                                   s["uplinks"][0]["delivered"] > 0, 60, "the end of the backlog")
            endpoint.reset()
            begin, seen = processor_s(daemon.pid), []
            for _ in range(SECONDS):
                time.sleep(1)
                seen.append(memory(daemon.pid))
            used, readings = processor_s(daemon.pid) - begin, endpoint.answered() * POINTS
            threads = len(os.listdir("/proc/%d/task" % daemon.pid))
            daemon.stop()
    anonymous, resident = (statistics.median(column) for column in zip(*seen))
    return anonymous, resident, threads, used / readings * 1e6


def program_bytes(folder):
    """What the package installs: without the symbols for debuggers."""
    copy = shutil.copy(default_binary(), folder)
    subprocess.run(["strip", copy], check=True)
    return os.path.getsize(copy)


def bench_footprint(table):
    say("footprint: TLS, one bus, 10 points a unit, each read once a second")
    table.add("footprint: bytes of the program, of 1 MiB", "B", [(in_folder(program_bytes), 1 << 20)], 1, at_most=True)
    for units in (10, 100):
        runs = [in_folder(footprint, units) for _ in range(RUNS)]
        name = "footprint: %d points, " % (units * POINTS)
        table.add(name + "anonymous memory, of 6 MiB", "KiB", [(r[0], 6 * MIB) for r in runs], 1, at_most=True)
        table.add(name + "resident memory, of 16 MiB", "KiB", [(r[1], 16 * MIB) for r in runs], 1, at_most=True)
        table.add(name + "threads, of 10", "", [(r[2], 10) for r in runs], 1, at_most=True)
        # A reading is polled, committed, encoded, encrypted and acknowledged. 1,000 s would be a core at 1,000 a second.
        table.add(name + "processor for a million readings, of 1,000 s", "s", [(r[3], 1000) for r in runs], 0.1,
                  at_most=True)


GROUPS = [("footprint", bench_footprint)]
