# SPDX-License-Identifier: Apache-2.0
"""Kills, stops, changes in mid-outage, broken configuration files: nothing committed is lost or misread."""

import os
from decimal import Decimal

import pytest

import settings as config_file
from models import COUNTER


def grow(stage, answers, seconds=20):
    """Waits for so many more answers."""
    stage.farm.ledger.wait_for(lambda book, n=stage.farm.ledger.count(): book.count() >= n + answers, seconds)


def test_after_kill_at_most_one_commit_is_lost_and_it_is_told(stage):
    stage.watch_machine()
    stage.counter_farm(2)
    stage.up(every="100ms")
    grow(stage, 30)
    stage.daemon.kill()
    stage.farm.sync()
    killed = stage.farm.ledger.answers()[-1].ts
    stage.start_daemon()
    grow(stage, 30)
    stage.farm.mute()
    newest = stage.farm.ledger.good("counter-1")[-1].words[1]
    stage.subscriber.sample("counter-1", where=lambda s: s["values"]["count"] == newest)
    report = stage.report()
    assert not report.errors and not report.holes, report.text()
    for device, poll in report.missing:  # commit_every, and the poll in progress
        assert killed - poll.ts - stage.witness.held_ms(poll.ts, killed) <= 200 + 400, (device, poll)
        assert poll.ts <= killed, (device, poll)
    restarted = stage.ledger.events("restarted")
    assert len(restarted) == 1, stage.ledger.events()


def test_a_clean_stop_loses_nothing_even_without_a_broker(stage):
    stage.counter_farm(2)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    stage.broker.stop()
    grow(stage, 20)
    code, seconds = stage.daemon.stop()
    assert code == 0 and seconds < 5
    stage.start_daemon()
    grow(stage, 20)
    stage.broker.start()
    report = stage.wait_balanced()
    assert report.dropped == 0 and not report.missing
    assert len(stage.ledger.streams) == 1
    assert not stage.ledger.events("restarted")


def test_old_records_are_read_with_the_old_layout_after_a_unit_changed_in_mid_outage(stage):
    stage.counter_farm(1)
    profiles = stage.path("profiles")
    os.makedirs(profiles)
    config_file.write(os.path.join(profiles, "counter.yaml"), config_file.profile(COUNTER, count={"unit": "L"}))
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="100ms")
    settings["devices"] = [config_file.device(stage.farm, "counter-1", "100ms", profile="counter")]
    stage.configure(settings)
    stage.start_daemon(profiles=profiles)
    stage.subscriber.sample("counter-1")
    stage.broker.stop()
    grow(stage, 15)
    stage.daemon.stop()
    changed = {"unit": "m3", "scale": Decimal("0.001")}
    config_file.write(os.path.join(profiles, "counter.yaml"), config_file.profile(COUNTER, count=changed))
    boundary = stage.farm.ledger.count()
    stage.start_daemon()
    grow(stage, 15)
    stage.broker.start()
    stage.farm.mute()
    total = stage.farm.ledger.count()

    def measured():
        """Samples with values; after mute() the daemon also tells of silence."""
        return [r for r in stage.ledger.samples("counter-1") if r.body.get("values")]

    stage.subscriber.wait_until(lambda: stage.report() and len(measured()) >= total, 15)

    units = {}
    for birth in (m.json for m in stage.subscriber.messages("birth")):
        for layout in birth["layouts"]:
            model = next(iter(layout["models"].values()))
            units.setdefault(layout["layout"], set()).add(model["points"][0]["unit"])
    seen = set()
    for count, record in enumerate(measured()):
        old = count < boundary
        assert record.body["values"]["count"] == (count if old else Decimal(count) / 1000), (count, record)
        assert units[record.layout] == {"L" if old else "m3"}
        seen.add(record.layout)
    assert len(seen) == 2
    assert any("layout" in event["event"] for event in stage.ledger.events()), stage.ledger.events()


def test_topic_and_broker_may_change_in_mid_outage(stage):
    stage.counter_farm(1)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    stage.broker.stop()
    grow(stage, 10)
    stage.daemon.stop()
    stage.configure(uplinks=[config_file.uplink(stage.broker.url, topic="moved/{gateway}")], every="100ms")
    stage.broker.start()
    stage.start_daemon()
    grow(stage, 5)
    stage.wait_balanced()
    assert {m.topic.split("/")[0] for m in stage.subscriber.messages("data")} == {"fieldgate", "moved"}


def test_a_broken_file_after_a_good_run_falls_back_to_the_last_good_one(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    stage.subscriber.sample("counter-1")
    stage.daemon.stop()
    with open(stage.config_path, "a", encoding="utf-8") as file:
        file.write("uplinks: [\n")
    mark = stage.daemon.mark()
    before = len(stage.subscriber)
    stage.start_daemon()
    stage.daemon.wait_for_log("FG-CONFIG-BAD", 5, mark, "fieldgate.yaml:")
    stage.daemon.wait_for_log("FG-CONFIG-FALLBACK", 5, mark)
    stage.daemon.wait_for_status(lambda s: s["config"] == "fallback")
    stage.subscriber.wait_until(lambda: any(m.kind == "state" and m.json["online"] and m.json["config"] == "fallback"
                                            for m in stage.subscriber.messages(since=before)), 10, "fallback state")
    grow(stage, 3)
    stage.wait_balanced()


def test_a_store_path_that_cannot_be_used_falls_back_to_the_last_good_configuration(stage):
    stage.counter_farm(1)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    settings = stage.settings(every="100ms")
    settings["store"]["path"] = stage.path("no-such-folder", "buffer.db")
    config_file.write(stage.config_path, settings)
    done = stage.daemon.command("apply", "--config", stage.config_path, "--runtime-dir", stage.daemon.runtime,
                                seconds=20)
    assert done.returncode == 1, done
    status = stage.daemon.wait_for_status(lambda s: s["config"] == "fallback")
    assert status["store"]["path"] == os.path.join(stage.state_dir, "buffer.db")
    assert "no-such-folder" in stage.daemon.lines("FG-START")[-2], stage.daemon.log()
    grow(stage, 3)
    stage.wait_balanced()


def test_a_broken_file_without_a_good_one_ends_with_78(stage):
    stage.counter_farm(1)
    with open(stage.config_path, "w", encoding="utf-8") as file:
        file.write("gateway: {idd: x}\nbuses: 3\n")
    os.makedirs(stage.state_dir, exist_ok=True)
    stage.start_daemon(wait=False)
    assert stage.daemon.wait_exit(5) == 78
    stage.daemon.wait_for_log("FG-CONFIG-BAD", 1, text="idd")
    stage.daemon.wait_for_log("FG-CONFIG-BAD", 1, text="buses")


def test_a_deleted_database_opens_a_new_stream(stage):
    stage.counter_farm(1)
    stage.up(every="100ms")
    grow(stage, 5)
    stage.farm.mute()
    stage.wait_balanced()
    stage.daemon.stop()
    for name in os.listdir(stage.state_dir):
        if name.startswith("buffer.db"):
            os.unlink(os.path.join(stage.state_dir, name))
    stage.farm.ledger.unseal()
    stage.start_daemon()
    grow(stage, 5)
    stage.farm.mute()
    stage.subscriber.wait_until(lambda: stage.report() and len(stage.ledger.streams) == 2, 10, "a second stream")
    keys = [(r.stream, r.seq) for r in stage.ledger.records.values()]
    assert len(keys) == len(set(keys)) and not stage.ledger.report().holes


@pytest.mark.parametrize("commit", ("100ms", "1s"))
def test_commit_every_is_honoured(stage, commit):
    stage.watch_machine()
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="100ms")
    settings["store"]["commit_every"] = commit
    stage.configure(settings)
    stage.start_daemon()
    grow(stage, 30)
    stage.farm.mute()
    stage.wait_balanced()
    limit = {"100ms": 100, "1s": 1000}[commit]
    for record in stage.ledger.samples():
        # committed within commit_every, sent within the batch delay (1 s), and the scheduling of a busy machine
        took = record.arrived_ms - record.body["ts"]
        assert took - stage.witness.held_ms(record.body["ts"], record.arrived_ms) <= limit + 1000 + 800, record
