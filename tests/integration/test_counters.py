# SPDX-License-Identifier: Apache-2.0
"""Counters: the increments add up to what the gauge has counted, through wraps, its restarts and our kills."""

from dataclasses import dataclass
from decimal import Decimal

from models import Field, Model

TIPS = 700  # that the gauge counts from answer to answer: a wrap every 94 of them
START = 64000
RANGE = 65536


@dataclass(frozen=True)
class Gauge(Field):
    """A rain gauge of 16 bits. It starts again at 0 with every answer numbered in `restarts`."""

    restarts: tuple = ()

    def raw(self, n):
        began = max((r for r in self.restarts if r <= n), default=None)
        return (START + n * TIPS if began is None else (n - began) * TIPS) % RANGE


def gauge(restarts=()):
    return Model("gauge", "A gauge that wraps and restarts", "invented for tests",
                 (Gauge("rain", "holding", 0, "uint16", "0.1", "mm", restarts=restarts),))


def up(stage, restarts=()):
    stage.farm.add_tcp("line")
    stage.farm.add_device("gauge", "line", 1, gauge(restarts))
    stage.farm.start()
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="50ms")
    settings["devices"][0]["points"][0]["counter"] = True
    stage.configure(settings)
    stage.start_daemon()


def served(stage, answers, seconds=20):
    """Waits for so many more answers."""
    stage.farm.ledger.wait_for(lambda book, n=stage.farm.ledger.count(): book.count() >= n + answers, seconds)


def rain(samples):
    """(counter, increment or None) of each good sample, in order."""
    return [(r.body["values"]["rain"], r.body["values"].get("rain_increment")) for r in samples
            if r.body.get("values", {}).get("rain") is not None]


def everything(stage):
    """Samples in order, once the last good answer and all before it have arrived."""
    stage.farm.mute()
    newest = Decimal(stage.farm.ledger.good("gauge")[-1].words[0]) / 10
    stage.subscriber.sample("gauge", where=lambda s: s.get("values", {}).get("rain") == newest)
    stage.subscriber.wait_until(lambda: not stage.report().holes, 10, "what is still on its way")
    assert not stage.report().errors, stage.report().text()
    return stage.ledger.samples("gauge")


def test_increments_add_up_over_wraps(stage):
    up(stage)
    served(stage, 100)
    readings = rain(everything(stage))
    assert readings[0][1] is None  # nothing to compare with
    assert all(increment == TIPS / Decimal(10) for _, increment in readings[1:]), readings
    assert sum(1 for (a, _), (b, _) in zip(readings, readings[1:]) if b < a) >= 2  # it did wrap
    assert not stage.ledger.events("counter_restarted")


def test_a_gauge_that_lost_power_is_told_from_one_that_wrapped(stage):
    up(stage, restarts=(30,))
    served(stage, 60)
    readings = rain(everything(stage))
    fell = [(a, b, increment) for (a, _), (b, increment) in zip(readings, readings[1:]) if b < a]
    assert len(fell) == 2, fell
    (_, _, wrapped), (before, after, restarted) = fell
    assert wrapped == 70 and restarted == after == 0
    events = stage.ledger.events("counter_restarted")
    assert [(e["device"], e["point"], e["before"], e["after"], e["count"]) for e in events] \
        == [("gauge", "rain", before, after, 1)]


def test_increments_add_up_through_kills(stage):
    up(stage)
    served(stage, 10)
    for _ in range(4):
        stage.daemon.kill()
        stage.farm.sync()
        stage.start_daemon()
        served(stage, 20)
    samples = everything(stage)
    assert len({r.stream for r in samples}) == 1 and len(stage.ledger.events("restarted")) == 4
    readings = rain(samples)
    assert [i for i, (_, increment) in enumerate(readings) if increment is None] == [0]
    # Which answers the first and last readings are is known from the simulator's own book.
    polls = [p.values["rain"] for p in stage.ledger_polls("gauge")]
    first, last = polls.index(readings[0][0]), len(polls) - 1 - polls[::-1].index(readings[-1][0])
    assert len(readings) <= last - first + 1
    assert sum(increment for _, increment in readings[1:]) == (last - first) * TIPS / Decimal(10)


def test_a_gap_is_covered_by_the_increment_after_it(stage):
    up(stage)
    served(stage, 5)
    stage.farm.fault("gauge", exception=4)
    stage.subscriber.sample("gauge", where=lambda s: "failed" in s)
    stage.farm.fault("gauge")
    served(stage, 5)
    samples = everything(stage)
    assert any("failed" in r.body for r in samples)
    readings = rain(samples)
    for (before, _), (after, increment) in zip(readings, readings[1:]):
        assert increment == (after - before + RANGE / Decimal(10)) % (RANGE / Decimal(10)), (before, after)
    assert max(increment for _, increment in readings[1:]) > TIPS / Decimal(10)


def test_the_birth_message_says_what_is_a_counter(stage):
    up(stage)
    birth = stage.subscriber.wait_for(lambda m: m.kind == "birth", 10, "a birth message").json
    points = birth["layouts"][0]["models"]["own:gauge"]["points"]
    assert points[0]["counter"] is True and points[0]["wrap"] == Decimal("6553.6")
    assert points[1] == {"name": "rain_increment", "type": "number", "unit": "mm", "increment_of": "rain"}
