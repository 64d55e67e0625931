# SPDX-License-Identifier: Apache-2.0
"""The disk fills up, stands still, or is found so at the start: measuring and sending go on, and the books say the rest."""

import errno
import math
import re

import pytest

import settings as config_file
from preload import DiskError
from witness import now_ms
from world import Card, Disk


def mounted(stage, disk):
    refused = disk.mount()
    if refused:
        pytest.skip(refused)
    stage.ends.callback(disk.unmount)
    return disk


def reasons(stage):
    stage.report()
    return [e["reason"] for e in stage.ledger.events("stream_opened")]


def in_memory(message):
    return message.lane and message.json.get("durable") is False


def test_a_disk_that_fills_up_delays_nothing_and_costs_nothing(stage):
    disk = mounted(stage, Disk(stage.state_dir))
    stage.counter_farm(2)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    disk.fill(0)
    began = stage.farm.ledger.answers()[-1].ts
    stage.subscriber.wait_for(in_memory, 20, "a reading from memory")
    stage.subscriber.wait_for(lambda m: m.kind == "state" and m.json.get("durable") is False, 5, "a state that says so")
    stage.subscriber.wait_for(lambda m: m.kind == "birth" and m.json.get("durable") is False, 5, "a birth that says so")
    # Part of the memory's stream stays behind for the disk.
    stage.broker.stop()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] > 50, 20, "a backlog in memory")
    disk.heal()
    stage.daemon.wait_for_status(lambda s: s["store"]["durable"], 15, "the disk in use again")
    code, _ = stage.daemon.stop()
    assert code == 0 and not stage.daemon.lines("FG-STOP-LOSS")
    stage.broker.start()
    stage.start_daemon()
    report = stage.wait_balanced(30)
    assert report.dropped == 0 and reasons(stage) == ["created", "disk_failing"]
    assert len(stage.daemon.lines("FG-STORE-FAILING")) == len(stage.daemon.lines("FG-STORE-OK")) == 1
    assert "not an error" not in stage.daemon.log()
    late = [r for r in stage.ledger.samples() if r.lane == "live" and r.body["ts"] > began
            and r.arrived_ms - r.body["ts"] > 5000]
    assert not late, late[:3]


def late_live(stage, began):
    """Live readings of the time since then that took much longer than the machine did."""
    return [r.body for r in stage.ledger.samples() if r.lane == "live" and r.body["ts"] > began
            and r.arrived_ms - r.body["ts"] - stage.witness.held_ms(r.body["ts"], r.arrived_ms) > 5000]


def goes_on(stage, polls=30):
    """The sensors are asked, and what they say arrives."""
    served = stage.farm.ledger.count()
    stage.farm.ledger.wait_for(lambda book: book.count() >= served + polls, 60)
    stage.subscriber.sample("counter-1", 20, since_ms=stage.farm.ledger.answers()[-1].ts + 1)


@pytest.mark.parametrize("error", ["EIO", "EROFS"])
def test_a_disk_that_fails_under_a_running_gateway_delays_nothing_and_costs_nothing(stage, error):
    stage.watch_machine()
    disk = DiskError(stage.path("disk-error"), stage.state_dir)
    stage.ends.callback(disk.close)
    stage.counter_farm(2)
    stage.start_broker()
    stage.subscribe()
    stage.configure(every="100ms")
    stage.start_daemon(preload=[disk])
    stage.subscriber.sample("counter-1", 20)
    began = now_ms()
    disk.answer(getattr(errno, error))
    stage.subscriber.wait_for(in_memory, 30, "a reading from memory")
    goes_on(stage)
    assert disk.refused() > 0
    assert len(stage.daemon.lines("FG-STORE-FAILING")) == 1 and not stage.daemon.lines("FG-STORE-OK")
    assert stage.daemon.status()["store"]["failing"]
    disk.answer(0)
    stage.daemon.wait_for_status(lambda s: s["store"]["durable"], 30, "the disk in use again")
    stage.daemon.wait_for_log("FG-STORE-OK", 10)
    report = stage.wait_balanced(30)
    assert report.dropped == 0 and reasons(stage) == ["created", "disk_failing"]
    recovered, = stage.ledger.events("disk_recovered")
    assert began - 1000 <= recovered["since"] <= now_ms()
    assert len(stage.daemon.lines("FG-STORE-FAILING")) == len(stage.daemon.lines("FG-STORE-OK")) == 1
    assert not late_live(stage, began), late_live(stage, began)[:3]
    code, _ = stage.daemon.stop()
    assert code == 0 and not stage.daemon.lines("FG-STOP-LOSS")


def test_a_card_that_the_kernel_makes_read_only_stops_neither_polls_nor_delivery(stage):
    stage.watch_machine()
    card = mounted(stage, Card(stage.state_dir, stage.path("card")))
    stage.counter_farm(2)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    began = now_ms()
    refused = card.break_down()
    if refused:
        pytest.skip(refused)
    stage.subscriber.wait_for(in_memory, 30, "a reading from memory")
    goes_on(stage)
    assert len(stage.daemon.lines("FG-STORE-FAILING")) == 1 and not stage.daemon.lines("FG-STORE-OK")
    report = stage.wait_balanced(30)
    assert report.dropped == 0 and not late_live(stage, began), late_live(stage, began)[:3]
    # The box is started again, and the card takes readings once more.
    code, _ = stage.daemon.stop()
    assert code == 0 and len(stage.daemon.lines("FG-STOP-LOSS")) == 1
    card.mount_anew()
    stage.farm.ledger.unseal()
    stage.start_daemon()
    stage.subscriber.sample("counter-1", 20, since_ms=stage.farm.ledger.answers()[-1].ts + 1)
    report = stage.wait_balanced(30)
    assert report.dropped == 0
    stage.daemon.wait_for_status(lambda s: s["store"]["durable"] and not s["store"]["failing"], 10, "a card that works")
    assert reasons(stage)[:2] == ["created", "disk_failing"], reasons(stage)
    told, = stage.ledger.events("restarted")
    of_memory = [r.body["ts"] for r in stage.ledger.samples() if stage.ledger.streams[r.stream].in_memory]
    assert told["last_committed_ts"] <= min(of_memory) and max(of_memory) <= told["started_ts"]


def test_a_stop_on_a_full_disk_says_how_much_is_lost_and_the_next_start_what_went_with_it(stage):
    stage.watch_machine()
    disk = mounted(stage, Disk(stage.state_dir))
    stage.counter_farm(1)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    disk.fill(0)
    stage.subscriber.wait_for(in_memory, 20, "a reading from memory")
    stage.broker.stop()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] > 30, 20, "a backlog in memory")
    code, _ = stage.daemon.stop()
    assert code == 0
    said = re.search(r"the last (\d+) readings and events, and (\d+) of them were not delivered",
                     stage.daemon.lines("FG-STOP-LOSS")[0])
    assert int(said[1]) >= int(said[2]) > 30
    disk.heal()
    served = stage.farm.ledger.answers()[-1].ts
    stage.broker.start()
    stage.start_daemon()
    stage.subscriber.sample("counter-1", since_ms=served + 1)
    stage.farm.mute()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] == 0, 20, "nothing waits")
    assert reasons(stage) == ["created", "disk_failing", "memory_lost"]
    assert len(stage.ledger.events("restarted")) == 1
    report = stage.report()
    assert not report.errors and not report.holes
    # Some of what is lost was an event, and the poll in progress was never one of them; nor was an answer for which a
    # machine that stood still let the gateway wait in vain.
    waited_in_vain = math.ceil(stage.witness.held_ms() / 500)
    assert int(said[2]) - 3 <= report.waiting <= int(said[2]) + 1 + waited_in_vain, (said[0], report.text())


def test_a_gateway_without_an_id_starts_on_a_full_disk_and_keeps_the_one_it_made(stage):
    disk = mounted(stage, Disk(stage.state_dir))
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="100ms")
    del settings["gateway"]["id"]
    stage.configure(settings)
    disk.fill(0)
    stage.start_daemon()
    stage.subscriber.sample("counter-1")
    first = stage.daemon.status()["gateway"]
    assert "cannot be kept" in stage.daemon.lines("FG-ID")[0]
    disk.heal()
    stage.daemon.wait_for_log("FG-ID", 15, text="kept in")
    stage.daemon.wait_for_status(lambda s: s["store"]["durable"], 15, "the disk in use again")
    stage.daemon.stop()
    stage.start_daemon()
    assert stage.daemon.wait_for_status(lambda s: True, 5, "a status")["gateway"] == first


def freeze(stage, card):
    """Whatever becomes of the test, the card thaws before the daemon is killed: until then nothing can end it."""
    stage.ends.callback(card.thaw)
    card.freeze()


def test_a_disk_that_stands_still_stops_neither_polls_nor_status_nor_watchdog_and_is_named(stage):
    card = mounted(stage, Card(stage.state_dir, stage.path("card")))
    stage.counter_farm(2)
    stage.up(every="200ms")
    stage.subscriber.sample("counter-1")
    freeze(stage, card)
    line = stage.daemon.wait_for_log("FG-STORE-HANGS", 30)
    assert "path=" + stage.state_dir in line and "dmesg" in line
    before = stage.daemon.wait_for_status(lambda s: s["store"]["stalled_ms"] >= 5000, 20, "a status that says so")
    fed, served = stage.daemon.watchdog_fed(), stage.farm.ledger.count()
    # Longer than a loop may usually take: uplinks wait for the disk, and are not blamed for it.
    now = stage.daemon.wait_for_status(lambda s: s["store"]["stalled_ms"] > 36000, 120, "a status that goes on")
    assert now["store"]["newest"] == before["store"]["newest"] and now["ts"] > before["ts"] + 20000
    assert stage.daemon.watchdog_fed() > fed + 10 and not stage.daemon.lines("FG-LATE")
    assert stage.farm.ledger.count() > served + 100
    page = stage.daemon.command("status", "--runtime-dir", stage.daemon.runtime)
    assert "THE DISK HANGS since" in page.stdout and "check the card" in " ".join(page.stdout.split())
    card.thaw()
    stage.daemon.wait_for_log("FG-STORE-ANSWERS", 20)
    stage.daemon.wait_for_status(lambda s: s["store"]["stalled_ms"] == 0, 20, "a disk that works")
    report = stage.wait_balanced(60)
    assert report.dropped == 0 and reasons(stage) == ["created"]
    assert not stage.daemon.lines("FG-LATE") and len(stage.daemon.lines("FG-STORE-HANGS")) == 1


def test_what_a_disk_that_stands_still_keeps_out_is_counted(stage):
    card = mounted(stage, Card(stage.state_dir, stage.path("card")))
    for bus in ("one", "other"):
        stage.farm.add_tcp(bus)
        for unit in range(1, 9):
            stage.farm.add_device("%s-%d" % (bus, unit), bus, unit, "wide")
    stage.farm.start()
    stage.start_broker()
    stage.subscribe()
    stage.configure(stage.settings(every="50ms", uplinks=[
        config_file.uplink(stage.broker.url, batch={"max_delay": "200ms"})]))
    stage.start_daemon()
    stage.subscriber.sample("one-1")
    freeze(stage, card)
    begin = stage.farm.ledger.count()
    stage.farm.ledger.wait_for(lambda served: served.count() > begin + 3000, 60, "answers that no queue holds")
    card.thaw()
    stage.daemon.wait_for_log("FG-QUEUE-FULL", 20)
    report = stage.wait_balanced(60)
    lost = stage.ledger.events("samples_dropped")
    assert lost and all(e["reason"] == "queue_full" for e in lost)
    assert sum(int(e["count"]) for e in lost) == report.dropped > 100, (lost, report.text())
    assert len(stage.daemon.lines("FG-QUEUE-FULL")) == 1
