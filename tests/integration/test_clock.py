# SPDX-License-Identifier: Apache-2.0
"""A gateway that does not know the time holds its readings for a while, then sends them corrected, or marked."""

import re

import pytest

from preload import Clock
from witness import now_ms

HOLD_MS = 2000
# So far back that the time cannot be true, as in a box without a battery; and into years that might be.
FAR_OFF_MS = {"the year 1970": -1000 * 86400 * 365 * 55, "three years ahead": 1000 * 86400 * 365 * 3}
# How much later than the sensor the gateway may have the time of an answer; the machine's own delays come on top.
SLACK_MS = 400


@pytest.fixture(name="clock")
def _clock(stage):
    clock = Clock(stage.path("clock"))
    stage.ends.callback(clock.close)
    return clock


def begin(stage, clock, hold, off_ms):
    """Switched on without a network: nobody has set its clock."""
    stage.watch_machine()
    stage.counter_farm(2)
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="100ms")
    settings["clock"] = {"trust": "ntp", "hold": hold}
    stage.configure(settings)
    clock.lose(off_ms)
    stage.start_daemon(preload=[clock])
    return stage.subscriber.wait_for(lambda m: m.kind == "state" and m.json["online"] is True, 20, "the state")


def data(stage):
    return [m for m in stage.subscriber.messages() if m.lane]


def served_at(stage):
    """When the simulator gave an answer, by device and count: each answer is a number of its own."""
    return {(device, poll.values["count"]): poll.ts
            for device in stage.farm.devices for poll in stage.ledger_polls(device)}


def assert_true_times(stage, times):
    """times: (what was told, when the simulator answered). This machine's own delays are nobody's fault."""
    now = now_ms()
    for told_ms, true_ms in times:
        if abs(told_ms - true_ms) >= SLACK_MS:
            held_ms = stage.witness.held_ms(true_ms - SLACK_MS, min(true_ms + 10000, now))
            assert abs(told_ms - true_ms) < SLACK_MS + held_ms, (told_ms, true_ms, held_ms)


def marks(stage):
    """(record, its mark or None) of all samples, in the order of their numbers."""
    return [(r.body, r.body.get("clock")) for r in stage.ledger.samples()]


def measured(body):
    return "failed" not in body


@pytest.mark.parametrize("where", FAR_OFF_MS)
def test_readings_wait_for_the_clock_and_arrive_once_with_their_true_time(stage, clock, where):
    state = begin(stage, clock, "10min", FAR_OFF_MS[where])
    assert state.json["clock"] == "untrusted" and abs(state.json["ts"] - now_ms() - FAR_OFF_MS[where]) < 600000
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"] and s["uplinks"][0]["waiting"] > 40, 20,
                                 "readings that wait for the clock")
    assert not data(stage), "this left before anybody knew the time: %s" % data(stage)[0].json
    clock.set()
    set_ms = now_ms()
    stage.subscriber.sample("counter-1", 20, where=lambda s: "clock" not in s)
    report = stage.wait_balanced(30)
    assert report.dropped == 0, report.text()
    true = served_at(stage)
    assert_true_times(stage, [(body["ts"], true[body["device"], body["values"]["count"]])
                              for body, _ in marks(stage) if measured(body)])
    said = [mark for _, mark in marks(stage)]
    corrected = said.count("corrected")
    assert corrected > 30 and said == ["corrected"] * corrected + [None] * (len(said) - corrected), said
    assert all("up_ms" not in body and "boot" not in body for body, _ in marks(stage))
    assert [e["clock"] for e in stage.ledger.events("started")] == ["corrected"]
    told, = stage.ledger.events("clock_set")
    assert abs(told["offset_ms"] + FAR_OFF_MS[where]) < 1000, told
    assert set_ms - SLACK_MS < told["ts"] and "clock" not in told
    assert len(stage.daemon.lines("FG-CLOCK")) == 1 and "trusted=yes" in stage.daemon.lines("FG-CLOCK")[0]


def test_readings_that_waited_in_vain_leave_marked_and_never_change(stage, clock):
    off_ms = FAR_OFF_MS["the year 1970"]
    state = begin(stage, clock, "%dms" % HOLD_MS, off_ms)
    assert state.json["clock"] == "untrusted"
    first = stage.subscriber.wait_for(lambda m: m.lane, 20, "data")
    assert first.json["sent"] - state.json["ts"] >= HOLD_MS - 500, "data left before the hold was over"
    stage.subscriber.wait_until(lambda: stage.report().delivered > 60, 20)
    clock.set()
    stage.subscriber.sample("counter-1", 20, where=lambda s: "clock" not in s)
    report = stage.wait_balanced()
    assert report.dropped == 0
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] == 0, 10, "nothing waits")
    told, = stage.ledger.events("clock_set")
    assert abs(told["offset_ms"] + off_ms) < 1000, told
    assert all(e["clock"] == "untrusted" for e in stage.ledger.events("started"))
    untrusted = [body for body, mark in marks(stage) if mark == "untrusted"]
    assert len(untrusted) > 30 and {body["boot"] for body in untrusted} == {told["boot"]}
    # docs/MQTT.md tells a receiver how to work out when they were taken.
    true = served_at(stage)
    assert abs(untrusted[0]["ts"] - now_ms() - off_ms) < 600000
    assert_true_times(stage, [(told["ts"] - (told["up_ms"] - body["up_ms"]),
                               true[body["device"], body["values"]["count"]])
                              for body in untrusted if measured(body)])
    # Sent once more they are what they were, although the time is known by now: the ledger compares all of it.
    again = [r for r in stage.ledger.samples() if r.body.get("clock") == "untrusted"]
    answer = stage.daemon.ask(command="resend", uplink="province", **{"from": again[0].seq, "to": again[-1].seq})
    assert answer["ok"], answer
    stage.subscriber.wait_until(lambda: stage.report().duplicates >= len(again), 20)
    assert not stage.report().errors, stage.report().text()


def test_a_clock_that_is_stepped_by_hours_is_named_and_costs_nothing(stage, clock):
    stage.counter_farm(2)
    stage.start_broker()
    stage.subscribe()
    stage.configure(every="100ms")
    stage.start_daemon(preload=[clock])
    stage.subscriber.sample("counter-1", 20)
    hour = 3600000
    for number, to in enumerate((3 * hour, -5 * hour)):
        clock.step(to)
        stage.daemon.wait_for_log("FG-CLOCK-STEPPED", 20, text="by_ms=-" if number else "by_ms=1")
        stage.subscriber.sample("counter-1", 20, where=lambda s, to=to: abs(s["ts"] - now_ms() - to) < hour)
    clock.step(-5 * hour + 5000)  # less than anybody need look at
    before = stage.farm.ledger.count()
    stage.farm.ledger.wait_for(lambda book: book.count() > before + 50, 30)
    report = stage.wait_balanced()
    assert report.dropped == 0 and not stage.ledger.events("clock_set")
    lines = stage.daemon.lines("FG-CLOCK-STEPPED")
    by = [int(re.search(r"by_ms=(-?\d+)", line)[1]) for line in lines]
    assert len(by) == 2 and abs(by[0] - 3 * hour) < 5000 and abs(by[1] + 8 * hour) < 5000, lines
