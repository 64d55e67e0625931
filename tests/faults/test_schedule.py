# SPDX-License-Identifier: Apache-2.0
"""The ledger under a random schedule of faults: daemon, brokers, links, disk, configuration, clock and name server, several
at once.

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
from soak_short import Look, grown
from world import Disk, World, judge

EVERY_KIND = {
    ("link", "refuse"), ("link", "hold"), ("link", "hold_up"), ("link", "hold_down"), ("link", "delay"), ("link", "rate"),
    ("link", "reset"), ("link", "half_close"), ("broker", "freeze"), ("broker", "restart"), ("broker", "kill"),
    ("broker", "forget"), ("daemon", "kill"), ("daemon", "stop"), ("disk", "full"), ("disk", "read_only"),
    ("config", "address"), ("config", "topic"), ("config", "client_id"), ("config", "credentials"), ("clock", "step"),
    ("resolver", "hang")}


def seed():
    value = int(os.environ.get("FG_SEED") or random.SystemRandom().randrange(1 << 32))
    print("FG_SEED=%d" % value)
    return value


def test_a_schedule_always_comes_out_the_same():
    one, other = (Plan(7, 300, True).steps for _ in range(2))
    assert [step.text() for step in one] == [step.text() for step in other]


def test_a_minute_has_every_kind_of_fault():
    for number in range(50):
        plan = Plan(number, 60, with_disk=True, clock=True, resolver=True)
        assert plan.kinds() >= EVERY_KIND, "FG_SEED=%d" % number
        clock = [step.value for step in plan.steps if step.target == "clock"]
        assert {-3600000, -900000, 900000, 3600000} <= set(clock[::2]) and not any(clock[1::2])


def test_a_schedule_without_restarts_leaves_the_daemon_alone():
    steps = Plan(7, 300, True, restarts=False, sensors=("soil-a1",), clock=True).steps
    assert {step.target for step in steps} == {"link", "broker", "disk", "sensor", "clock"}
    assert not [step for step in steps if step.action == "read_only"]
    clock = [step.value for step in steps if step.target == "clock"]
    assert len(clock) > 4 and all(clock[::2]) and not any(clock[1::2]), "every step is taken back"


def test_the_short_soak_sees_five_per_cent_one_descriptor_and_one_thread():
    first = Look(0, 3000, 20, 10)
    assert not grown(first, Look(600, 3150, 20, 10)) and not grown(first, Look(600, 2000, 19, 9))
    assert "memory grew from 3000 to 3151" in grown(first, Look(600, 3151, 20, 10))[0]
    assert "descriptors grew" in grown(first, Look(600, 3000, 21, 10))[0]
    assert "threads grew" in grown(first, Look(600, 3000, 20, 11))[0]


def test_links_brokers_daemon_and_configuration_fail_in_any_order(stage):
    tried(World(stage, clock=True, resolver=True), Plan(seed(), 30, with_disk=False, clock=True, resolver=True))


def tried(world, plan):
    world.begin()
    world.run(plan)
    print(world.summary(judge(world)))
    assert set(world.happened) == plan.kinds()


def mounted(stage):
    disk = Disk(stage.state_dir)
    refused = disk.mount()
    if refused:
        pytest.skip(refused)
    stage.ends.callback(disk.unmount)
    return disk


def test_everything_fails_in_any_order(stage):
    plan = Plan(seed(), 60, with_disk=True, clock=True, resolver=True)
    tried(World(stage, mounted(stage), clock=True, resolver=True), plan)


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
    stage.daemon.wait_for_log("FG-STORE-FAILING")  # said after the status shows it
    assert len(stage.daemon.lines("FG-STORE-FAILING")) == 1
    disk.heal()
    stage.daemon.wait_for_status(lambda s: s["store"]["durable"], 15, "the disk in use again")
    stage.daemon.wait_for_log("FG-STORE-OK")
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
