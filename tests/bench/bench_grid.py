# SPDX-License-Identifier: Apache-2.0
"""bench_grid - serial lines of every speed with the shipped profiles, healthy, with dead units, and with noise.

Both masters are judged by what the simulator sent whole. The perfect master asks what the cheapest plan for each profile
asks, found here without any code of the daemon. bench.py runs it, docs/BENCHMARKS.md explains every line.
"""

import functools
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor

import yaml

from bench_bus import World, disturbance, jitter_ms, no_violation, percentile, perfect_master
from daemon import ROOT
from table import RUNS, in_folder, say, side_by_side
from wire_line import WireLine

PROFILES = os.path.join(ROOT, "config", "profiles")
FUNCTIONS = {"coil": 1, "discrete_input": 2, "holding": 3, "input": 4}
WORDS = {"int32": 2, "uint32": 2, "float32": 2, "int64": 4, "uint64": 4, "float64": 4}
NOISE = 11  # every so many answers on the line; has no factor in common with the numbers of units
EVERY_MS = 50  # the least that a configuration may say
# baud: how many lines at once, on two cores
AT_ONCE = {1200: 16, 9600: 8, 19200: 8, 115200: 3}
# condition, devices, target at 1200 to 19200 baud, at 115200
GRID = (("healthy", (1, 8, 32), 0.97, 0.95), ("dead", (8, 32), 0.92, 0.92), ("noisy", (1, 8, 32), 0.95, 0.93))


# -- what must be asked


def chosen(count):
    """So many shipped profiles: those whose devices want no pause of their own, which would be what is measured."""
    names = sorted(name[:-5] for name in os.listdir(PROFILES) if name.endswith(".yaml"))
    calm = [name for name in names if "pause" not in read_profile(name).get("limits", {})][:32]
    return {1: ["eastron-sdm630"], 8: calm[::4], 32: calm}[count]


def read_profile(name):
    with open(os.path.join(PROFILES, name + ".yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


class Cost:
    """Seconds of the line that a question and its answer take, each behind its silence; 8N1."""

    def __init__(self, baud):
        self._char_s = 10 / baud
        self._silence_s = 0.00175 if baud > 19200 else 3.5 * self._char_s

    def of(self, function, count):
        return (8 + 5 + ((count + 7) // 8 if function <= 2 else 2 * count)) * self._char_s + 2 * self._silence_s


def points_of(profile):
    """(function, address, address behind it) of each point."""
    return [(FUNCTIONS[p["register"]], p["address"], p["address"] + WORDS.get(p.get("type"), 1))
            for p in profile["points"]]


def cheapest(profile, cost):
    """The reads (function, address, count) that take least: the best of all ways to cut each table's sorted points."""
    limits, reads = profile.get("limits", {}), []
    for function in FUNCTIONS.values():
        spans = sorted((first, end) for table, first, end in points_of(profile) if table == function)
        most = limits.get("max_registers", 125)
        most = min(most * 16, 2000) if function <= 2 else most
        best = [(0.0, [])]  # of the first n points
        for end in range(1, len(spans) + 1):
            ways = []
            for begin in range(end - 1, -1, -1):
                first, last = spans[begin][0], max(span[1] for span in spans[begin:end])
                holes = [max(0, b[0] - max(s[1] for s in spans[begin:i + 1])) for i, b in
                         enumerate(spans[begin + 1:end], begin)]
                if last - first <= most and max(holes, default=0) <= limits.get("max_hole", 0):
                    ways.append((best[begin][0] + cost.of(function, last - first),
                                 best[begin][1] + [(function, first, last - first)]))
            best.append(min(ways))
        reads += best[-1][1]
    return reads


def brings(read, point):
    """Whether all of the point is in what was read."""
    function, address, count = read
    table, first, end = point
    return table == function and address <= first and end <= address + count


class Judge:
    """Of the line's time, how much went into what had to be asked: each point that an answer brings is worth its part of
    the read that brings it in the unit's cheapest poll, whatever reads the master makes of a poll, and whenever it makes
    others."""

    def __init__(self, profiles, cost):
        self.wanted = {unit: cheapest(profile, cost) for unit, profile in profiles.items()}
        self.polls_s = {unit: sum(cost.of(f, n) for f, _, n in reads) for unit, reads in self.wanted.items()}
        self._points = {}  # of each unit, with what it is worth in seconds
        for unit, profile in profiles.items():
            self._points[unit] = []
            for function, address, count in self.wanted[unit]:
                inside = [p for p in points_of(profile) if brings((function, address, count), p)]
                self._points[unit] += [(p, cost.of(function, count) / len(inside)) for p in inside]
            assert len(self._points[unit]) == len(profile["points"])

    @functools.lru_cache(maxsize=None)
    def _worth_s(self, unit, *read):
        return sum(worth_s for point, worth_s in self._points[unit] if brings(read, point))

    def share(self, times):
        done = sum(self._worth_s(*answer[:4]) for answer in times[1:])
        return done / (times[-1][4] - times[0][4]) * 1e6


# -- one line


def devices_of(names, every):
    return [{"name": "u%d" % unit, "bus": "line", "unit": unit, "every": every, "profile": name}
            for unit, name in enumerate(names, 1)]


def one_line(folder, baud, count, condition):
    cost, names = Cost(baud), chosen(count)
    judge = Judge({unit: read_profile(name) for unit, name in enumerate(names, 1)}, cost)
    dead = list(range(3, count + 1, 8)) if condition == "dead" else []
    cycle = sum(judge.polls_s.values())
    due = cycle * 1e3 / EVERY_MS  # of the line; one device at 115200 baud does not want all of it
    questions = sum(len(reads) for reads in judge.wanted.values())
    # Few answers come at 1200 baud: long enough for both that five of them are spoiled.
    least = 5 * NOISE * cycle / questions if condition == "noisy" else 0
    seconds = max(6.0, 2.3 * cycle, least)
    with WireLine(folder, baud=baud, units="1-%d" % count, registers=65536) as line:
        if condition == "noisy":
            line.order("noise", NOISE)
        line.reset()
        perfect_master(line, [(unit, *read) for unit, reads in judge.wanted.items() if unit not in dead for read in reads],
                       max(4.0, 1.5 * cycle, least))
        perfect = judge.share(line.times())
        with World(line.bus(timeout="500ms"), devices_of(names, "%dms" % EVERY_MS), profiles=PROFILES):
            time.sleep(3 + cycle)
            if dead:
                line.order("dead", ",".join(map(str, dead)))
                time.sleep(max(45.0, 4 * cycle))
            line.reset()
            time.sleep(max(20.0, seconds) if dead else seconds)
            stats, times = line.stats(), line.times()
    if condition == "healthy":
        no_violation(stats)
    assert stats["early"] == 0, stats
    return {"perfect": min(perfect, due), "ours": judge.share(times), "lag": stats["lag_max_us"]}


def paced_line(folder, baud):
    """Eight devices, asked so seldom that half of the line is free at least: how regularly each is asked, in milliseconds."""
    cost, names = Cost(baud), chosen(8)
    polls = [sum(cost.of(f, n) for f, _, n in cheapest(read_profile(name), cost)) for name in names]
    every_s = math.ceil(2 * sum(polls))
    with WireLine(folder, baud=baud, units="1-8", registers=65536) as line:
        with World(line.bus(timeout="500ms"), devices_of(names, "%ds" % every_s), profiles=PROFILES):
            time.sleep(3 * every_s)
            line.reset()
            time.sleep(max(40, 6 * every_s))
            jitter = jitter_ms(line.times(), every_s)
    return {"p50": percentile(jitter, 0.5), "p99": percentile(jitter, 0.99), "longest": max(polls) * 1e3}


def bench_paced(table):
    for baud in AT_ONCE:
        say("paced: 8 shipped profiles at %d baud (%d lines at once)" % (baud, RUNS))
        runs = side_by_side([lambda: in_folder(paced_line, baud)] * RUNS)
        for what, target in (("p50", 0.1), ("p99", 1.0)):
            table.add("paced: %d baud, jitter of the sample times, %s, of the longest poll" % (baud, what), "ms",
                      [(r[what], r["longest"]) for r in runs], target, at_most=True)


def kinds_at(baud):
    """(condition, devices, target)."""
    return [(condition, count, target_fast if baud == 115200 else target)
            for condition, counts, target, target_fast in GRID for count in counts]


def play(baud, kinds):
    """The runs of such lines (condition, devices), in their order; as many at once as two cores can play."""
    with ThreadPoolExecutor(AT_ONCE[baud]) as pool:
        return list(pool.map(lambda kind: in_folder(one_line, baud, kind[1], kind[0]), kinds))


def bench_grid(table):
    """In passes of two runs, so that a bad minute of the machine spoils two of five at most."""
    done = {}
    for begun in range(0, RUNS, 2):
        for baud in AT_ONCE:
            say("grid: %d baud, healthy, dead and noisy (from run %d)" % (baud, begun + 1))
            jobs = [kind[:2] for kind in kinds_at(baud)] * min(2, RUNS - begun)
            for kind, run in zip(jobs, play(baud, jobs)):
                done.setdefault((baud, *kind), []).append(run)
    for baud in AT_ONCE:
        for condition, count, target in kinds_at(baud):
            own = done[baud, condition, count]
            table.add("grid: %d baud, %d device%s, %s" % (baud, count, "s" if count > 1 else "", condition), "",
                      [(r["ours"], r["perfect"]) for r in own], target, note=disturbance(own))
            table.curve("line: %s, %d devices" % (condition, count), baud, [r["ours"] / r["perfect"] for r in own])


GROUPS = (("grid", bench_grid), ("paced", bench_paced))
