#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench - every benchmark against a reference in the same run; docs/BENCHMARKS.md explains every line.

BENCH_RUNS=n: how often each figure is taken (5). BENCH_LONG=1 adds what only shows after minutes. BENCH_ONLY=store,dead
runs only parts or groups of that name. Prints a table, writes build/bench.json; what is there of other groups stays.

`bench.py list` only says which parts and groups there are.

Exit 0 when every figure reaches its target, 1 otherwise, 64 for a name that nothing has or a number that is none.
"""

import os
import sys
import time

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(_TESTS, folder) for folder in ("sim", "tools")]

import bench_broker  # noqa: E402
import bench_bus  # noqa: E402
import bench_footprint  # noqa: E402
import bench_grid  # noqa: E402
import bench_growth  # noqa: E402
import bench_live  # noqa: E402
import bench_store  # noqa: E402
import bench_storm  # noqa: E402
import bench_uplink  # noqa: E402
import bench_waiting  # noqa: E402
import bench_warehouse  # noqa: E402
from daemon import ROOT, default_binary  # noqa: E402
from table import RUNS, Table, machine  # noqa: E402

PARTS = {"bus": bench_bus.GROUPS + bench_grid.GROUPS, "store": bench_store.GROUPS,
         "uplink": [*bench_uplink.GROUPS, *bench_live.GROUPS, *bench_waiting.GROUPS],
         "footprint": bench_footprint.GROUPS, "growth": bench_growth.GROUPS,
         "broker": [*bench_broker.GROUPS, *bench_warehouse.GROUPS, *bench_storm.GROUPS]}


def chosen(only):
    """The groups to run; None when a name is nobody's."""
    known = set(PARTS) | {name for groups in PARTS.values() for name, _ in groups}
    if set(only) - known:
        print("BENCH_ONLY: there is no %s; there are %s" % (", ".join(sorted(set(only) - known)),
                                                            " ".join(sorted(known))), file=sys.stderr)
        return None
    return [(name, bench) for part, groups in PARTS.items() for name, bench in groups
            if not only or part in only or name in only]


def main():
    if sys.argv[1:] == ["list"]:
        print("\n".join("%s: %s" % (part, " ".join(name for name, _ in groups)) for part, groups in PARTS.items()))
        return 0
    benches = chosen([name for name in os.environ.get("BENCH_ONLY", "").split(",") if name])
    if benches is None:
        return 64
    table = Table()
    begin = time.monotonic()
    for name, bench in benches:
        table.begin(name)
        bench(table)
    table.print()
    print("%s, %d cores, load %.1f; %d runs, %d s" % (*list(machine().values())[:2], os.getloadavg()[0], RUNS,
                                                     time.monotonic() - begin))
    table.write(os.path.join(ROOT, "build", "bench.json"), binary=default_binary())
    return 0 if table.reached() else 1


if __name__ == "__main__":
    sys.exit(main())
