# SPDX-License-Identifier: Apache-2.0
"""bench_growth - appends, drain and live latency at 1, 10 and 100 times the points, the backlog and the uplinks.

Units of 20 registers, each read once a second over Modbus TCP; commits, batches and uplinks at their defaults; a local
mosquitto, TCP.
bench.py runs it, docs/BENCHMARKS.md explains every line.
"""

import os
import statistics
import tempfile
import time
from contextlib import ExitStack

import settings as config_file
from bench_bus import percentile
from bench_footprint import IN_MEMORY, REGISTERS, UNITS_MOST, settings
from bench_store import below_build, run
from bench_uplink import PROMISED_MS
from broker import Broker
from daemon import Daemon
from filled import DAY_S, Filled
from subscriber import Subscriber
from table import RUNS, in_folder, say
from wire_line import WireTcp

DAY_READINGS = 1440000  # of a backlog; whole seconds lie between its polls
LIVE_S = 8  # of live readings that are looked at, from the start on
READINGS = 8  # of an appended sample
NO_CAP = 16 << 30


def received(broker):
    """Bytes that the broker has read, as the kernel counts them."""
    with open("/proc/%d/io" % broker.pid, encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("rchar")).split()[1])


def between(told, share):
    """When so much of what came had come."""
    begin, end = told[0][1], told[-1][1]
    return next(at for at, count in told if count >= begin + share * (end - begin))


def ages_of(subscriber, begin_ms, end_ms):
    """Milliseconds from `ts` to the subscriber, of each live sample that was measured in that time."""
    return sorted(m.ms - sample["ts"] for m in subscriber.messages() if m.lane == "live"
                  for sample in m.json.get("samples", ()) if begin_ms <= sample["ts"] < end_ms)


class World:
    """A daemon with a backlog for each of its uplinks, its units, broker, and a subscriber of live readings."""

    def __init__(self, folder, units, uplinks, readings, ends):
        os.makedirs(os.path.join(folder, "state"))
        self.broker = ends.enter_context(Broker(os.path.join(folder, "broker")))
        endpoints = [ends.enter_context(WireTcp("1-%d" % min(UNITS_MOST, units - begin), REGISTERS))
                     for begin in range(0, units, UNITS_MOST)]
        for endpoint in endpoints:
            endpoint.order("book off")
        path = os.path.join(folder, "fieldgate.yaml")
        own = settings(folder, endpoints, units, [self.broker.url] * uplinks)
        own["store"]["max_size"] = "8GiB"
        config_file.write(path, own)
        days = max(1, readings // DAY_READINGS)
        period_s = DAY_S * days * units * REGISTERS // readings
        filled = Filled.until_yesterday(path, days, period_s).fill()
        assert filled.readings == readings, filled.readings
        self.value_bytes = filled.value_bytes()
        self.subscriber = ends.enter_context(Subscriber(self.broker.port, "+/bench/data/live"))
        runtime = ends.enter_context(tempfile.TemporaryDirectory(prefix="fg-bench-", dir=IN_MEMORY))
        self.daemon = ends.enter_context(Daemon(folder, path, state_dir=os.path.join(folder, "state"), runtime_dir=runtime))
        self._units = units

    def drain(self):
        """[(when, bytes that the broker has)] until the backlog of every uplink is there."""
        told, looked = [(time.monotonic(), received(self.broker))], 0
        self.daemon.start(wait=False)
        while True:
            time.sleep(0.002)
            told.append((time.monotonic(), received(self.broker)))
            written = self.daemon.status_written()
            if written == looked:
                continue
            looked = written
            uplinks = self.daemon.status()["uplinks"]
            if all(u["delivered"] > 0 and u["waiting"] < 5 * self._units for u in uplinks):
                return told


def grown(folder, units, uplinks, readings):
    """A backlog goes out to each uplink while live readings come: how many readings a second leave in all, from a tenth
    of the bytes to nine tenths; how many bytes each takes beside the text of its value, which is longer where there are
    more units; and how old the live ones are when they arrive, from the start on."""
    with ExitStack() as ends:
        world = World(folder, units, uplinks, readings, ends)
        begin_ms = time.time() * 1000
        told = world.drain()
        time.sleep(max(0.0, begin_ms / 1000 + LIVE_S - time.time()))
        end_ms = time.time() * 1000
        time.sleep(PROMISED_MS / 1000)  # the newest have come by then, or are lost
        world.daemon.stop()
        ages = ages_of(world.subscriber, begin_ms, end_ms)
        seconds = (end_ms - begin_ms) / 1000 - 3  # first polls are spread over one
        assert len(ages) > 0.98 * units * uplinks * seconds, "%d samples in %.0f s" % (len(ages), seconds)
        return {"drain": 0.8 * readings * uplinks / (between(told, 0.9) - between(told, 0.1)),
                "bytes": (told[-1][1] - told[0][1]) / readings / uplinks - world.value_bytes,
                "p50": percentile(ages, 0.5), "p99": percentile(ages, 0.99), "oldest": ages[-1]}


def appends(folder, devices, uplinks, waiting):
    """Readings a second, beside so many that wait."""
    path = os.path.join(folder, "s.db")
    if waiting:
        run("bench_store", "fill", path, READINGS, waiting // READINGS)
    tenths = run("bench_store", "rate", path, READINGS, NO_CAP, 3, devices, uplinks)["tenths"][10:]
    return (tenths[-1][1] - tenths[0][1]) / (tenths[-1][0] - tenths[0][0]) * READINGS


def add_lines(table, axis, sizes, runs):
    """Curves over the sizes, and the largest size against the smallest."""
    for size in sizes:
        for what in runs[size][0]:
            table.curve("%s: %s" % (axis, what), size, [r[what] for r in runs[size]])
        for what in ("p99", "oldest"):
            table.add("growth: %g %s, live readings, %s, of the promised 5 s" % (size, axis, what), "ms",
                      [(r[what], PROMISED_MS) for r in runs[size]], 1, at_most=True)
    for what, shown, unit, target in (("append", "append", "/s", 0.5), ("drain", "drain", "/s", 0.5),
                                      ("bytes", "bytes for a reading beside its value", "B", 1.1)):
        base = statistics.median(r[what] for r in runs[sizes[0]])
        table.add("growth: %g %s, %s, of that with %g" % (sizes[-1], axis, shown, sizes[0]), unit,
                  [(r[what], base) for r in runs[sizes[-1]]], target, at_most=what == "bytes")


def measure(sizes, shape):
    """{size: figures of each run}; shape(size): units, uplinks, readings that wait."""
    done = {}
    for size in sizes:
        units, uplinks, readings = shape(size)
        say("growth: %d points, %d uplinks, %d readings wait" % (units * REGISTERS, uplinks, readings))
        done[size] = [{**in_folder(grown, units, uplinks, readings),
                       "append": below_build(appends, units * REGISTERS // READINGS, uplinks, readings)}
                      for _ in range(RUNS)]
    return done


def bench_growth(table):
    points, uplinks = (100, 1000, 10000), (1, 10, 100)
    waiting = tuple(DAY_READINGS * n // 10 for n in (1, 10, 100))
    add_lines(table, "points", points, measure(points, lambda n: (n // REGISTERS, 1, DAY_READINGS)))
    add_lines(table, "readings wait", waiting, measure(waiting, lambda n: (50, 1, n)))
    # All together: what leaves by more than one was read from the store for each.
    add_lines(table, "uplinks", uplinks, measure(uplinks, lambda n: (5, n, DAY_READINGS // 10)))


GROUPS = [("growth", bench_growth)]
