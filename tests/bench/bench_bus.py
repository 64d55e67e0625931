# SPDX-License-Identifier: Apache-2.0
"""bench_bus - how near the daemon comes to the limit of the wire, measured by the simulators' own counts.

BENCH_LONG=1 adds what only shows after minutes; bench.py runs it, docs/BENCHMARKS.md explains every line.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time

import settings as config_file
from broker import Broker
from daemon import Daemon
from table import LONG, RUNS, in_folder, processor_s, say, side_by_side
from wire_line import WireLine, WireTcp, program

UNITS = 10  # on the serial line
REGISTERS = 20  # of each
DEAD = (2, 5, 8)
LAG_MAX_US = 10000  # how late the simulator may be and still be the line that it plays


# -- running things


class World:
    """A daemon with its own broker, reading one bus. Leaving it stops both and removes their folder."""

    def __init__(self, bus, devices, profiles=None):
        self.folder = tempfile.mkdtemp(prefix="fg-bench-")
        self.broker = Broker(os.path.join(self.folder, "broker")).start()
        state = os.path.join(self.folder, "state")
        path = os.path.join(self.folder, "fieldgate.yaml")
        os.makedirs(state)
        config_file.write(path, {
            "gateway": {"id": "bench"}, "store": {"path": os.path.join(state, "buffer.db")},
            "clock": {"trust": "always"}, "buses": [bus], "devices": devices,
            "uplinks": [config_file.uplink(self.broker.url)]})
        self.daemon = Daemon(self.folder, path, profiles=profiles, state_dir=state).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code, _ = self.daemon.stop()
        self.daemon.close()
        self.broker.kill()
        assert code == 0, "the daemon ended with %s" % code
        shutil.rmtree(self.folder)


def device(unit, every, blocks=1, registers=REGISTERS):
    """`blocks` runs of registers with one between them that nobody has described: a request each."""
    points = [{"name": "b%02d-r%02d" % (b, r), "register": "holding", "address": b * (registers + 1) + r}
              for b in range(blocks) for r in range(registers)]
    return {"name": "u%d" % unit, "bus": "line", "unit": unit, "every": every, "points": points}


def reference(name, *argv, told="", core=None):
    """Runs a reference master to its end, told this on stdin; what it says."""
    pinned = [] if core is None or os.cpu_count() < 2 else ["taskset", "-c", str(core)]
    argv = [*pinned, program("bench", name), *map(str, argv)]
    return json.loads(subprocess.run(argv, check=True, input=told, stdout=subprocess.PIPE, text=True).stdout)


def perfect_master(line, questions, seconds):
    """Asks these again and again: (unit, function, address, count)."""
    told = "".join("%d %d %d %d\n" % question for question in questions)
    return reference("perfect_master", line.port, line.baud, line.format, seconds, told=told)


def measure(simulator, seconds):
    """What the simulator counted in so many seconds."""
    simulator.reset()
    time.sleep(seconds)
    return simulator.stats()


def rate(stats, units=None):
    """Answers a second, of these units (default: all)."""
    return sum(u["answered"] for n, u in stats["units"].items() if units is None or int(n) in units) / stats["seconds"]


def longest_ms(stats, units=None):
    return max(u["longest_ms"] for n, u in stats["units"].items() if units is None or int(n) in units)


def pin(core, *pids):
    """Keeps whole processes on one core, where there are two: who shares a core with whom halves or doubles the rate
    of questions and answers without any pause, and the kernel changes its mind about that by the second."""
    if os.cpu_count() < 2:
        return
    for pid in pids:
        for task in os.listdir("/proc/%d/task" % pid):
            os.sched_setaffinity(int(task), {core})


def in_parallel(function, times):
    """Runs it so many times at once, for what takes minutes and next to no processor time."""
    return side_by_side([lambda: in_folder(function)] * times)


# -- the results


def disturbance(runs):
    """A note when the machine held up a simulator."""
    worst = max(r["lag"] for r in runs)
    return "this machine held up a simulator for up to %.0f ms" % (worst / 1e3) if worst > LAG_MAX_US else ""


# -- the cases


def perfect_rate(line, seconds=8):
    line.reset()
    told = perfect_master(line, [(unit, 3, 0, REGISTERS) for unit in range(1, UNITS + 1)], seconds)
    counted = line.answered()
    assert abs(counted - told["answered"]) <= 1, (counted, told)
    return counted / told["seconds"]


def serial_world(line, every="50ms", **bus):
    return World(line.bus(timeout="500ms", **bus), [device(u, every) for u in range(1, UNITS + 1)])


def no_violation(stats):
    """Silences are judged by what was really sent and hold always; that two talked at once means nothing when the
    machine stopped the simulator in mid-answer."""
    for what in ("early", "wrong_speed") + (("collisions", "torn", "bad") if stats["lag_max_us"] < LAG_MAX_US else ()):
        assert stats[what] == 0, "%s: %d\n%s" % (what, stats[what], json.dumps(stats))


def full_line(folder, seconds=15):
    """One line, all units well: the perfect master, then the daemon."""
    with WireLine(folder, units="1-%d" % UNITS, registers=REGISTERS) as line:
        perfect = perfect_rate(line)
        with serial_world(line):
            time.sleep(3)  # first polls are spread over two seconds
            stats = measure(line, seconds)
    no_violation(stats)
    return {"perfect": perfect, "rate": rate(stats), "longest_s": longest_ms(stats) / 1e3,
            "gap_min": stats["gap_min_us"], "silence": stats["silence_us"], "lag": stats["lag_max_us"]}


def dead_line(folder):
    """Three of ten units die; the rate of the living in the first two minutes, and after five."""
    with WireLine(folder, units="1-%d" % UNITS, registers=REGISTERS) as line:
        living = [u for u in range(1, UNITS + 1) if u not in DEAD]
        result = {"perfect": perfect_rate(line)}
        with serial_world(line):
            time.sleep(5)
            line.order("dead", ",".join(map(str, DEAD)))
            stats = measure(line, 120)
            no_violation(stats)
            result.update(early=rate(stats, living), lag=stats["lag_max_us"])
            if LONG:
                time.sleep(180)
                stats = measure(line, 120)
                no_violation(stats)
                result.update(late=rate(stats, living), lag=max(result["lag"], stats["lag_max_us"]))
    return result


def tcp_rates(latency, units, blocks, registers, slices):
    """Alternates bare libmodbus and the daemon (stopped meanwhile) on one endpoint: pairs of rates.

    Slices are short and side by side, because what else this machine does changes by the second.
    """
    def run(folder):
        pairs = []
        with WireTcp("1-%d" % units, blocks * (registers + 1)) as endpoint:
            endpoint.order("latency", "all", latency)
            endpoint.order("book off")
            devices = [device(u, "50ms", blocks, registers) for u in range(1, units + 1)]
            with World(endpoint.bus(timeout="1s"), devices) as world:
                pin(0, endpoint.pid)
                pin(1, world.daemon.pid)
                time.sleep(4)
                for _ in range(slices):
                    world.daemon.freeze()
                    bare = reference("bare_modbus", endpoint.port, units, registers, blocks, 1.5, core=1)
                    world.daemon.thaw()
                    time.sleep(0.5)
                    ours = rate(measure(endpoint, 1.5))
                    pairs.append((ours, bare["answered"] / bare["seconds"]))
        return pairs

    return in_folder(run)


def jitter_ms(times, period_s):
    """By how much the time between two answers of a unit differs from its period: sorted."""
    last, jitter = {}, []
    for unit, _, address, _, us in times:
        if (unit, address) in last:
            jitter.append(abs((us - last[unit, address]) / 1e3 - period_s * 1e3))
        last[unit, address] = us
    return sorted(jitter)


def percentile(ordered, part):
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


BARE_ROWS = {"rows": (2, "in two rows, too"), "bare": (1, "all in a row"), "spread": (50, "each by itself")}


def each_second(folder, units=50, seconds=20):
    """50 units of 20 registers, each once a second: bare libmodbus, in rows of several lengths, then the daemon, as the simulator
    sees them."""
    result = {}
    with WireTcp("1-%d" % units, REGISTERS) as endpoint:
        def seen(name, processor_s):
            jitter = jitter_ms(endpoint.times(), 1)
            result[name] = {"rate": rate(endpoint.stats()), "p50": percentile(jitter, 0.5), "p99": percentile(jitter, 0.99),
                            "processor": processor_s}

        for name, (rows, _) in BARE_ROWS.items():
            endpoint.reset()
            told = reference("bare_modbus", endpoint.port, units, REGISTERS, 1, seconds, 1, rows)
            seen(name, told["processor_s"] / told["answered"] * 1e6)
        with World(endpoint.bus(timeout="500ms"), [device(u, "1s") for u in range(1, units + 1)]) as world:
            time.sleep(5)
            endpoint.reset()
            used = processor_s(world.daemon.pid)
            time.sleep(seconds)
            seen("ours", (processor_s(world.daemon.pid) - used) / endpoint.answered() * 1e6)
    return result


def silent_unit(folder, units=50, seconds=60):
    """50 units at 1 s on one endpoint; one falls silent: what the 49 get of their periods."""
    with WireTcp("1-%d" % units, REGISTERS) as endpoint:
        with World(endpoint.bus(timeout="500ms"), [device(u, "1s") for u in range(1, units + 1)]):
            time.sleep(5)
            endpoint.order("dead 25")
            stats = measure(endpoint, seconds)
    living = [u for u in range(1, units + 1) if u != 25]
    return {"rate": rate(stats, living) / len(living), "longest_s": longest_ms(stats, living) / 1e3}


# -- the groups


def bench_line(table):
    say("line: 10 units x 20 registers, 9600 8N1, as fast as possible")
    runs = [in_folder(full_line) for _ in range(RUNS)]
    table.add("line: answers a second, of the perfect master's", "/s", [(r["rate"], r["perfect"]) for r in runs], 0.98,
              note=disturbance(runs))
    table.add("line: longest wait of a unit, in cycles", "s", [(r["longest_s"], UNITS / r["rate"]) for r in runs], 1.2,
              at_most=True)
    table.add("line: shortest silence, of the 3.5 characters", "us", [(r["gap_min"], r["silence"]) for r in runs], 1.0)


def bench_dead(table):
    say("dead: the same line, 3 of 10 units die (%d lines at once)" % RUNS)
    runs = in_parallel(dead_line, RUNS)
    short = "" if LONG else "3 of 10 dead: the first two minutes only; BENCH_LONG=1 also measures after five"
    short = "; ".join(filter(None, (short, disturbance(runs))))
    table.add("dead: the living's answers, first two minutes", "/s", [(r["early"], r["perfect"]) for r in runs], 0.88,
              note=short)
    if LONG:
        table.add("dead: the living's answers, after five minutes", "/s", [(r["late"], r["perfect"]) for r in runs],
                  0.95)


def bench_tcp(table):
    say("tcp: one connection, against bare libmodbus")
    table.add("tcp: requests a second, of bare libmodbus'", "/s", tcp_rates("0ms", 240, 20, 1, 2 * RUNS), 0.8)
    table.add("tcp: the same, the device takes 1 ms", "/s", tcp_rates("1ms", 100, 1, REGISTERS, 2 * RUNS), 0.97)


def bench_second(table):
    say("second: 50 units x 20 registers each second, against bare libmodbus (%d endpoints at once)" % RUNS)
    runs = in_parallel(each_second, RUNS)
    table.add("second: answers a second, of 50", "/s", [(r["ours"]["rate"], 50) for r in runs], 0.99)
    for what in ("p50", "p99"):
        table.add("second: jitter of the sample times, %s, of 1 %% of the period" % what, "ms",
                  [(r["ours"][what], 10) for r in runs], {"p50": 0.1, "p99": 1.0}[what], at_most=True)
        table.add("second: jitter of the sample times, %s, of bare libmodbus'" % what, "ms",
                  [(r["ours"][what], r["bare"][what]) for r in runs], None)
    for name, (_, how) in BARE_ROWS.items():
        table.add("second: processor for a poll, of bare libmodbus' (keeps nothing), %s" % how, "us",
                  [(r["ours"]["processor"], r[name]["processor"]) for r in runs], None)


def bench_silent(table):
    say("silent: 50 units at 1 s on one TCP endpoint, one falls silent (%d endpoints at once)" % RUNS)
    runs = in_parallel(silent_unit, RUNS)
    table.add("silent: answers of the 49 in a period", "", [(r["rate"], 1.0) for r in runs], 0.99)
    table.add("silent: longest wait of the 49, in periods", "s", [(r["longest_s"], 1.0) for r in runs], 2.0,
              at_most=True)


GROUPS = (("line", bench_line), ("tcp", bench_tcp), ("second", bench_second), ("silent", bench_silent), ("dead", bench_dead))
