# SPDX-License-Identifier: Apache-2.0
"""What is polled for years must not take memory each time: once every kind of poll has been seen, the threads of
buses allocate nothing, from the driver through rules and counters to the queue of the store."""

import os
import struct

import pytest

import preload
import settings as config_file
from daemon import default_binary
from models import Field, Model

EVERY_MS = 100
POLLS = 15
# Counted, and under rules that hold readings back and add them up.
STATION = Model("station", "A station", "invented for tests", (
    Field("air_temperature", "holding", 0, "int16", "0.1", "Cel", low=200, high=230),
    Field("rain", "holding", 1, "uint16", "0.2", "mm", high=60000)))
RULES = {"banded": {"report": {"change": 1, "at_least": "2s"}}, "summed": {"aggregate": "1s"}}


@pytest.fixture(name="counted")
def counting_stage(stage):
    """Real models on the three transports, one whose every other answer is garbled, two stations under rules; what each
    thread allocates is counted by tests/bench/count_alloc.c."""
    if preload.sanitizer(default_binary()):
        pytest.skip("a sanitizer allocates for itself")
    library = os.path.join(os.path.dirname(default_binary()), "bench", "count_alloc.so")
    assert os.access(library, os.R_OK), "%s: not built; run `make %s` first" % (library, os.path.relpath(library))
    with open(stage.path("allocations"), "wb") as file:
        file.write(bytes(4096))
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_tcp("pumphouse")
    stage.farm.add_rtu_over_tcp("greenhouse")
    stage.farm.add_device("soil-a1", "field", 1, "cwt-soil-npk-s")
    stage.farm.add_device("rough", "field", 2, "xy-md02")
    stage.farm.add_device("air-1", "greenhouse", 1, "xy-md02")
    stage.farm.add_device("meter", "pumphouse", 1, "pzem-004t-v3")
    for unit, name in enumerate(RULES, 2):
        stage.farm.add_device(name, "pumphouse", unit, STATION)
    stage.farm.fault("rough", garble_every=2)
    stage.farm.start()
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="%dms" % EVERY_MS, uplinks=[config_file.uplink(stage.broker.url)])
    for bus in settings["buses"]:
        if bus["protocol"] != "rtu":
            bus["timeout"] = "10s"  # under load no answer is late: a new connection would take memory
    for device in settings["devices"]:
        if device["name"] in RULES:
            device["points"][1]["counter"] = True
            device.update(RULES[device["name"]])
    stage.configure(settings)
    # In the locale C nothing is looked up for a line about a bus that cannot keep up with us.
    stage.start_daemon(env={"LD_PRELOAD": library, "FG_ALLOCATIONS": file.name, "LC_ALL": "C"})
    return stage


def wait_for_polls(stage, names=("soil-a1", "rough", "air-1", "meter", *RULES)):
    """Until each of these devices has given POLLS more answers."""
    book = stage.farm.ledger
    before = {name: book.count(name) for name in names}
    book.wait_for(lambda now: all(now.count(name) >= before[name] + POLLS for name in names), 60)


def allocations(stage):
    """{thread: allocations so far}, of the threads of buses."""
    with open(stage.path("allocations"), "rb") as file:
        calls = dict(struct.iter_unpack("=qq", file.read()))
    found = {}
    for thread in os.listdir("/proc/%d/task" % stage.daemon.pid):
        with open("/proc/%d/task/%s/comm" % (stage.daemon.pid, thread), encoding="utf-8") as file:
            name = file.read().strip()
        if name.startswith("bus-"):
            found[name] = calls.get(int(thread), 0)
    return found


def test_a_poll_allocates_nothing_once_each_kind_of_poll_was_seen(counted):
    wait_for_polls(counted)
    before = allocations(counted)
    assert len(before) == 3 and before["bus-pumphouse"] > 0, "a connection cannot be made without memory: %s" % before
    wait_for_polls(counted)
    assert allocations(counted) == before
