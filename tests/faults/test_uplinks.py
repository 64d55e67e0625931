# SPDX-License-Identifier: Apache-2.0
"""Several uplinks from one buffer: a dead one costs the living one nothing, and only its own claim ends at the cap."""

import os

import settings as config_file
from broker import Broker
from ledger import Ledger
from proc import free_port
from subscriber import Subscriber

MAX_BYTES = 1 << 20
# commit_every and the batch's max_delay, 200 ms each, and a busy machine.
PROMPT_MS = 1500


def wide_farm(stage, units=8):
    """Long samples: a small buffer is full in seconds."""
    stage.farm.add_tcp("line")
    for unit in range(1, units + 1):
        stage.farm.add_device("wide-%d" % unit, "line", unit, "wide")
    stage.farm.start()


def configure(stage, *uplinks, every="50ms", **store):
    """The living uplink "province" and more."""
    batch = {"max_delay": "200ms"}
    settings = stage.settings(every=every, uplinks=[
        config_file.uplink(stage.broker.url, batch=batch),
        *(config_file.uplink(url, name, topic=name + "/{gateway}", batch=batch, **more) for name, url, more in uplinks)])
    settings["store"].update(store)
    stage.configure(settings)


def apply(stage):
    done = stage.daemon.command("apply", "--config", stage.config_path, "--runtime-dir", stage.daemon.runtime,
                                seconds=30)
    assert done.returncode == 0, done.stdout + done.stderr


def uplink_status(status, name):
    return next(u for u in status["uplinks"] if u["name"] == name)


def wait_dropped(stage, name, count):
    return stage.daemon.wait_for_status(lambda s: uplink_status(s, name)["dropped"] > count, 60, "drops of " + name)


def buffer_bytes(stage):
    """Database and WAL together, as the file system sees them."""
    return sum(entry.stat().st_size for entry in os.scandir(stage.state_dir) if entry.name.startswith("buffer.db")
               and not entry.name.endswith("-shm"))


def losses(ledger, uplink):
    return [e for e in ledger.events("samples_dropped") if e["uplink"] == uplink]


def lags(stage):
    """How long after it was taken each sample arrived, ms, rising."""
    return sorted(r.arrived_ms - r.body["ts"] - stage.witness.held_ms(r.body["ts"], r.arrived_ms)
                  for r in stage.ledger.samples())


def settled(stage, ledger, subscriber, seconds=30):
    """Waits until this uplink's book agrees with the sensors', who say nothing any more."""
    subscriber.wait_until(lambda: ledger.take(subscriber).report().balanced, seconds,
                          lambda: ledger.report().text() + stage.daemon.log()[-2000:])
    return ledger.report()


def test_a_dead_uplink_loses_its_own_claim_at_the_cap_and_nothing_of_the_living_one(stage):
    stage.watch_machine()
    wide_farm(stage)
    stage.start_broker()
    stage.subscribe()
    port = free_port()
    configure(stage, ("market", "mqtt://127.0.0.1:%d" % port, {}), max_size="1MiB")
    stage.start_daemon()
    status = wait_dropped(stage, "market", 600)
    assert status["store"]["bytes"] <= MAX_BYTES and buffer_bytes(stage) <= MAX_BYTES
    assert uplink_status(status, "province")["dropped"] == 0

    report = stage.wait_balanced(30)
    assert report.dropped == 0 and not losses(stage.ledger, "province")
    assert report.delivered > 1000
    late = lags(stage)
    assert late[int(len(late) * 0.99)] < PROMPT_MS, late[-20:]
    # The living uplink carries what is said of the dead one: losses of ten seconds in one event.
    stage.subscriber.wait_until(lambda: stage.report() and losses(stage.ledger, "market"), 20, "a loss event")
    assert all(e["reason"] == "store_full" for e in losses(stage.ledger, "market"))

    # The dead one comes to life at last: what it gets and what its events name is everything.
    with Broker(stage.path("market"), port=port) as broker:
        ledger = Ledger.of_farm(stage.farm, uplink="market")
        with Subscriber(port) as subscriber:
            broker.save()
            apply(stage)  # it has given up for half a minute by now; begun anew it asks at once
            report = settled(stage, ledger, subscriber)
        assert report.dropped == len(report.missing) > 600
        assert sum(int(e["count"]) for e in losses(ledger, "market")) >= report.dropped
        # By number: devices on Modbus TCP are asked in rows, and several share a millisecond.
        newest_lost = max(end for stream in ledger.streams.values() for _, end in stream.lost)
        assert all(r.seq > newest_lost for r in ledger.samples()), "the oldest go first"


def test_a_removed_uplink_frees_what_only_it_waited_for(stage):
    wide_farm(stage)
    stage.start_broker()
    stage.subscribe()
    configure(stage, ("market", "mqtt://127.0.0.1:%d" % free_port(), {}), max_size="1MiB", keep_delivered="1s")
    stage.start_daemon()
    wait_dropped(stage, "market", 100)
    kept = stage.daemon.status()["store"]["records"]
    configure(stage, max_size="1MiB", keep_delivered="1s")
    apply(stage)
    stage.daemon.wait_for_status(lambda s: s["store"]["records"] < kept / 3, 30, "fewer records than %d" % kept)
    report = stage.wait_balanced(30)
    assert report.dropped == 0
    (removed,) = stage.ledger.events("uplink_removed")
    assert removed["uplink"] == "market" and removed["waiting"] > kept / 2
    (line,) = stage.daemon.lines("FG-UPLINK-REMOVED")
    assert "uplink=market waiting=%d:" % removed["waiting"] in line
    assert buffer_bytes(stage) <= MAX_BYTES


def test_a_new_uplink_begins_with_the_oldest_record_or_with_now_as_it_was_told(stage):
    stage.counter_farm(3)
    stage.start_broker()
    stage.subscribe(topic="fieldgate/#")
    archive = Subscriber(stage.broker.port, "archive/#", "archive")
    fresh = Subscriber(stage.broker.port, "fresh/#", "fresh")
    configure(stage, every="100ms")
    stage.start_daemon()
    stage.farm.ledger.wait_for(lambda book: book.count() >= 150, 20)
    with archive, fresh:
        configure(stage, ("archive", stage.broker.url, {"start": "oldest"}),
                  ("fresh", stage.broker.url, {"start": "now"}), every="100ms")
        before = stage.farm.ledger.answers()[-1].ts
        apply(stage)
        begun = stage.farm.ledger.count()
        after = stage.farm.ledger.answers()[-1].ts
        stage.farm.ledger.wait_for(lambda book: book.count() >= begun + 60, 20)
        stage.wait_balanced()

        everything = settled(stage, Ledger.of_farm(stage.farm, uplink="archive"), archive)
        assert everything.delivered == everything.served and everything.dropped == 0

        since = Ledger.of_farm(stage.farm, uplink="fresh")
        newest = {name: stage.ledger_polls(name)[-1].values["count"] for name in stage.farm.devices}
        for name, count in newest.items():
            fresh.sample(name, 10, where=lambda s, c=count: s.get("values", {}).get("count") == c)
        report = since.take(fresh).report()
        assert not report.errors and not report.holes, report.text()
        assert min(r.body["ts"] for r in since.samples()) >= before - 1000
        assert all(poll.ts <= after for _, poll in report.missing), report.text()
        assert len(report.missing) >= 100
