# SPDX-License-Identifier: Apache-2.0
"""bench_waiting - the daemon with ten million readings that wait: how fast it starts, and what it takes of memory.

1,000 points, each asked once a second, and one uplink with TLS whose broker comes last. bench.py runs it,
docs/BENCHMARKS.md explains every line.
"""

import os
import statistics
import time

import settings as config_file
from broker import Broker
from certs import Authority
from daemon import Daemon
from filled import Filled
from proc import memory_kib
from table import RUNS, in_folder, say
from wire_line import WireTcp

UNITS = 100
POINTS = 10  # of a unit
PERIOD_S = 8  # of a day's backlog: 10.8 million readings
SECONDS = 8
MIB = 1024  # in KiB
PAGE = 2048  # of the database


def forget(folder):
    """Nothing of these files is in memory any more, as after a power cut."""
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Box:
    """A daemon of its own store, whose broker does not run yet."""

    def __init__(self, folder, endpoint, period_s):
        authority = Authority(os.path.join(folder, "ca"))
        self.endpoint = endpoint
        self.broker = Broker(os.path.join(folder, "broker"), tls=(authority.ca_file, *authority.issue("broker")))
        state, path = os.path.join(folder, "state"), os.path.join(folder, "fieldgate.yaml")
        os.makedirs(state)
        points = [{"name": "r%02d" % n, "register": "holding", "address": n} for n in range(POINTS)]
        config_file.write(path, {
            "gateway": {"id": "bench"}, "store": {"path": os.path.join(state, "buffer.db"), "max_size": "4GiB"},
            "clock": {"trust": "always"}, "buses": [endpoint.bus()],
            "devices": [{"name": "u%d" % u, "bus": "line", "unit": u, "every": "1s", "points": points}
                        for u in range(1, UNITS + 1)],
            "uplinks": [config_file.uplink(self.broker.url, ca_file=authority.ca_file)]})
        Filled.until_yesterday(path, 1, period_s).fill()
        forget(state)
        self.database = os.path.join(state, "buffer.db")
        self.daemon = Daemon(folder, path, state_dir=state)

    def start(self):
        """Seconds until it is ready, and until the first sensor has answered."""
        self.endpoint.reset()
        begin = time.monotonic()
        self.daemon.start(wait=False)
        ready = self.daemon.wait_ready(60)
        while self.endpoint.answered() == 0:
            assert time.monotonic() < begin + 60, "no sensor was asked"
            time.sleep(0.005)
        return ready, time.monotonic() - begin

    def damage(self):
        """Its first page is garbage: the whole file has to be read to save what it holds."""
        with open(self.database, "r+b") as file:
            file.write(os.urandom(PAGE))
        forget(os.path.dirname(self.database))

    def saved(self):
        """Seconds from now until what was damaged is in use again."""
        begin = time.monotonic()
        self.daemon.wait_for_status(lambda s: s["store"]["durable"], 300, "a saved database")
        return time.monotonic() - begin

    def memory(self):
        """KiB: anonymous, resident; the median of some seconds."""
        seen = []
        for _ in range(SECONDS):
            time.sleep(1)
            seen.append(memory_kib(self.daemon.pid))
        return [statistics.median(column) for column in zip(*seen)]

    def drain(self):
        """KiB: anonymous, resident; the most of all looks until nothing waits any more but the newest."""
        seen = []
        self.broker.start()
        while True:
            time.sleep(0.2)
            seen.append(memory_kib(self.daemon.pid))
            one = self.daemon.status()["uplinks"][0]
            if one["delivered"] > 0 and one["waiting"] < 5 * UNITS:
                return [max(column) for column in zip(*seen)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.daemon.stop(10)
        self.daemon.close()
        self.broker.kill()


def waiting(folder, period_s):
    with WireTcp("1-%d" % UNITS, POINTS) as endpoint, Box(folder, endpoint, period_s) as box:
        ready, asked = box.start()
        return {"ready": ready, "asked": asked, "memory": box.memory(), "drain": box.drain()}


def damaged(folder):
    with WireTcp("1-%d" % UNITS, POINTS) as endpoint, Box(folder, endpoint, PERIOD_S) as box:
        box.damage()
        ready, asked = box.start()
        return {"ready": ready, "asked": asked, "saved": box.saved(), "bytes": os.path.getsize(box.database)}


def bench_damaged(table):
    say("damaged: the same, and the file has to be saved first")
    runs = [in_folder(damaged) for _ in range(RUNS)]
    note = "damaged: %.0f MiB were saved within %.1f s, beside the work" % (
        max(r["bytes"] for r in runs) / 1048576, max(r["saved"] for r in runs))
    for what, key in (("it is ready", "ready"), ("the first sensor has answered", "asked")):
        table.add("damaged: until %s, of two seconds" % what, "s", [(r[key], 2) for r in runs], 1, at_most=True, note=note)


def bench_waiting(table):
    say("waiting: 10.8 million readings of 1,000 points wait; then they leave over TLS")
    runs = [(in_folder(waiting, PERIOD_S), in_folder(waiting, 10 * PERIOD_S)) for _ in range(RUNS)]
    full = [run for run, _ in runs]
    table.add("waiting: until it is ready, of a second", "s", [(r["ready"], 1) for r in full], 1, at_most=True)
    table.add("waiting: until the first sensor has answered, of a second", "s", [(r["asked"], 1) for r in full], 1,
              at_most=True)
    table.add("waiting: anonymous memory, of that with a tenth waiting", "KiB",
              [(r["memory"][0], tenth["memory"][0]) for r, tenth in runs], 1.1, at_most=True)
    for what, key in (("waiting", "memory"), ("draining", "drain")):
        for kind, column, most in (("anonymous", 0, 6), ("resident", 1, 16)):
            table.add("waiting: %s, %s memory, of %d MiB" % (what, kind, most), "KiB",
                      [(r[key][column], most * MIB) for r in full], 1, at_most=True)


GROUPS = [("waiting", bench_waiting), ("damaged", bench_damaged)]
