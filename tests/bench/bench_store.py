# SPDX-License-Identifier: Apache-2.0
"""bench_store - what the store costs in time, disk and memory, against a bare loop around SQLite.

Everything lies below build/, on a real file system. bench.py runs it, docs/BENCHMARKS.md explains every line.
"""

import json
import os
import statistics
import subprocess
import time

import settings as config_file
from daemon import ROOT, Daemon
from filled import DAY_S, Filled
from proc import memory_kib, wait_until
from table import LONG, RUNS, in_folder, say, side_by_side
from wire_line import WireTcp, program

BUILD = os.path.join(ROOT, "build")
MIB = 1 << 20
MILLION = 1000000
CAP = 64 * MIB
READINGS = 10  # in a sample, where nothing else is said
PAGE_OF_SQLITE = 4096
PAGE_OF_STORE = 2048
LOG_OF_STORE = MIB  # with its cap of 1 GiB


def run(name, *argv):
    """Runs one of the programs to its end; what it says."""
    argv = [program("bench", name), *map(str, argv)]
    return json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)


def below_build(function, *arguments):
    return in_folder(function, *arguments, below=BUILD)


# -- the cases


def speed(folder, max_bytes, seconds):
    """Samples a second of 8 readings in each tenth of a second, before the first was dropped and after."""
    told = run("bench_store", "rate", os.path.join(folder, "s.db"), 8, max_bytes, seconds)
    tenths = told["tenths"]
    # After a pause of the machine two looks may fall into one moment.
    rates = [((b[1] - a[1]) / (b[0] - a[0]), a[2] > 0, b[2] > 0) for a, b in zip(tenths, tenths[1:]) if b[0] > a[0]]
    below = [rate for rate, _, dropped in rates if not dropped]
    at_cap = [rate for rate, dropped, _ in rates if dropped]
    return {"below": statistics.mean(below), "at_cap": statistics.mean(at_cap) if at_cap else None,
            "size": max(tenth[3] for tenth in tenths), "allocations": told["append_allocations"]}


def bare_speed(folder, samples=3 * MILLION, commits=15):
    """Samples a second of 8 readings that the bare loop keeps, with a commit about every second."""
    told = run("bare_sqlite", "bytes", os.path.join(folder, "b.db"), 8, samples, commits, PAGE_OF_SQLITE)
    return samples / told["seconds"]


def database_bytes(folder, points, samples=50000):
    """Of a reading, once the log is in the database."""
    path = os.path.join(folder, "s%d.db" % points)
    run("bench_store", "fill", path, points + 1, 1)  # the first layout takes a byte less in every row than all others
    run("bench_store", "fill", path, points, samples)
    run("bench_store", "drain", path, points)
    return os.path.getsize(path) / (samples * points)


def written(folder, samples, seconds=600, times=40):
    """Bytes written to the disk for a reading: the store, and the bare loop with as many commits."""
    ours = run("bench_store", "bytes", os.path.join(folder, "s.db"), READINGS, samples, seconds, times)

    def bare(page):
        told = run("bare_sqlite", "bytes", os.path.join(folder, "b%d.db" % page), READINGS, ours["samples"],
                   ours["commits"], page)
        return told["written"] / ours["samples"] / READINGS

    return ours["written"] / ours["samples"] / READINGS, bare(PAGE_OF_SQLITE), bare(PAGE_OF_STORE)


def latency(folder, samples, slices=5, commits=100):
    """Median and 99th percentile of the store and of the bare loop, in short turns: the machine changes by the second."""
    ours, bare = [], []
    for i in range(slices):
        path = os.path.join(folder, "%d.db" % i)
        ours.append(run("bench_store", "commits", path, READINGS, samples, commits))
        bare.append(run("bare_sqlite", "commits", path + "-bare", READINGS, samples * commits, commits, PAGE_OF_SQLITE,
                        LOG_OF_STORE // PAGE_OF_SQLITE))
    return {what: (statistics.median(o[what] for o in ours), statistics.median(b[what] for b in bare))
            for what in ("p50_ms", "p99_ms")}


def backlog(folder, readings):
    path = os.path.join(folder, "s.db")
    filled = run("bench_store", "fill", path, READINGS, readings // READINGS)
    started = run("bench_store", "drain", path, READINGS)
    assert started["records"] > readings // READINGS, (filled, started)
    return {"early": filled["anonymous_kb_early"], "full": filled["anonymous_kb"], "ready": started["ready_s"],
            "rate": started["records"] / started["seconds"], "drained": started["anonymous_kb"]}


def forget_cached(path):
    """As after a boot: nothing of the file is in memory."""
    with open(path, "rb") as file:
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def starts(folder, readings, units=50, registers=20):
    """Starts of the whole daemon with so many readings waiting for an uplink that is not there: seconds until READY and
    until the first answer of a device, and anonymous KiB a moment later. The first start follows an orderly stop, the
    others a kill."""
    state, path = os.path.join(folder, "state"), os.path.join(folder, "fieldgate.yaml")
    os.makedirs(state)
    seen = []
    with WireTcp("1-%d" % units, registers) as endpoint:
        points = [{"name": "r%02d" % n, "register": "holding", "address": n} for n in range(registers)]
        config_file.write(path, {
            "gateway": {"id": "bench"}, "store": {"path": os.path.join(state, "buffer.db"), "max_size": "8GiB"},
            "clock": {"trust": "always"}, "buses": [endpoint.bus()],
            "devices": [{"name": "u%d" % u, "bus": "line", "unit": u, "every": "1s", "points": points}
                        for u in range(1, units + 1)],
            "uplinks": [config_file.uplink("mqtt://127.0.0.1:1")]})
        days = max(1, readings // MILLION)  # of a million each, and the rest of a day later
        rounds = readings // days // (units * registers)
        if rounds:
            Filled.until_yesterday(path, days, DAY_S // rounds).fill()
        with Daemon(folder, path, state_dir=state) as daemon:
            for _ in range(RUNS):
                if os.path.exists(os.path.join(state, "buffer.db")):
                    forget_cached(os.path.join(state, "buffer.db"))
                endpoint.reset()
                daemon.start(wait=False)
                ready = daemon.wait_ready(60)
                wait_until(endpoint.times, 10, "an answer")
                status = daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] >= readings // registers, 10)
                assert status["uplinks"][0]["delivered"] == 0, status
                seen.append((ready, endpoint.times()[0][4] / 1e6, memory_kib(daemon.pid)[0]))
                daemon.kill()
    return seen


# -- the groups


def bench_append(table):
    say("append: 8 readings a sample, as fast as the store takes them; then at the cap of 64 MiB")
    runs, bare = zip(*[(below_build(speed, CAP, 15), below_build(bare_speed)) for _ in range(RUNS)])
    table.add("append: samples a second, of 100,000", "/s", [(r["below"], 1e5) for r in runs], 1.0)
    table.add("append: samples a second, of bare SQLite's", "/s", [(r["below"], b) for r, b in zip(runs, bare)], 0.5)
    table.add("append: allocations by store_append(), plus one", "", [(r["allocations"] + 1, 1) for r in runs], 1.0,
              at_most=True)
    table.add("append: the same at the cap, of 100,000", "/s", [(r["at_cap"], 1e5) for r in runs], 1.0)
    table.add("append: the same at the cap, of what it was below", "/s", [(r["at_cap"], r["below"]) for r in runs], 0.5)
    table.add("append: largest size of database and log, of the cap", "B", [(r["size"], CAP) for r in runs], 1.0,
              at_most=True)


def bench_size(table):
    say("size: bytes of database for a reading")
    for points in (8, 20):
        table.add("size: %d readings a sample" % points, "B", [(below_build(database_bytes, points), 9.0)], 1.0,
                  at_most=True)
    small = ["%d: %.1f" % (points, below_build(database_bytes, points)) for points in (1, 2, 3, 5)]
    table.rows[-1]["note"] = "bytes of database for a reading in smaller samples: %s" % ", ".join(small)


def bench_written(table):
    say("written: bytes written to the disk for a reading, ten minutes of store time at each rate")
    rates = (1, 10, 100)
    for samples, runs in zip(rates, zip(*(side_by_side([lambda n=n: below_build(written, n) for n in rates])
                                          for _ in range(RUNS)))):
        name = "written: %d readings a second" % (samples * READINGS)
        table.add(name + ", of bare SQLite's", "B", [(ours, bare) for ours, bare, _ in runs], 1.3, at_most=True)
        table.add(name + ", with our page size", "B", [(ours, bare) for ours, _, bare in runs], 1.3, at_most=True)


def bench_commit(table):
    say("commit: from BEGIN to the end of COMMIT")
    for samples in (1, 10, 100):
        runs = [below_build(latency, samples) for _ in range(RUNS)]
        for what, target in (("p50_ms", 1.3), ("p99_ms", 2.0)):
            table.add("commit: %s of %d samples, of bare SQLite's" % (what[:3], samples), "ms", [r[what] for r in runs],
                      target, at_most=True)


def bench_backlog(table):
    readings = 50000000 if LONG else 10000000
    say("backlog: %d million readings wait" % (readings // 1000000))
    runs = [below_build(backlog, readings) for _ in range(1 if LONG else RUNS)]
    table.add("backlog: anonymous memory, of that with a tenth", "kB", [(r["full"], r["early"]) for r in runs], 1.1,
              at_most=True)
    table.add("backlog: anonymous memory, of 6 MiB", "kB", [(max(r["full"], r["drained"]), 6144) for r in runs], 1.0,
              at_most=True)
    table.add("backlog: until the first batch, of a second", "s", [(r["ready"], 1.0) for r in runs], 1.0, at_most=True)
    table.add("backlog: samples handed out a second, of 100,000", "/s", [(r["rate"], 1e5) for r in runs], 1.0)


def bench_start(table):
    for readings in (0, MILLION // 10, MILLION, 2 * MILLION, 10 * MILLION, 50 * MILLION):
        name = "start: %g million readings wait, " % (readings / MILLION)
        say(name + "nothing cached")
        runs = below_build(starts, readings)
        table.add(name + "until READY, of a second", "s", [(ready, 1) for ready, _, _ in runs], 1, at_most=True)
        table.add(name + "until a device answered, of a second", "s", [(first, 1) for _, first, _ in runs], 1,
                  at_most=True)
        table.add(name + "anonymous memory, of 6 MiB", "KiB", [(kib, 6144) for _, _, kib in runs], 1, at_most=True)
        if readings:
            table.curve("backlog: start", readings, [ready for ready, _, _ in runs])
            table.curve("backlog: anonymous", readings, [kib for _, _, kib in runs])


GROUPS = (("append", bench_append), ("size", bench_size), ("written", bench_written), ("commit", bench_commit),
          ("backlog", bench_backlog), ("start", bench_start))
