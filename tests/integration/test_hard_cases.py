# SPDX-License-Identifier: Apache-2.0
"""Cases that break gateways in the field: restored backups, slow links, narrow and flapping brokers, frozen boxes."""

import os
import shutil
import sqlite3
import time

import pytest

import settings as config_file
from witness import now_ms


def grow(stage, answers, seconds=30):
    """Waits for so many more answers."""
    stage.farm.ledger.wait_for(lambda book, n=stage.farm.ledger.count(): book.count() >= n + answers, seconds)


def copy_database(source, target):
    """The database and its WAL, nothing else: what a backup by file name would hold."""
    for name in ("buffer.db", "buffer.db-wal"):
        if os.path.exists(os.path.join(target, name)):
            os.unlink(os.path.join(target, name))
        if os.path.exists(os.path.join(source, name)):
            shutil.copy2(os.path.join(source, name), target)


@pytest.mark.parametrize("link", ("connected", "away"))
def test_a_restored_backup_opens_a_new_stream_and_no_number_is_used_twice(stage, link):
    stage.counter_farm(2)
    stage.up(every="100ms")
    grow(stage, 20)
    stage.daemon.stop()
    os.makedirs(stage.path("backup"))
    copy_database(stage.state_dir, stage.path("backup"))
    stage.start_daemon()
    grow(stage, 20)
    stage.wait_balanced()  # what was not delivered now would be lost with the file
    stage.daemon.stop()
    copy_database(stage.path("backup"), stage.state_dir)
    stage.farm.ledger.unseal()
    if link == "away":
        stage.broker.stop()
    stage.start_daemon()
    grow(stage, 20)
    if link == "away":
        stage.broker.start()
    report = stage.wait_balanced()
    assert len(stage.ledger.streams) == 2, stage.ledger.events()
    opened = stage.ledger.events("stream_opened")
    assert len(opened) == 2 and opened[1]["first"] == opened[1]["seq"]
    assert report.dropped == 0


def test_live_readings_are_never_late_while_a_backlog_drains_slowly(stage):
    stage.watch_machine()
    stage.counter_farm(4)
    stage.start_broker()
    stage.subscribe()
    uplink = config_file.uplink(stage.broker.url, backlog={"max_rate": "2KiB/s"}, batch={"max_bytes": "4KiB"})
    stage.configure(uplinks=[uplink], every="100ms")
    stage.start_daemon()
    stage.subscriber.sample("counter-1")
    stage.broker.stop()
    grow(stage, 400)
    stage.broker.start()
    first = stage.subscriber.wait_for(lambda m: m.lane == "backlog", 20).ms
    end = time.monotonic() + 6
    while time.monotonic() < end:
        stage.subscriber.wait_until(lambda n=len(stage.subscriber): len(stage.subscriber) > n, 5)
    during = [m for m in stage.subscriber.messages() if m.lane and m.ms >= first]
    backlog = sum(len(m.payload) for m in during if m.lane == "backlog")
    assert backlog <= 2048 * 6 + 2 * 4096 + 2048, "faster than max_rate: %d bytes in 6 s" % backlog
    late = [(m.ms - s["ts"] - stage.witness.held_ms(s["ts"], m.ms), s)
            for m in during if m.lane == "live" for s in m.json.get("samples", ())]
    assert len(late) > 100 and max(age for age, _ in late) < 5000, max(late, key=lambda pair: pair[0])


@pytest.mark.parametrize("option", ("max_inflight_messages 1", "max_packet_size 1500", "max_keepalive 10"))
def test_a_narrow_broker_gets_everything_all_the_same(stage, option):
    stage.counter_farm(2)
    stage.start_broker(extra=[option])
    stage.subscribe()
    stage.configure(uplinks=[config_file.uplink(stage.broker.url, keepalive="60s")], every="100ms")
    stage.start_daemon()
    stage.subscriber.sample("counter-1")
    stage.broker.stop()
    grow(stage, 60)
    stage.broker.start()
    report = stage.wait_balanced(30)
    assert report.dropped == 0
    if option == "max_keepalive 10":
        assert ", k10)" in stage.broker.log(), "the last CONNECT carries what this broker demands"


def test_version_3_1_1_delivers_too(stage):
    stage.standard_farm()
    stage.start_broker()
    stage.subscribe()
    stage.configure(uplinks=[config_file.uplink(stage.broker.url, version="3.1.1")], every="200ms")
    stage.start_daemon()
    stage.subscriber.sample("meter")
    stage.broker.stop()
    grow(stage, 30)
    stage.broker.start()
    stage.wait_balanced()


def test_a_flapping_broker_costs_nothing(stage):
    stage.counter_farm(2)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    for number in range(6):
        stage.broker.stop() if number % 2 else (stage.broker.save(), stage.broker.kill())
        grow(stage, 4)
        stage.broker.start()
        grow(stage, 4 + 6 * number)
    assert stage.wait_balanced(40).dropped == 0


def test_a_frozen_gateway_skips_periods_says_so_and_makes_no_burst(stage):
    stage.watch_machine()
    stage.counter_farm(1)
    stage.up(every="200ms")
    grow(stage, 5)
    begin = now_ms()
    stage.daemon.freeze()
    time.sleep(3)  # the time that is lost
    before = stage.farm.ledger.count()
    stage.daemon.thaw()
    sample = stage.subscriber.sample("counter-1", 10, where=lambda s: s.get("missed", 0) >= 10)
    assert 12 <= sample["missed"] <= 16 + stage.witness.held_ms(begin, sample["ts"]) / 200, sample
    grow(stage, 5)
    stamps = [a.ts for a in stage.farm.ledger.good()[before:]]
    # Polls that were made up for would come one upon the other; a busy machine shifts one by some dozen ms.
    steps = [b - a + stage.witness.held_ms(a - 200, b) for a, b in zip(stamps[1:], stamps[2:])]
    assert min(steps) > 50, stamps
    stage.wait_balanced()


def test_a_gateway_without_an_id_makes_one_and_keeps_it(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="200ms")
    del settings["gateway"]
    stage.configure(settings)
    stage.start_daemon()
    stage.subscriber.sample("counter-1")
    stage.daemon.stop()
    before = len(stage.subscriber)
    stage.start_daemon()
    stage.subscriber.wait_until(lambda: [m for m in stage.subscriber.messages(since=before) if m.lane], 10)
    stage.wait_balanced()
    assert len(stage.ledger.gateways) == 1


def test_a_foreign_database_is_refused_and_left_alone(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.configure()
    path = os.path.join(stage.state_dir, "buffer.db")
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE precious(x)")
        other.execute("INSERT INTO precious VALUES (42)")
    other.close()
    stage.start_daemon(wait=False)
    assert stage.daemon.wait_exit(5) != 0
    stage.daemon.wait_for_log("FG-START", 1)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT x FROM precious").fetchall() == [(42,)]
    other.close()
