# SPDX-License-Identifier: Apache-2.0
"""bench_warehouse - how fast PostgreSQL takes readings and how many bytes it keeps, for docs/PROVINCE.md.

The schema of docs/examples/postgresql with the messages of a real backlog, each in a transaction of its own as
consumer.js does it. Skipped without a PostgreSQL server (`make interop` installs one). bench.py runs it,
docs/BENCHMARKS.md explains every line.
"""

import json
import os
import sys
import time

from bench_uplink import CHOICES, World, collected
from daemon import ROOT
from table import RUNS, in_folder, say

sys.path.append(os.path.join(ROOT, "tests", "interop"))
from postgres import Postgres, programs  # noqa: E402

EXAMPLE = os.path.join(ROOT, "docs", "examples", "postgresql")
SHORT = 3  # samples of a live message
NEEDED = 10000 * 40 / 60  # readings a second of the province that docs/PROVINCE.md works out
GATEWAYS = 4


def day(folder):
    """The messages of one gateway's day at 40 readings a minute; and how many readings are in them."""
    with World(folder, 1, 60, **CHOICES[0].options) as world:
        messages = [json.loads(body) for body in collected(world)]
    return messages, sum(len(s["values"]) for m in messages for s in m.get("samples", ()))


def shortened(messages):
    """The same samples in short messages."""
    return [{**message, "samples": message["samples"][at:at + SHORT], "events": []}
            for message in messages for at in range(0, len(message.get("samples", ())), SHORT)]


def statements(messages, gateway):
    texts = (json.dumps({**message, "gateway": gateway}, separators=(",", ":")) for message in messages)
    return "".join("SELECT take_data('%s');\n" % text.replace("'", "''") for text in texts)


def take(database, messages, readings, names):
    """Readings a second."""
    scripts = [statements(messages, name) for name in names]
    begin = time.monotonic()
    for script in scripts:
        database.rows(script)
    return readings * len(scripts) / (time.monotonic() - begin)


def warehouse(folder, messages, readings):
    """Readings a second in long and in short messages; bytes of a reading in both tables with their indexes."""
    os.chmod(folder, 0o711)
    with Postgres(os.path.join(folder, "postgres")) as database:
        database.load(os.path.join(EXAMPLE, "schema.sql"))
        long = take(database, messages, readings, ["gateway-%06d" % n for n in range(GATEWAYS)])
        octets = sum(int(database.one("SELECT pg_total_relation_size('%s')" % name)) for name in ("record", "reading"))
        stored = int(database.one("SELECT count(*) FROM reading"))
        short = take(database, shortened(messages), readings, ["gateway-%06d" % GATEWAYS])
        database.kill()
    assert stored == readings * GATEWAYS, "%d of %d readings" % (stored, readings * GATEWAYS)
    return long, short, octets / stored


def bench_warehouse(table):
    if not programs():
        say("warehouse: SKIP, there is no PostgreSQL server")
        return
    say("warehouse: the worked example's tables")
    messages, readings = in_folder(day)
    runs = [in_folder(warehouse, messages, readings) for _ in range(RUNS)]
    for column, what in enumerate(("backlog", "live")):
        table.add("warehouse: readings a second in %s messages, of %.0f" % (what, NEEDED), "/s",
                  [(run[column], NEEDED) for run in runs], None)
    text = sum(len(json.dumps(m, separators=(",", ":"))) for m in messages) / readings
    table.add("warehouse: bytes of a reading, of its JSON", "B", [(run[2], text) for run in runs], None)


GROUPS = [("warehouse", bench_warehouse)]
