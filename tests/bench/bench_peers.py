#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench_peers - fieldgate, collectd and Node-RED at the same work; docs/PEERS.md explains every column.

PEER_RUNS=n: how often each figure is taken (5). PEER_SECONDS=n: how long each case is watched, and how long the broker is
away (60). PEER_ONLY=steady,collectd runs only cases or peers of that name. Prints a table, and writes build/bench-peers.json
after each run.

`bench_peers.py list` prints these names and measures nothing.

Exit 0 when everything was measured, 1 otherwise, 64 for a name that nothing has. There are no targets.
"""

import functools
import json
import os
import statistics
import sys
import time

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(_TESTS, folder) for folder in ("sim", "tools")]

from broker import Broker  # noqa: E402
from daemon import ROOT  # noqa: E402
from environment import whole  # noqa: E402
from peer_kinds import KINDS, Work  # noqa: E402
from peer_ledger import Book, Verdict  # noqa: E402
from proc import memory_kib  # noqa: E402
from subscriber import Subscriber  # noqa: E402
from table import in_folder, machine, processor_s, say, side_by_side  # noqa: E402
from wire_line import WireLine, WireTcp  # noqa: E402
from witness import now_ms  # noqa: E402

RUNS = whole("PEER_RUNS", 5)
SECONDS = whole("PEER_SECONDS", 60)
WARM_UP = 15  # until each has started, connected and found its rhythm
AFTER = 5  # for what is on its way when the window ends
RESTART = 5  # after a kill, as Restart= and RestartSec= of a service would have it
PATIENCE = 90  # for what was kept in an outage; whoever reconnects does so within 60 s
LATE_MS = 600  # so much later than usual a late answer comes; every master waits 500 ms


OUTAGES = ("closed", "frozen", "killed")


class World:
    """A simulator's broker and subscriber, and the peer that works between them."""

    def __init__(self, folder, name, simulator, units, blocks, interval_s):
        self.simulator = simulator
        self.work_s = interval_s
        self.readings = len(units) * sum(count for _, count in blocks)
        self.broker = Broker(os.path.join(folder, "broker")).start()
        self.subscriber = Subscriber(self.broker.port).start()
        where = {"tcp_port": simulator.port} if isinstance(simulator, WireTcp) else \
            {"serial": simulator.port, "baud": simulator.baud}
        own = os.path.join(folder, "peer")
        os.makedirs(own)
        self.peer = KINDS[name](own, Work(tuple(units), tuple(blocks), interval_s, self.broker.port, **where))

    def expected(self, seconds):
        return self.readings * seconds / self.work_s

    def verdict(self, begin, end):
        return Verdict(Book(self.simulator), self.subscriber.messages(), self.peer.readings, begin, end,
                       500 * self.work_s)

    def assert_running(self):
        assert self.peer.running, "it ended:\n" + self.peer.log()[-3000:]

    def __enter__(self):
        self.peer.start()
        return self

    def __exit__(self, *_):
        self.peer.kill()
        self.subscriber.stop()
        self.broker.kill()


def share(part, whole):
    """In percent."""
    return 100.0 * part / whole if whole else 0.0


def percentile(ordered, p):
    return ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))] if ordered else 0


# -- the cases: each gives {column: figure} of one run


def steady(folder, name):
    """Modbus TCP, 50 devices of 20 registers, each once a second."""
    with WireTcp("1-50", 20) as simulator, World(folder, name, simulator, range(1, 51), [(0, 20)], 1) as world:
        time.sleep(WARM_UP)
        world.assert_running()
        begin, used, resident = now_ms(), processor_s(world.peer.pid), []
        for _ in range(SECONDS):
            time.sleep(1)
            resident.append(memory_kib(world.peer.pid).resident)
        end, used = now_ms(), processor_s(world.peer.pid) - used
        time.sleep(AFTER)
        world.assert_running()
        verdict = world.verdict(begin, end)
    seconds, polled = (end - begin) / 1000, verdict.polled(1000)
    off = sorted(abs(gap - 1000) for gap in verdict.gaps)
    return {"polled": 100 * polled, "delivered": polled * share(verdict.delivered, verdict.served),
            "wrong": verdict.wrong,
            "off_p50": percentile(off, 50), "off_p99": percentile(off, 99), "processor": share(used, seconds),
            "resident": statistics.median(resident) / 1024, "age_p50": percentile(verdict.ages, 50),
            "age_p99": percentile(verdict.ages, 99)}


def late(folder, name):
    """A serial line, 3 devices of 2 x 5 registers every 2 s; every fifth answer of one of them comes after the timeout."""
    blocks = [(0, 5), (10, 5)]
    with WireLine(folder, units="1-3", registers=20) as simulator:
        simulator.order("strict off")  # most devices forgive a question that comes too soon, and two peers ask so
        simulator.order("late", 2, "%dms" % LATE_MS, "every", 5)
        with World(folder, name, simulator, range(1, 4), blocks, 2) as world:
            time.sleep(WARM_UP)
            world.assert_running()
            begin = now_ms()
            time.sleep(2 * SECONDS)
            end = now_ms()
            time.sleep(AFTER)
            world.assert_running()
            verdict = world.verdict(begin, end)
    return {"late_good": share(verdict.good, world.expected((end - begin) / 1000)), "late_wrong": verdict.wrong,
            "late_stale": verdict.stale}


def outage(folder, name, how):
    """Modbus TCP, 10 devices of 20 registers, each once a second; the broker is away for a while: stopped, so that every
    connection ends ("closed"), or silent with its connections open ("frozen"); or it is stopped and the peer is killed
    halfway ("killed")."""
    with WireTcp("1-10", 20) as simulator, World(folder, name, simulator, range(1, 11), [(0, 20)], 1) as world:
        time.sleep(WARM_UP)
        world.assert_running()
        begin = now_ms()
        time.sleep(5)
        away = time.monotonic()
        (world.broker.freeze if how == "frozen" else world.broker.stop)()
        if how == "killed":
            time.sleep(SECONDS / 2)
            world.peer.kill()
            time.sleep(min(RESTART, SECONDS / 4))
            world.peer.start()
        time.sleep(max(0.0, away + SECONDS - time.monotonic()))
        (world.broker.thaw if how == "frozen" else world.broker.start)()
        end, back = now_ms(), time.monotonic()
        verdict = world.verdict(begin, end)
        while verdict.lost and time.monotonic() < back + PATIENCE:
            time.sleep(10)
            verdict = world.verdict(begin, end)
        world.assert_running()
    return {how + "_polled": 100 * verdict.polled(1000), how + "_served": verdict.served, how + "_lost": verdict.lost,
            how + "_lost_share": share(verdict.lost, verdict.served), how + "_wrong": verdict.wrong}


# -- running them


def told(function, name, *arguments):
    """What a case gives in a folder of its own; an error says which case it was."""
    try:
        return in_folder(function, name, *arguments)
    except Exception as error:
        raise RuntimeError("%s: %s" % (" ".join((name, function.__name__, *arguments)), error)) from error


def run(names, cases):
    """One run of the cases with all peers: {name: {column: figure}}."""
    found = {name: {} for name in names}
    if "steady" in cases:
        for name in names:  # one after the other, because processor time is measured
            found[name].update(told(steady, name))
    # The others wait most of their time. The simulator of a serial line is delicate: the outages have no part in it.
    for jobs in ([(late, name) for name in names if "late" in cases],
                 [(outage, name, how) for name in names for how in OUTAGES if "outage" in cases]):
        for job, figures in zip(jobs, side_by_side([functools.partial(told, *job) for job in jobs])):
            found[job[1]].update(figures)
    return found


COLUMNS = (  # key, head, format
    ("polled", "polled %", "%.1f"), ("off_p50", "off p50 ms", "%.0f"), ("off_p99", "off p99 ms", "%.0f"),
    ("delivered", "delivered %", "%.1f"), ("age_p50", "age p50 ms", "%.0f"), ("processor", "core %", "%.1f"),
    ("resident", "MiB", "%.1f"), ("late_good", "late: delivered %", "%.1f"), ("late_wrong", "late: wrong", "%.0f"),
    ("late_stale", "late: stale", "%.0f"), ("closed_lost_share", "outage: lost %", "%.2f"),
    ("frozen_lost_share", "frozen: lost %", "%.2f"), ("killed_lost_share", "outage and kill -9: lost %", "%.2f"))


def summary(runs):
    """{column: {median, least, greatest}} of one peer's runs."""
    return {key: {"median": statistics.median(values), "least": min(values), "greatest": max(values)}
            for key in runs[0] for values in [[r[key] for r in runs]]}


def print_table(summaries):
    columns = [c for c in COLUMNS if any(c[0] in s for s in summaries.values())]

    def cell(figures, key, form):
        if key not in figures:
            return "-"
        figure = figures[key]
        spread = [form % figure[which] for which in ("least", "greatest")]
        return form % figure["median"] + ("" if spread[0] == spread[1] else " (%s-%s)" % tuple(spread))

    lines = [["", *summaries]] + [[head] + [cell(s, key, form) for s in summaries.values()]
                                  for key, head, form in columns]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def write(path, figures, **found):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": machine(), "runs": len(figures), "seconds": SECONDS, **found, "figures": figures}, file,
                  indent=2)
        file.write("\n")


def chosen():
    """(peers, cases); None when a name is nobody's."""
    cases = ("steady", "late", "outage")
    only = [name for name in os.environ.get("PEER_ONLY", "").split(",") if name]
    if set(only) - set(KINDS) - set(cases):
        print("PEER_ONLY: there are %s" % " ".join((*cases, *KINDS)), file=sys.stderr)
        return None
    return [n for n in KINDS if n in only] or list(KINDS), [c for c in cases if c in only] or list(cases)


def main():
    choice = chosen()
    if choice is None:
        return 64
    names, cases = choice
    if sys.argv[1:] == ["list"]:
        print(" ".join((*cases, *names)))
        return 0
    begin, runs, load = time.monotonic(), [], os.getloadavg()[0]
    versions = {name: KINDS[name].versions() for name in names}
    for i in range(RUNS):
        say("run %d of %d: %s with %s" % (i + 1, RUNS, ", ".join(cases), ", ".join(names)))
        runs.append(run(names, cases))
        summaries = {name: summary([r[name] for r in runs]) for name in names}
        write(os.path.join(ROOT, "build", "bench-peers.json"), runs, versions=versions, summary=summaries)
    print_table(summaries)
    for name, parts in versions.items():
        print("%s: %s" % (name, ", ".join("%s %s" % part for part in parts.items())))
    print("%s, %d cores, load %.1f before and %.1f after; %d runs of %d s, %d s in all" % (
        *list(machine().values())[:2], load, os.getloadavg()[0], RUNS, SECONDS, time.monotonic() - begin))
    return 0


if __name__ == "__main__":
    sys.exit(main())
