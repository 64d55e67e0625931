# SPDX-License-Identifier: Apache-2.0
"""Rules that hold readings back: every poll of the simulator is a record or counted, nobody is further off than was
promised, statistics are those of what was served, and the bytes on the link are measured. So wherever the rule stands."""

import os
from dataclasses import dataclass
from decimal import Decimal

import jsonschema

import settings as config_file
from fixtures import load_schema
from models import Field, Model

EVERY_MS = 200
AT_LEAST_MS = 3000  # 15 polls
WINDOW_MS = 1000    # 5 polls
POLLS = 50
CHANGE = Decimal("0.2")
ENVELOPE = 4 + 2    # of MQTT beside topic and payload: fixed header and packet id


@dataclass(frozen=True)
class Weather(Field):
    """A temperature that drifts in steps below the dead band, and turns."""

    def raw(self, n):
        return 200 + abs(n % 40 - 20) // 4


@dataclass(frozen=True)
class Gauge(Field):
    """A rain counter that stands still most of the time."""

    def raw(self, n):
        return n // 8


STATION = Model("station", "A slow station", "invented for tests", (
    Weather("air_temperature", "holding", 0, "int16", "0.1", "Cel"),
    Field("air_humidity", "holding", 1, "uint16", "0.1", "%", low=600, high=601),
    Gauge("rain", "holding", 2, "uint16", "0.2", "mm")))

RULES = {"plain": {}, "banded": {"report": {"change": CHANGE, "at_least": "%dms" % AT_LEAST_MS}},
         "summed": {"aggregate": "%dms" % WINDOW_MS}}
# Rule of a station, by its name, and where it is written: at the device, in its profile, or at the profile's points.
PLACES = {"plain": "device", "banded": "device", "summed": "device", "banded-by-profile": "profile",
          "summed-by-profile": "profile", "banded-by-points": "points", "summed-by-points": "points"}


def rule_of(device):
    return device.split("-")[0]


def write_rule(stage, device):
    """Into the device's own entry, or into a profile made for it."""
    rule, place = RULES[rule_of(device["name"])], PLACES[device["name"]]
    device["points"][2]["counter"] = True
    if place == "device":
        device.update(rule)
        return
    profile = {**config_file.profile(STATION, device["name"]), "points": device.pop("points")}
    for target in [profile] if place == "profile" else profile["points"]:
        target.update(rule)
    config_file.write(stage.path("profiles", device["name"] + ".yaml"), profile)
    device["profile"] = device["name"]


def run(stage):
    """Lets stations of one kind be read under three rules, stops in good order, and has the rest delivered."""
    stage.farm.add_tcp("line")
    for unit, name in enumerate(PLACES, 1):
        stage.farm.add_device(name, "line", unit, STATION)
    stage.farm.start()
    stage.start_broker()
    stage.subscribe()
    uplink = config_file.uplink(stage.broker.url, batch={"max_delay": "0ms"})
    settings = stage.settings(every="%dms" % EVERY_MS, uplinks=[uplink])
    os.mkdir(stage.path("profiles"))
    for device in settings["devices"]:
        write_rule(stage, device)
    stage.configure(settings)
    stage.start_daemon(profiles=stage.path("profiles"))
    stage.farm.ledger.wait_for(lambda book: all(book.count(name) >= POLLS for name in PLACES), 30)
    stage.subscriber.wait_until(
        lambda: any("stats" in s for m in data(stage) for s in m.json.get("samples", ())), 10, "a window")
    status = stage.daemon.status()
    stage.daemon.stop()
    stage.farm.mute()
    stage.start_daemon()
    stage.subscriber.wait_until(lambda: not stage.report().holes and len(stage.ledger.events("started")) == 2, 15)
    return {device["name"]: device for device in status["devices"]}


def data(stage):
    return [m for m in stage.subscriber.messages() if m.lane]


def first_run(stage, device):
    """The device's samples before the second start, in order."""
    second = stage.ledger.events("started")[1]["seq"]
    return [r.body for r in stage.ledger.samples(device) if r.seq < second]


def served(stage, device):
    """What every poll gave, in order."""
    return [poll.values for poll in stage.ledger_polls(device)]


def placed(samples):
    """(number of the poll, sample) of each record that is a poll, by nothing but what the records say."""
    at = -1
    for sample in samples:
        at += sample.get("suppressed", 0)
        if "from" not in sample:
            at += 1
            yield at, sample


def check_accounts(stage, status):
    for device in PLACES:
        samples, polls = first_run(stage, device), served(stage, device)
        told = sum("from" not in s for s in samples) + sum(s.get("suppressed", 0) for s in samples)
        # The poll that the stop met may have been answered and not taken.
        assert told in (len(polls), len(polls) - 1), (device, told, len(polls))
        assert all("failed" not in s for s in samples), device
        assert (status[device]["suppressed"] > 0) == (rule_of(device) != "plain")
        assert (status[device]["aggregates"] > 0) == (rule_of(device) == "summed")


def check_plain(stage):
    for at, sample in placed(first_run(stage, "plain")):
        assert {k: v for k, v in sample["values"].items() if k != "rain_increment"} == served(stage, "plain")[at]


def check_banded(stage, device):
    samples, polls = first_run(stage, device), served(stage, device)
    assert len(samples) < len(polls) * 2 // 3
    for point in ("air_temperature", "air_humidity", "rain"):
        known = known_at = None
        records = dict(placed(samples))
        for at in range(max(records) + 1):
            value = records.get(at, {}).get("values", {}).get(point)
            if value is not None:
                assert value == polls[at][point]
                known, known_at = value, at
            assert abs(polls[at][point] - known) < CHANGE, (point, at)
            assert (at - known_at) * EVERY_MS <= AT_LEAST_MS + EVERY_MS, (point, at)
    rain = [s["values"] for s in samples if "rain" in s["values"]]
    assert sum(v.get("rain_increment", 0) for v in rain) == rain[-1]["rain"] - rain[0]["rain"]


def check_summed(stage, device):
    samples, polls = first_run(stage, device), served(stage, device)
    windows = [s for s in samples if "from" in s]
    assert [w.get("partial") for w in windows] == ["started"] + [None] * (len(windows) - 2) + ["stopped"]
    for window in windows[1:-1]:
        assert window["ts"] - window["from"] == WINDOW_MS and window["ts"] % WINDOW_MS == 0
    at = 0
    for window in windows:
        n = window["stats"]["air_temperature"]["n"]
        for point in ("air_temperature", "air_humidity"):
            values, got = [p[point] for p in polls[at : at + n]], window["stats"][point]
            assert got["n"] == n and "bad" not in got
            assert (got["min"], got["max"]) == (min(values), max(values)), (point, window)
            assert abs(got["mean"] - sum(values) / n) <= Decimal("0.0005"), (point, window)
        assert window["values"]["rain"] == polls[at + n - 1]["rain"]
        at += n
    rain = [s["values"] for s in samples]
    assert sum(v.get("rain_increment", 0) for v in rain) == rain[-1]["rain"] - rain[0]["rain"]


def bytes_per_poll(stage):
    """Bytes of messages, as MQTT carries them, for each poll. A message of several devices is shared out."""
    total = dict.fromkeys(PLACES, 0)
    second = stage.ledger.events("started")[1]["seq"]
    for message in data(stage):
        samples = [s for s in message.json.get("samples", ()) if s["seq"] < second]
        for sample in samples:
            total[sample["device"]] += (len(message.payload) + len(message.topic) + ENVELOPE) / len(samples)
    return {device: total[device] / len(served(stage, device)) for device in PLACES}


def check_birth(stage):
    """It says which rule holds, of a device wherever that was written, and of a point that has its own."""
    birth = [m for m in stage.subscriber.messages() if m.kind == "birth"][0].json
    jsonschema.Draft202012Validator(load_schema("birth")).validate(birth)
    layout = birth["layouts"][0]
    told = {"plain": {}, "banded": {"report": {"change": CHANGE, "at_least_ms": AT_LEAST_MS}},
            "summed": {"aggregate_ms": WINDOW_MS}}
    for device in layout["devices"]:
        points = [p for p in layout["models"][device["model"]]["points"] if "increment_of" not in p]
        by_points = PLACES[device["name"]] == "points"
        for ruled, rule in [(device, {} if by_points else told[rule_of(device["name"])]),
                            *((p, told[rule_of(device["name"])] if by_points else {}) for p in points)]:
            assert {k: v for k, v in ruled.items() if k in ("report", "aggregate_ms")} == rule, ruled


def test_every_poll_is_a_record_or_counted_and_the_link_carries_less(stage, capsys):
    status = run(stage)
    report = stage.report()
    assert not stage.ledger._conflicts and not report.holes
    check_accounts(stage, status)
    check_plain(stage)
    for device in PLACES:
        if rule_of(device) != "plain":
            {"banded": check_banded, "summed": check_summed}[rule_of(device)](stage, device)
    for message in data(stage):
        jsonschema.Draft202012Validator(load_schema("data")).validate(message.json)
    cost = bytes_per_poll(stage)
    with capsys.disabled():
        print("\nbytes on the link for a poll of 3 points: " + ", ".join("%s %.0f" % (one, cost[one]) for one in RULES))
    assert cost["banded"] < cost["plain"] * 0.75 and cost["summed"] < cost["plain"] * 0.5, cost
    check_birth(stage)


def test_a_silence_is_told_at_once_and_once(stage):
    stage.farm.add_tcp("line")
    stage.farm.add_device("station", "line", 1, STATION)
    stage.farm.start()
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="100ms")
    settings["buses"][0]["timeout"] = "50ms"
    settings["devices"][0]["report"] = {"change": 5, "at_least": "1h"}
    stage.configure(settings)
    stage.start_daemon()
    stage.subscriber.sample("station", where=lambda s: "values" in s)
    stage.farm.fault("station", silent=True)
    stage.subscriber.sample("station", where=lambda s: s.get("failed") == "no_reply")
    stage.daemon.wait_for_status(lambda s: s["devices"][0]["failed"] >= 3, 10)
    stage.farm.fault("station")
    stage.subscriber.sample("station", 20, where=lambda s: s.get("suppressed", 0) > 1 and "values" in s)
    stage.report()
    kinds = ["failed" if "failed" in r.body else "values" for r in stage.ledger.samples("station")]
    assert kinds == ["values", "failed", "values"]
