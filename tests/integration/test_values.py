# SPDX-License-Identifier: Apache-2.0
"""What the sensors said is what arrives: exact numbers, honest failures, over all transports."""

import os
from decimal import Decimal

import pytest


def served_everywhere(stage, polls):
    """Waits until every device has answered that many requests."""
    for name in stage.farm.devices:
        stage.farm.ledger.wait_for(lambda book, n=name: book.count(n) >= polls, 15, "%d answers of %s" % (polls, name))


def test_every_value_of_three_transports_arrives_exactly(stage):
    stage.standard_farm()
    stage.up(every="200ms")
    served_everywhere(stage, 8)
    report = stage.wait_balanced()
    assert report.delivered >= 24 and report.dropped == 0
    for record in stage.ledger.samples():
        assert record.body["values"], record.body
        assert "quality" not in record.body and "failed" not in record.body and "clock" not in record.body


def test_a_tenth_is_written_as_one_digit_not_as_a_binary_fraction(stage):
    stage.standard_farm()
    stage.up(every="200ms", devices=["soil-a1"])
    stage.farm.ledger.wait_for(lambda book: book.count("soil-a1") >= 3, 10)
    sample = stage.subscriber.sample("soil-a1")
    values = sample["values"]
    assert (values["soil_moisture"], values["soil_temperature"]) == (15, Decimal("-1.5"))
    text = next(m.payload for m in stage.subscriber.messages("data") if b"soil_moisture" in m.payload)
    assert b'"soil_temperature":-1.5,' in text


@pytest.mark.parametrize("protocol", ("rtu", "tcp", "rtu_over_tcp"))
def test_every_type_order_and_table_is_decoded(stage, protocol):
    if protocol == "rtu":
        stage.farm.add_rtu("b", stage.path("tty"))
    else:
        getattr(stage.farm, "add_" + protocol)("b")
    stage.farm.add_device("all", "b", 7, "everything")
    stage.farm.start()
    stage.up(every="200ms")
    stage.farm.ledger.wait_for(lambda book: book.count() >= 24, 15)
    report = stage.wait_balanced()
    assert report.delivered >= 5
    values = stage.ledger.samples("all")[0].body["values"]
    assert values["coil_0"] is False and values["coil_1"] is True
    assert values["u64_abcd"] > 2**53 and values["s64_dcba"] < -(2**63) + 10


def test_time_stamps_are_those_of_the_answers(stage):
    stage.watch_machine()
    stage.counter_farm(1)
    stage.up(every="200ms")
    served_everywhere(stage, 5)
    stage.wait_balanced()
    polls = stage.ledger.polls("counter-1")
    for record, poll in zip(stage.ledger.samples("counter-1"), polls):
        late = record.body["ts"] - poll.ts
        assert -2 <= late and late - stage.witness.held_ms(poll.ts, record.body["ts"]) <= 250, (record.body, poll.ts)


def test_an_answer_with_a_wrong_crc_is_asked_again_or_told(stage):
    stage.farm.add_rtu("b", stage.path("tty"))
    stage.farm.add_device("c", "b", 1, "counter")
    stage.farm.start()
    stage.farm.fault("c", garble_every=3)
    stage.up(every="200ms")
    stage.farm.ledger.wait_for(lambda book: book.count() >= 10, 15)
    stage.wait_balanced()


def test_a_sensor_whose_crc_is_always_wrong_gives_no_value_and_says_why(stage):
    stage.farm.add_rtu("b", stage.path("tty"))
    stage.farm.add_device("c", "b", 1, "counter")
    stage.farm.start()
    stage.farm.fault("c", garble_every=1)
    stage.up(every="200ms")
    sample = stage.subscriber.sample("c")
    assert sample["failed"] == "bad_crc" and "values" not in sample


def test_a_refusing_sensor_gives_no_value_and_says_why(stage):
    stage.counter_farm(1)
    stage.farm.fault("counter-1", exception=4)
    stage.up(every="200ms")
    sample = stage.subscriber.sample("counter-1")
    assert sample["failed"] == "exception" and "values" not in sample
    stage.daemon.wait_for_log("FG-BUS-EXCEPTION")


def test_a_silent_sensor_is_told_and_comes_back(stage):
    stage.counter_farm(2)
    stage.up(every="200ms")
    served_everywhere(stage, 2)
    stage.farm.fault("counter-1", silent=True)
    sample = stage.subscriber.sample("counter-1", where=lambda s: "failed" in s)
    assert sample["failed"] == "no_reply" and "values" not in sample
    line = stage.daemon.wait_for_log("FG-BUS-SILENT", 15)
    assert "bus=line" in line and "device=counter-1" in line and "unit=1" in line
    stage.farm.fault("counter-1")
    stage.subscriber.sample("counter-1", 20, since_ms=sample["ts"] + 1, where=lambda s: "failed" not in s)
    stage.daemon.wait_for_log("FG-BUS-BACK")


def test_one_dead_sensor_does_not_delay_the_others(stage):
    stage.watch_machine()
    stage.farm.add_rtu("b", stage.path("tty"))
    for unit in (1, 2, 3):
        stage.farm.add_device("c%d" % unit, "b", unit, "counter")
    stage.farm.start()
    stage.farm.fault("c1", silent=True)
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="500ms")
    settings["buses"][0]["timeout"] = "300ms"
    stage.configure(settings)
    stage.start_daemon()
    stage.daemon.wait_for_log("FG-BUS-SILENT", 20)
    before = {name: stage.farm.ledger.count(name) for name in ("c2", "c3")}
    stage.farm.ledger.wait_for(lambda book: book.count("c2") >= before["c2"] + 12, 20)
    stamps = [a.ts for a in stage.farm.ledger.good("c2")[-12:]]
    # Its own period, not that of a bus that waits, nor a shorter one; the first may have waited for a probe.
    began_late = 300 + stage.witness.held_ms(stamps[0] - 500, stamps[0])
    assert stamps[-1] - stamps[0] + began_late >= 11 * 500 - 50, stamps
    steps = sorted(b - a - stage.witness.held_ms(a, b) for a, b in zip(stamps, stamps[1:]))
    assert steps[len(steps) // 2] <= 550, steps
    assert steps[-1] <= 500 + 300 + 200, steps  # at worst one probe of the dead one lies between


@pytest.mark.parametrize("protocol", ("rtu", "rtu_over_tcp", "tcp"))
@pytest.mark.parametrize("late_ms", (170, 320, 900))
def test_a_late_answer_never_becomes_another_registers_value(stage, protocol, late_ms):
    """Two registers are read with questions of one shape; RTU answers do not say which one they are for."""
    if protocol == "rtu":
        stage.farm.add_rtu("b", stage.path("tty"))
    else:
        getattr(stage.farm, "add_" + protocol)("b")
    stage.farm.add_device("twins", "b", 1, "twins")
    stage.farm.add_device("other", "b", 2, "twins")
    stage.farm.start()
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="300ms")
    settings["buses"][0]["timeout"] = "150ms"
    stage.configure(settings)
    stage.start_daemon()
    served_everywhere(stage, 4)
    stage.farm.fault("twins", late_ms=late_ms)
    stage.farm.ledger.wait_for(lambda book: sum(a.fault == "late" for a in book.answers("twins")) >= 5, 30)
    stage.farm.fault("twins")
    healed = stage.farm.ledger.answers()[-1].ts
    good = stage.subscriber.sample("twins", 40, since_ms=healed + 1000,
                                   where=lambda s: None not in s.get("values", {"": None}).values())
    stage.subscriber.sample("other", 10, since_ms=good["ts"])
    stage.farm.mute()
    stage.report()
    served = {(a.address, a.words[0]) for a in stage.farm.ledger.answers() if a.words}
    for record in stage.ledger.samples():
        for name, address in (("left", 0), ("right", 200)):
            value = record.body.get("values", {}).get(name)
            assert value is None or (address, value) in served, record.body


def test_a_number_outside_its_range_stands_aside_as_doubtful(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="200ms")
    settings["devices"][0]["points"][0].update(min=3, max=1000000)
    stage.configure(settings)
    stage.start_daemon()
    sample = stage.subscriber.sample("counter-1")
    assert sample["values"] == {"count": None} and sample["quality"] == {"count": "out_of_range"}
    assert sample["doubtful"] == {"count": 0}
    good = stage.subscriber.sample("counter-1", where=lambda s: s["values"]["count"] is not None)
    assert good["values"] == {"count": 3} and "quality" not in good


def test_a_raw_value_that_means_no_measurement_is_a_sensor_fault(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="200ms")
    settings["devices"][0]["points"][0]["invalid"] = [1, 2]
    stage.configure(settings)
    stage.start_daemon()
    sample = stage.subscriber.sample("counter-1", where=lambda s: s["values"]["count"] is None)
    assert sample["quality"] == {"count": "sensor_fault"} and "doubtful" not in sample


def test_an_unplugged_port_is_told_and_used_again_when_it_returns(stage):
    stage.farm.add_rtu("b", stage.path("tty"))
    stage.farm.add_device("c", "b", 1, "counter")
    stage.farm.start()
    stage.up(every="200ms")
    served_everywhere(stage, 2)
    node = os.readlink(stage.path("tty"))  # as under /dev/serial/by-id
    stage.farm.unplug("b")
    sample = stage.subscriber.sample("c", where=lambda s: "failed" in s)
    assert sample["failed"] in ("not_connected", "no_reply")
    stage.daemon.wait_for_log("FG-BUS-PORT")
    others = [os.openpty() for _ in range(2)]  # its old node is somebody else's now
    stage.farm.plug("b")
    assert os.readlink(stage.path("tty")) != node
    stage.subscriber.sample("c", 30, since_ms=sample["ts"] + 1, where=lambda s: "failed" not in s)
    stage.daemon.wait_for_log("FG-BUS-PORT-BACK")
    for fd in sum(others, ()):
        os.close(fd)


def test_nothing_is_ever_written_to_a_sensor(stage):
    stage.standard_farm()
    stage.up(every="200ms")
    served_everywhere(stage, 5)
    assert set(stage.farm.ledger.requests()) <= {1, 2, 3, 4}
