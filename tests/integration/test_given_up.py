# SPDX-License-Identifier: Apache-2.0
"""What an uplink gives up on purpose: what waited longer than max_age, and what the broker is too small for.

Each hole that the receiver sees is named by an event with its reason, and nothing else is missing. (The cap of the
buffer, damage and a disk that stands still have tests of their own in tests/faults.)
"""

import time

import settings as config_file

MAX_AGE_S = 4


def losses(stage):
    return [e for e in stage.ledger.events("samples_dropped") if e["uplink"] == "province"]


def lost_numbers(stage):
    return {n for e in losses(stage) for n in range(int(e["from"]), int(e["to"]) + 1)}


def settle(stage):
    """Nothing more is served; waits until all is decided and told, and all that was delivered has arrived."""
    stage.farm.mute()

    def decided(status):
        report, uplink = stage.report(), status["uplinks"][0]
        numbers = {record.seq for record in stage.ledger.records.values()}
        return (uplink["waiting"] == 0 and uplink["dropped"] == sum(int(e["count"]) for e in losses(stage))
                and not report.holes and len(numbers - lost_numbers(stage)) == uplink["delivered"])
    return stage.daemon.wait_for_status(decided, 30, "an account that agrees with what arrived")["uplinks"]


def test_what_waits_longer_than_max_age_is_named_and_the_rest_arrives(stage):
    stage.counter_farm(2)
    stage.start_broker()
    stage.subscribe()
    away = config_file.uplink("mqtt://127.0.0.1:1", "market")  # nobody is there: it waits, without a limit
    stage.configure(every="100ms", uplinks=[
        config_file.uplink(stage.broker.url, backlog={"max_age": "%ds" % MAX_AGE_S}), away])
    stage.start_daemon()
    stage.subscriber.sample("counter-1")
    stopped_ms = time.time_ns() // 1000000
    stage.broker.stop()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["dropped"] > 30, 20, "records that are too old")
    assert stage.daemon.stop()[0] == 0
    stage.start_daemon()
    before = stage.daemon.status()["uplinks"][0]["dropped"]
    assert before > 30
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["dropped"] > before + 30, 20, "more of them")
    stage.farm.sync()
    back_ms = time.time_ns() // 1000000
    stage.broker.start()
    stage.subscriber.sample("counter-1", 20, since_ms=back_ms)
    state = stage.subscriber.messages("state")[-1].json
    assert state["online"] and state["dropped"] > before, state
    assert state["accepted"] == state["delivered"] + state["waiting"] + state["dropped"], state
    uplinks = settle(stage)
    report = stage.report()
    assert not report.errors and report.missing, report.text()
    assert all(e["reason"] == "expired" for e in losses(stage)), losses(stage)
    # Never too early: half a second for the answer to be stored, and the clocks to be read. They go on growing old
    # until the last of them is sent.
    drained_ms = max(r.arrived_ms for r in stage.ledger.samples("counter-1") if r.lane == "backlog")
    assert max(poll.ts for _, poll in report.missing) <= max(back_ms, drained_ms) - MAX_AGE_S * 1000 + 500
    # Exactly: what is named did not come, but for what the broker took and had no time to acknowledge.
    named = lost_numbers(stage)
    assert all(r.body["ts"] <= stopped_ms for r in stage.ledger.records.values() if r.seq in named)
    assert uplinks[0]["dropped"] == len(named)
    assert uplinks[0]["dropped_by"] == {"expired": len(named)}
    # Told while it lasts in one event for each run of the daemon, which may be told once more if it grew old itself.
    assert len(losses(stage)) <= 3, losses(stage)
    assert uplinks[1]["dropped"] == 0
    assert len(stage.daemon.lines("FG-LINK-TOO-OLD")) == 2  # one of each run, although it went on for seconds


def test_records_that_are_larger_than_the_broker_takes_are_named_and_hold_nothing_up(stage):
    stage.farm.add_tcp("line")
    stage.farm.add_device("wide-1", "line", 1, "wide")
    stage.farm.add_device("counter-1", "line", 2, "counter")
    stage.farm.start()
    stage.up(every="100ms")
    stage.subscriber.sample("wide-1")
    stage.broker.stop()
    stage.broker.take_at_most(700)
    begin = stage.farm.ledger.count()
    stage.farm.ledger.wait_for(lambda served: served.count() > begin + 20, 20, "an outage")
    back_ms = time.time_ns() // 1000000
    stage.broker.start()
    stage.subscriber.sample("counter-1", 20, since_ms=back_ms)
    stage.farm.mute()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] == 0, 20, "nothing waits")
    assert stage.daemon.stop()[0] == 0  # tells what was lost, at once
    stage.start_daemon()
    report = stage.wait_balanced(20)
    assert report.dropped >= 10 and {device for device, _ in report.missing} == {"wide-1"}, report.text()
    assert all(e["reason"] == "refused" for e in losses(stage)), losses(stage)
    assert sum(int(e["count"]) for e in losses(stage)) == len(report.missing)
