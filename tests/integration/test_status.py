# SPDX-License-Identifier: Apache-2.0
"""What `fieldgate status` shows to people, and metrics.prom to Prometheus."""

import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import fcntl
import termios

import pytest

from daemon import ROOT, default_binary

ESCAPE = "\x1b["


def reading(name, value, unit="%", quality="good"):
    return {"name": name, "value": value, "unit": unit, "quality": quality, "age_ms": 12000}


def device(number, **more):
    return {"name": "đất-%d" % number if number % 7 == 0 else "soil-%d" % number, "bus": "field", "unit": number,
            "model": "cwt-soil-npk-s", "state": "ok", "polls": 100, "failed": 0, "missed": 0, "suppressed": 0,
            "aggregates": 0, "timeout_ms": 500, "last_good_age_ms": 12000, "age_ms": 12000,
            "counters": {"requests": 100, "replies": 100},
            "readings": [reading("soil_moisture", 20 + number / 10), reading("soil_temperature", 29.1, "Cel")], **more}


def uplink(name="province", **more):
    return {"name": name, "connected": True, "url": "mqtts://mqtt.example:8883", "for_ms": 7200000, "delivered": 1000,
            "waiting": 0, "dropped": 0, "dropped_by": {}, "oldest_waiting_ts": 0, "drain_ms": 0, **more}


class Page:
    """A status file made by hand, and what the command makes of it."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.status = {"v": 1, "gateway": "test-gw", "software": "fieldgate 0.1.0", "pid": 2, "started_ts": 1,
                       "ts": 1795308207027, "uptime_ms": 432000000, "config": "current", "clock": "trusted",
                       "written_bytes_per_day": 1258291, "devices": [device(1)], "uplinks": [uplink()],
                       "buses": [{"name": "field", "busy_permille": 120, "missed": 0, "counters": {}}],
                       "store": {"bytes": 65011712, "max_bytes": 1 << 30, "records": 412345, "durable": True,
                                 "records_per_day": 5760, "room_ms": 410 * 86400000}}

    def write(self, **more):
        with open(os.path.join(self.folder, "status.json"), "w", encoding="utf-8") as file:
            json.dump({**self.status, **more}, file)

    def argv(self, *options):
        return [default_binary(), "status", "--runtime-dir", self.folder, *options]

    def show(self, *options, **more):
        self.write(**more)
        return subprocess.run(self.argv(*options), capture_output=True, text=True, timeout=20, check=False).stdout

    def on_terminal(self, rows=24, columns=80, **env):
        """What reaches a terminal that has this size from its beginning."""
        self.write()
        end, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        child = subprocess.Popen(self.argv(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                 env={**os.environ, "TERM": "xterm", **env})
        os.close(theirs)
        text = b""
        while select.select([end], [], [], 10)[0]:
            try:
                piece = os.read(end, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(end)
        child.wait(10)
        return text.decode()


@pytest.fixture
def page(tmp_path):
    return Page(tmp_path)


def test_fifty_devices_fit_a_screen_of_80_by_24_with_the_troubles_first(page):
    devices = [device(n) for n in range(1, 51)]
    for sick in (devices[9], devices[29]):
        sick.update(state="silent", failed_with="no_reply", trouble="silence", last_good_age_ms=10800000)
    lines = page.show(devices=devices).splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80, lines
    assert "2 of 50 devices do not answer well" in lines[1]
    assert "silent  no_reply on bus field: check power, wires A/B" in lines[2]
    assert "soil-10 (unit 10) 3 h ago" in lines[3] and "soil-30 (unit 30) 3 h ago" in lines[3]
    well = next(n for n, line in enumerate(lines) if "soil-2 " in line)
    assert well > 3 and "20.2 %" in lines[well] and "12 s" in lines[well]
    shown = len(re.findall(r"\d %", "\n".join(lines[well:])))
    told = int(re.search(r"and (\d+) more that answer: fieldgate status --all", lines[-1]).group(1))
    assert shown + told == 48


def test_columns_line_up_whatever_the_language(page):
    rows = [line for line in page.show(devices=[device(n) for n in range(1, 31)]).splitlines() if " % " in line and "12 s" in line]
    assert any("đất-" in row for row in rows)
    assert {m.start() for row in rows for m in re.finditer(r"\d\d(?:\.\d)? % ", row)} == \
           {m.start() for m in re.finditer(r"\d\d(?:\.\d)? % ", rows[0])}, rows


def test_few_devices_show_their_values_with_unit_and_age(page):
    line = next(line for line in page.show().splitlines() if line.startswith("  soil-1"))
    assert re.search(r"12 s +soil_moisture 20.1 %, soil_temperature 29.1 Cel", line)


def silent(number, *values):
    """A device that answered three hours ago, with these last values."""
    names = [("soil_moisture", "%"), ("soil_temperature", "Cel"), ("soil_ec", "uS/cm"), ("soil_ph", "pH")]
    readings = [{**reading(name, None, unit, "no_reply"), "last_good": {"value": value, "age_ms": 10800000}}
                for (name, unit), value in zip(names, values)]
    return device(number, state="silent", failed_with="no_reply", trouble="silence", last_good_age_ms=10800000,
                  readings=readings)


def test_a_silent_device_shows_what_it_said_last_and_how_long_ago(page):
    lines = page.show(devices=[device(1), silent(2, 23.4, 29.1), silent(3, 20, 28.5, 1200, 6.5)]).splitlines()
    line = next(n for n, text in enumerate(lines) if "soil-2 (unit 2)" in text)
    assert lines[line] == "      soil-2 (unit 2) 3 h ago: soil_moisture 23.4 % +1"
    assert lines[line + 1] == "      soil-3 (unit 3) 3 h ago: soil_moisture 20 %, soil_temperature 28.5 Cel +2"
    assert "soil_moisture               -                   12 s    no_reply  last 23.4 %, 3 h ago" in \
           page.show("--all", devices=[silent(2, 23.4)])


def test_one_that_never_answered_has_no_last_value_to_show(page):
    dead = device(2, state="silent", failed_with="no_reply", readings=[reading("soil_moisture", None, "%", "no_reply")])
    del dead["last_good_age_ms"]
    assert "      soil-2 (unit 2) never answered" in page.show(devices=[dead]).splitlines()


def test_all_shows_every_value_of_every_device(page):
    text = page.show("--all", devices=[device(n) for n in range(1, 51)])
    assert len(re.findall(r"soil_moisture +2\d(?:\.\d)? % +12 s", text)) == 50
    assert "fieldgate status --all" not in text


def test_a_point_without_a_measurement_is_named_although_its_device_answers(page):
    sick = device(3)
    sick["readings"][1] = reading("soil_temperature", None, "Cel", "sensor_fault")
    text = " ".join(page.show(devices=[device(1), sick]).split())
    assert "soil-3 soil_temperature sensor_fault: the device says that its sensor has no measurement" in text


def test_what_fails_alike_is_told_once(page):
    dead = [device(n, state="failed", failed_with="not_connected") for n in range(1, 41)]
    lines = page.show(devices=dead).splitlines()
    assert len(lines) <= 24
    assert sum("check the port or network" in line for line in lines) == 1
    assert any("and 36 more" in line for line in lines)


def test_the_link_says_since_when_and_why_it_is_down_and_what_was_lost_for_which_reason(page):
    down = uplink(connected=False, reason="Connection refused", next_try_in_ms=12000, waiting=34567, dropped=386,
                  dropped_by={"store_full": 380, "refused": 6}, oldest_waiting_ts=1795308207027 - 7200000)
    text = page.show(uplinks=[down])
    assert "DOWN for 2 h: Connection refused; next try in 12 s" in text.replace("\n     ", "")
    flat = " ".join(text.split())
    assert "waiting 34567 (oldest 2 h), delivered 1000, dropped 386 (store_full 380, refused 6)" in flat, flat


def test_the_buffer_says_how_long_it_lasts_and_what_the_flash_bears(page):
    flat = " ".join(page.show().split())
    assert "62.0 MiB of 1.0 GiB used, 412345 records; room for 410 d more at 5760 records a day" in flat
    assert "1.2 MiB a day written to flash" in flat
    page.status["store"].update(durable=False, in_memory=17, failing=True, why="No space left on device")
    flat = " ".join(page.show().split())
    assert "THE DISK REFUSES WRITES: No space left on device" in flat and "17 records are in memory only" in flat


def test_colours_come_only_on_a_terminal_and_only_when_wanted(page):
    assert ESCAPE not in page.show()
    assert ESCAPE in page.on_terminal()
    assert ESCAPE not in page.on_terminal(NO_COLOR="1")
    assert ESCAPE in page.on_terminal(NO_COLOR="")
    assert ESCAPE not in page.on_terminal(TERM="dumb")


def promtool():
    own = os.path.join(ROOT, "build", "promtool")
    return own if os.path.exists(own) else shutil.which("promtool")


def test_a_running_gateway_tells_age_rate_room_and_what_it_writes(stage):
    stage.counter_farm(2)
    stage.up(every="100ms")
    kind = subprocess.run(["stat", "-f", "-c", "%T", stage.folder], capture_output=True, text=True, check=True).stdout
    least = 0 if kind.strip() == "tmpfs" else 1  # the kernel counts what goes to a medium
    status = stage.daemon.wait_for_status(
        lambda s: s["written_bytes"] >= least and all("age_ms" in d["readings"][0] for d in s["devices"] if d.get("readings"))
        and s["devices"][0].get("readings"))
    assert 0 <= status["devices"][0]["readings"][0]["age_ms"] < 5000
    assert status["store"]["durable"] is True and status["uplinks"][0]["dropped_by"] == {}
    assert status["store"]["room_ms"] == -1 and status["written_bytes_per_day"] == -1  # a minute says nothing about days


def test_the_metrics_pass_prometheus_own_checker(stage):
    tool = promtool()
    if not tool:
        pytest.skip("there is no promtool; `make integration` fetches it")
    stage.standard_farm()
    stage.farm.fault("meter", silent=True)
    stage.up(every="200ms")
    stage.daemon.wait_for_status(lambda s: any(d["state"] == "silent" for d in s["devices"]), 20)
    with open(os.path.join(stage.daemon.runtime, "metrics.prom"), encoding="utf-8") as file:
        text = file.read()
    done = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0 and not done.stdout.strip() and not done.stderr.strip(), done
    for name in ("fieldgate_written_bytes_total", "fieldgate_store_durable 1", "fieldgate_start_time_seconds",
                 'fieldgate_uplink_dropped_by_reason_records{uplink="province",reason="store_full"} 0'):
        assert name in text


def test_the_threads_have_names_that_top_and_gdb_show(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    folder = "/proc/%d/task" % stage.daemon.pid
    names = set()
    for task in os.listdir(folder):
        with open(os.path.join(folder, task, "comm"), encoding="utf-8") as file:
            names.add(file.read().strip())
    assert {"fieldgate", "fg-store", "fg-up-province", "bus-line"} <= names, names
