# SPDX-License-Identifier: Apache-2.0
"""The ledger under a random schedule of faults: daemon, brokers, links, disk and configuration, several at once.

Every value the sensors gave is known, and only outside subscribers say what was delivered. At the end their books must
agree with the sensors' for each uplink: no hole in the numbers, duplicates only with equal content, and nothing
missing but what a kill -9 may cost: what was read within the last commit_every (or since the disk refuses writes),
and the poll in progress. After each return of a link the newest readings come first.

The schedule comes from FG_SEED (printed; a fresh one when it is not set). `make soak T=2h` runs it for hours.
"""

import os
import random

import pytest

from schedule import Plan
from world import Disk, World, judge


def seed():
    value = int(os.environ.get("FG_SEED") or random.SystemRandom().randrange(1 << 32))
    print("FG_SEED=%d" % value)
    return value


def test_a_schedule_always_comes_out_the_same():
    one, other = (Plan(7, 300, True).steps for _ in range(2))
    assert [step.text() for step in one] == [step.text() for step in other]
    assert {(step.target, step.action) for step in one} >= {
        ("daemon", "kill"), ("broker", "forget"), ("link", "hold_down"), ("disk", "full"), ("disk", "read_only"),
        ("config", "address"), ("config", "topic"), ("config", "client_id"), ("config", "credentials")}


def test_links_brokers_daemon_and_configuration_fail_in_any_order(stage):
    world = World(stage)
    world.begin()
    world.run(Plan(seed(), 30, with_disk=False))
    print(world.summary(judge(world)))


def mounted(stage):
    disk = Disk(stage.state_dir)
    refused = disk.mount()
    if refused:
        pytest.skip(refused)
    stage.ends.callback(disk.unmount)
    return disk


def test_the_disk_fails_too(stage):
    world = World(stage, mounted(stage))
    world.begin()
    world.run(Plan(seed(), 30, with_disk=True))
    print(world.summary(judge(world)))


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_gateway_that_finds_its_disk_refusing_writes_measures_and_sends(stage, fault):
    disk = mounted(stage)
    stage.counter_farm(1)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    stage.daemon.stop()
    if fault == "full":
        disk.fill(0)
    else:
        disk.make_read_only()
    stage.start_daemon()
    stage.subscriber.sample("counter-1", since_ms=stage.farm.ledger.answers()[-1].ts + 1)
    status = stage.daemon.wait_for_status(lambda s: s["store"]["in_memory"] > 0, 5, "readings in memory")
    assert not status["store"]["durable"] and status["store"]["failing"]
    assert len(stage.daemon.lines("FG-STORE-FAILING")) == 1
    disk.heal()
    stage.daemon.wait_for_status(lambda s: s["store"]["durable"], 15, "the disk in use again")
    stage.farm.mute()
    stage.wait_balanced(30)
    assert len(stage.daemon.lines("FG-STORE-OK")) == 1
    assert [e["reason"] for e in stage.ledger.events("stream_opened")] == ["created", "disk_failing"]
    assert len(stage.ledger.events("disk_recovered")) == 1
    # Nothing of it is left to be said by the next start: everything is on the disk.
    code, _ = stage.daemon.stop()
    assert code == 0
    stage.start_daemon()
    stage.subscriber.wait_for(lambda m: m.lane and any(e["event"] == "started" for e in m.json.get("events", ())),
                              10, "a start as usual")
    assert len(stage.ledger.take(stage.subscriber).events("stream_opened")) == 2
