# SPDX-License-Identifier: Apache-2.0
"""A broker that means harm: the gateway goes on measuring, keeps its size, believes nothing, and delivers everything to
the real broker that comes after it on the same port."""

import os
import random
import time

import pytest

import settings as config_file
from daemon import default_binary
from hostile_broker import SCRIPTS, HostileBroker

SECONDS = float(os.environ.get("FG_HOSTILE_SECONDS", "8"))
SEED = int(os.environ.get("FG_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
EVERY_S = 0.2
UNITS = 2


def resident_kib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_hostile_broker_harms_nothing_and_the_next_one_gets_everything(stage, version):
    print("FG_SEED=%d" % SEED)
    stage.counter_farm(UNITS)
    stage.start_broker()
    stage.subscribe()
    stage.subscriber.stop()  # its session stays with the broker
    stage.broker.stop()
    hostile = HostileBroker(stage.broker.port, SEED)
    # Many addresses are tried without a pause between them, so that a few seconds see many connections.
    urls = ["mqtt://127.0.0.%d:%d" % (i, stage.broker.port) for i in range(1, 31)]
    stage.configure(uplinks=[config_file.uplink(urls, version=version)], every="200ms")
    stage.start_daemon()
    stage.farm.ledger.wait_for(lambda book: book.count() >= 4, 10)
    begin, before = time.monotonic(), stage.farm.ledger.count()
    time.sleep(SECONDS / 2)
    half = resident_kib(stage.daemon.pid)
    time.sleep(SECONDS / 2)
    polls = stage.farm.ledger.count() - before
    due = (time.monotonic() - begin) / EVERY_S * UNITS
    assert stage.daemon.running, stage.daemon.log()
    assert polls > 0.9 * due, "%d polls of %d while the broker was hostile" % (polls, due)
    if "/release/" in default_binary():  # a sanitizer keeps what was freed
        assert resident_kib(stage.daemon.pid) - half < 4096
    print("connections: %s; resident: %d KiB, then %d KiB" % (hostile.served, half, resident_kib(stage.daemon.pid)))
    hostile.stop()
    assert len(hostile.served) >= min(len(SCRIPTS), 5)
    assert stage.daemon.status()["uplinks"][0]["delivered"] == 0
    stage.broker.start()
    stage.subscriber.start()
    stage.wait_balanced(90)
    assert stage.daemon.stop()[0] == 0
