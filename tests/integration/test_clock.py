# SPDX-License-Identifier: Apache-2.0
"""A gateway that does not know the time holds its readings for a while, then sends them marked."""

import pytest

HOLD_MS = 2000


def test_readings_of_an_unknown_time_are_held_then_sent_marked_and_none_is_lost(stage):
    stage.counter_farm(2)
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="100ms")
    settings["clock"] = {"trust": "ntp", "hold": "%dms" % HOLD_MS}
    stage.configure(settings)
    stage.start_daemon()
    state = stage.subscriber.wait_for(lambda m: m.json.get("online") is True, 20, "the state")
    if "clock" not in state.json:
        pytest.skip("the kernel says that this machine's clock is synchronised")
    first = stage.subscriber.wait_for(lambda m: m.topic.endswith("/data/live") or m.topic.endswith("/data/backlog"),
                                      20, "data")
    assert first.json["sent"] - state.json["ts"] >= HOLD_MS - 500, "data left before the hold was over"
    sample = stage.subscriber.sample("counter-1")
    assert sample["clock"] == "untrusted" and len(sample["boot"]) == 32 and sample["up_ms"] > 0
    report = stage.wait_balanced()
    assert report.dropped == 0
    assert all(e["clock"] == "untrusted" for e in stage.ledger.events("started"))
