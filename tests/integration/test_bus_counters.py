# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on a line is counted by kind, shown to the technician, and told when time runs out."""

import os

import settings as config_file
from proc import wait_until


def bus_of(status, name):
    return next(b for b in status["buses"] if b["name"] == name)


def device_of(status, name):
    return next(d for d in status["devices"] if d["name"] == name)


def metrics(stage):
    with open(os.path.join(stage.daemon.runtime, "metrics.prom"), encoding="utf-8") as file:
        return file.read()


def test_damaged_and_missing_answers_have_counters_of_their_own(stage):
    stage.standard_farm()
    stage.up(every="200ms")
    status = stage.daemon.wait_for_status(lambda s: all(d["state"] == "ok" for d in s["devices"]), what="all well")
    assert set(status["buses"][0]["counters"]) == set(device_of(status, "soil-a1")["counters"])
    stage.farm.fault("soil-a1", garble_every=1)
    stage.farm.fault("meter", silent=True)

    def both_seen(s):
        return bus_of(s, "field")["counters"]["bad_crc"] > 1 and bus_of(s, "pumphouse")["counters"]["timeouts"] > 1

    status = stage.daemon.wait_for_status(both_seen, what="both failures")
    assert device_of(status, "soil-a1")["trouble"] == "bad_crc"
    assert device_of(status, "meter")["trouble"] == "silence"
    assert "trouble" not in device_of(status, "air-1")
    assert bus_of(status, "field")["counters"]["timeouts"] == 0
    assert bus_of(status, "pumphouse")["busy_permille"] > 300  # waiting for an answer is use
    for where in ('bus="field",device="soil-a1",kind="bad_crc"', 'bus="pumphouse",device="meter",kind="silence"'):
        series = "fieldgate_device_failures_total{%s}" % where
        wait_until(lambda: series in metrics(stage), 10, series + " in the metrics")  # written after the status
    screen = stage.daemon.command("status", "--runtime-dir", stage.daemon.runtime).stdout
    line = next(line for line in screen.splitlines() if "questions failed" in line and " field " in line)
    assert " bad_crc" in line and "silence" not in line


def test_an_overloaded_line_is_announced_by_check_and_told_once(stage):
    """Ten devices every 60 ms, whose answers take 20 ms each: more than three times what there is."""
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    for unit in range(1, 11):
        stage.farm.add_device("counter-%d" % unit, "field", unit, "counter")
        stage.farm.fault("counter-%d" % unit, late_ms=20)
    stage.farm.start()
    stage.up(every="60ms")
    line = stage.daemon.wait_for_log("FG-BUS-OVERLOAD", 20)
    assert "bus=field load=" in line and "would fit" in line
    check = stage.daemon.command("check", "--config", stage.config_path)
    assert check.returncode == 0
    assert "the devices of field need" in check.stderr and "write every: 500ms or longer" in check.stderr
    assert stage.daemon.command("check", "--strict", "--config", stage.config_path).returncode == 78
    assert "bus field: " in check.stdout
    stage.daemon.wait_for_status(lambda s: bus_of(s, "field")["missed"] > 50, what="missed periods")
    assert len(stage.daemon.lines("FG-BUS-OVERLOAD")) == 1


def test_a_device_that_answers_late_is_given_more_time_and_never_misread(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("counter-1", "field", 1, "counter")
    stage.farm.start()
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="500ms")
    settings["buses"] = [config_file.bus(stage.farm, "field", timeout="100ms")]
    stage.configure(settings)
    stage.start_daemon()
    stage.subscriber.sample("counter-1")
    stage.farm.fault("counter-1", late_ms=150)
    stage.daemon.wait_for_log("FG-BUS-SLOW", 20)

    def raised(s):
        d = device_of(s, "counter-1")
        return 100 < d["timeout_ms"] <= 300 and d["counters"]["late"] > 0

    stage.daemon.wait_for_status(raised, what="more time")
    stage.daemon.wait_for_log("FG-BUS-SLOW")
    assert len(stage.daemon.lines("FG-BUS-SLOW")) == 1
    report = stage.wait_balanced()
    assert not report.errors, report.text()
