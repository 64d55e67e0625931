# SPDX-License-Identifier: Apache-2.0
"""What `fieldgate export` writes, and what the SQL view `reading` shows, is what the sensors said."""

import csv
import io
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

import pytest
import settings as config_file
from witness import now_ms

COLUMNS = "stream seq time ts clock layout device point value unit quality doubtful missed event".split()


@dataclass(frozen=True)
class Exported:
    """One stored record as the ledger takes it: like a published message of its own."""

    json: dict
    ms: int = 0
    topic: str = "export"
    lane: str = "backlog"


class Export:
    """Stands where the ledger expects a subscriber."""

    def __init__(self, lines):
        self.rows = [json.loads(line, parse_float=Decimal) for line in lines]
        self._messages = [self._message(list(rows)) for _, rows in groupby(self.rows, lambda r: (r["stream"], r["seq"]))]

    def messages(self, since=0):
        return self._messages[since:]

    @staticmethod
    def _message(rows):
        first = rows[0]
        data = {"gateway": "test-gw", "stream": first["stream"], "layout": first["layout"]}
        body = {"seq": first["seq"], "ts": first["ts"]}
        if "event" in first:
            assert len(rows) == 1
            return Exported({**data, "events": [{**body, **first["event"]}]})
        body["device"] = first["device"]
        body["values"] = {r["point"]: r["value"] for r in rows}
        for part in ("quality", "doubtful"):
            some = {r["point"]: r[part] for r in rows if part in r and r[part] != "good"}
            if some:
                body[part] = some
        return Exported({**data, "samples": [body]})


def export(stage, *words):
    result = stage.daemon.command("export", "--config", stage.config_path, *words, seconds=30)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    return result.stdout


def exported(stage, *words):
    return Export(export(stage, "--format", "jsonl", *words).splitlines())


def wait_exported(stage, seconds=15):
    """Until everything that was served stands in the export."""
    stage.farm.mute()
    deadline = time.monotonic() + seconds
    while True:
        one = exported(stage)
        stage.ledger = None
        stage.subscriber = one
        report = stage.report()
        stage.subscriber = None
        if report.balanced:
            return one, report
        assert time.monotonic() < deadline, report.text()


def start_without_broker(stage, **changes):
    """The only uplink leads nowhere."""
    settings = stage.settings(uplinks=[config_file.uplink("mqtt://127.0.0.1:9")], **changes)
    stage.configure(settings)
    stage.start_daemon()


def test_an_export_beside_the_running_daemon_holds_what_was_served(stage):
    stage.standard_farm()
    stage.farm.add_device("grid", "pumphouse", 2, "eastron-sdm120")
    stage.watch_machine()
    begin = now_ms()
    start_without_broker(stage, every="100ms")
    seen = []
    for _ in range(12):
        rows = [r for r in exported(stage).rows]
        assert rows[: len(seen)] == seen, "an exported line changed"
        seen = rows
    stage.farm.ledger.wait_for(lambda book: all(book.count(d) >= 20 for d in stage.farm.devices), 20)
    one, report = wait_exported(stage)
    assert one.rows[: len(seen)] == seen
    assert report.delivered >= 60 and report.dropped == 0
    # Whoever reads keeps nobody from writing: neither refused, nor made to wait for as long as a disk that hangs.
    assert not stage.daemon.lines("FG-STORE-FAILING")
    assert stage.witness.held_ms(begin, now_ms()) > 3000 or not stage.daemon.lines("FG-STORE-HANGS")
    assert stage.daemon.status()["uplinks"][0]["delivered"] == 0
    code, _ = stage.daemon.stop()
    assert code == 0
    assert exported(stage).rows[: len(one.rows)] == one.rows  # a stopped gateway tells the same


def make_trouble(stage):
    """Every quality there is in easy reach: a silent device, a wrong CRC, an implausible and an invalid number."""
    stage.farm.add_rtu("b", stage.path("tty"))
    stage.farm.add_device("all", "b", 7, "everything")
    stage.farm.add_device("gone", "b", 8, "counter")
    stage.farm.add_device("torn", "b", 9, "counter")
    stage.farm.add_device("odd", "b", 10, "counter")
    stage.farm.start()
    stage.farm.fault("gone", silent=True)
    stage.farm.fault("torn", garble_every=1)
    settings = stage.settings(uplinks=[config_file.uplink("mqtt://127.0.0.1:9")], every="200ms")
    settings["buses"][0]["timeout"] = "100ms"
    odd = settings["devices"][3]["points"][0]
    odd.update(min=3, max=5, invalid=[4], unit="mm")
    stage.configure(settings)
    stage.start_daemon()
    stage.farm.ledger.wait_for(lambda book: book.count("odd") >= 8 and book.count("all") >= 10, 30)
    stage.daemon.wait_for_log("FG-BUS-SILENT", 20)
    code, _ = stage.daemon.stop()
    assert code == 0


def test_csv_and_json_lines_say_the_same(stage):
    make_trouble(stage)
    text = export(stage)
    assert text.endswith("\n") and "\r" not in text  # read as text: the line ends are the platform's
    raw = subprocess.run([stage.daemon.binary, "export", "--database", stage.path("state", "buffer.db")],
                         stdout=subprocess.PIPE, check=True, timeout=30).stdout
    assert raw.count(b"\r\n") == raw.count(b"\n")
    table = list(csv.DictReader(io.StringIO(text), strict=True))
    assert list(table[0]) == COLUMNS
    lines = export(stage, "--format", "jsonl").splitlines()
    assert len(lines) == len(table)
    for line, row in zip(lines, table):
        wanted = json.loads(line, parse_float=str, parse_int=str)  # numbers as they are written
        event = wanted.pop("event", None)
        if event is not None:
            assert json.loads(row["event"], parse_float=str, parse_int=str) == event
        value = wanted.get("value")
        wanted["value"] = "" if value is None else str(value).lower() if isinstance(value, bool) else value
        assert {k: v for k, v in row.items() if v and k != "event"} == {k: v for k, v in wanted.items() if v}
    qualities = {(row["device"], row["quality"]) for row in table}
    assert {("gone", "no_reply"), ("torn", "bad_crc"), ("odd", "out_of_range"), ("odd", "sensor_fault"),
            ("odd", "good"), ("all", "good")} <= qualities
    assert any(row["doubtful"] and not row["value"] and row["unit"] == "mm" for row in table)


def test_the_view_reading_unfolds_what_was_stored(stage):
    if shutil.which("sqlite3") is None:
        pytest.skip("the sqlite3 shell is not installed")
    make_trouble(stage)
    shell = subprocess.run(
        ["sqlite3", "-readonly", "-json", stage.path("state", "buffer.db"), "SELECT * FROM reading ORDER BY seq"],
        stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    view = json.loads(shell.stdout)
    rows = [r for r in exported(stage).rows if "event" not in r]
    assert len(view) == len(rows) > 100
    for seen, row in zip(sorted(view, key=lambda r: r["seq"]), rows):
        assert list(seen) == "stream seq time device point value quality doubtful unit".split()
        for name in ("stream", "seq", "time", "device", "point", "quality"):
            assert seen[name] == row[name], (seen, row)
        assert seen["unit"] == row.get("unit")
        for name in ("value", "doubtful"):
            known = row.get(name)  # SQLite has 0 and 1, and doubles
            assert seen[name] == (None if known is None else int(known) if isinstance(known, bool) else float(known)) \
                or seen[name] == known, (seen, row)


def test_an_export_says_what_is_wrong(stage):
    stage.counter_farm(1)
    start_without_broker(stage, every="100ms")
    stage.farm.ledger.wait_for(lambda book: book.count() >= 3, 10)

    def refused(*words):
        result = stage.daemon.command("export", "--config", stage.config_path, *words)
        assert result.stdout == "" or result.returncode == 0
        return result.returncode, result.stderr

    code, said = refused("--device", "counter-2")
    assert code == 1 and 'did you mean "counter-1"?' in said
    code, said = refused("--from", "yesterday")
    assert code == 64 and "is not a time" in said and "7d" in said
    code, said = refused("--database", stage.path("nothing.db"))
    assert code == 1 and "there is no such file" in said
    result = stage.daemon.command("export", "--config", stage.path("nothing.yaml"))
    assert result.returncode != 0 and "--database" in result.stderr
    result = stage.daemon.command("export", "--config", stage.config_path, "--to", "2001-01-01")
    assert result.returncode == 0 and "nothing in this range; the database has records from 20" in result.stderr
    result = stage.daemon.command("export", "--config", stage.config_path, "--output", "/dev/full")
    assert result.returncode == 1 and "no space left" in result.stderr
