# SPDX-License-Identifier: Apache-2.0
"""The serial line in real time: silences kept, echoes and late answers told apart, dead units a burden to nobody."""

import os
import termios
import time

import pytest

import settings as config_file
from ledger import Ledger
from models import Field
from proc import wait_until
from wire_line import WireLine
from witness import now_ms


def registers(*addresses):
    return tuple(Field("r%02d" % a, "holding", a) for a in addresses)


def run_on(stage, line, units, fields, every, timeout="500ms", **bus):
    """A daemon that reads these fields of these units, and a ledger over what the line answered."""
    stage.watch_machine()
    stage.start_broker()
    stage.subscribe()
    settings = {
        "gateway": {"id": "test-gw"},
        "store": {"path": os.path.join(stage.state_dir, "buffer.db"), "commit_every": "200ms"},
        "clock": {"trust": "always"},
        "buses": [line.bus(timeout=timeout, **bus)],
        "devices": [{"name": "u%d" % u, "bus": "line", "unit": u, "every": every,
                     "points": [field.as_point() for field in fields]} for u in units],
        "uplinks": [config_file.uplink(stage.broker.url)],
    }
    stage.configure(settings)
    stage.ledger = Ledger(line, {"u%d" % u: fields for u in units})
    stage.start_daemon()


def wait_answered(line, answers, seconds=30):
    return wait_until(lambda: line.answered() >= answers and line.stats(), seconds,
                      lambda: "%d answers; the line says %s" % (answers, line.stats()))


def quiet(stage, stats):
    """This machine held up neither the simulator nor the gateway nor what lies between them."""
    return stats["lag_max_us"] < 10000 and stage.witness.longest_sleep_ms() < 10


def orderly(stage, stats):
    """Nothing was ignored and nobody talked at the same time. A simulator that this machine has held up may see two
    talk who did not; silences it judges by what it really sent."""
    assert stats["early"] == 0 and stats["wrong_speed"] == 0, stats
    assert stats["gap_min_us"] >= stats["silence_us"], stats
    if quiet(stage, stats):
        assert stats["collisions"] == 0 and stats["torn"] == 0 and stats["bad"] == 0, stats


def balanced(stage, line):
    """No unit answers any more; everything they did answer has arrived, with its own values."""
    line.order("dead all")
    return stage.wait_balanced(20)


@pytest.mark.parametrize("baud, line_format", ((9600, "8N1"), (38400, "8N1"), (115200, "8N2")))
def test_a_strict_line_never_misses_a_question(stage, baud, line_format):
    with WireLine(stage.folder, baud, line_format, units="1-4", registers=20) as line:
        run_on(stage, line, range(1, 5), registers(*range(20)), "50ms")
        stats = wait_answered(line, 80)
        orderly(stage, stats)
        if quiet(stage, stats):  # one may be under way
            assert stats["requests"] - sum(u["answered"] for u in stats["units"].values()) <= 1, stats
        balanced(stage, line)


def test_the_simulated_line_notices_a_master_that_does_not_keep_silent(stage):
    """The other tests here would pass if it did not."""
    question = bytes.fromhex("010300000001840a")
    with WireLine(stage.folder, units="1", registers=4) as line:
        fd = os.open(line.port, os.O_RDWR | os.O_NOCTTY)
        mode = termios.tcgetattr(fd)
        mode[4] = mode[5] = termios.B9600
        termios.tcsetattr(fd, termios.TCSANOW, mode)
        os.write(fd, question)
        for asked in range(2, 200):
            answer = b""
            while len(answer) < 7:
                answer += os.read(fd, 7 - len(answer))
            os.write(fd, question)  # at once: 3.6 ms too early, unless this machine holds us up
            wait_until(lambda: line.stats()["requests"] == asked, 5, "the next question")
            if line.stats()["early"] == 1:
                break
        time.sleep(0.05)  # long enough for an answer that must not come
        stats = line.stats()
        assert stats["early"] == 1 and stats["units"]["1"]["answered"] == asked - 1, stats
        os.close(fd)


def test_an_adapter_that_echoes_our_questions_disturbs_nothing(stage):
    with WireLine(stage.folder, units="1-3", registers=20) as line:
        line.order("echo on")
        run_on(stage, line, range(1, 4), registers(*range(20)), "50ms")
        stats = wait_answered(line, 60)
        orderly(stage, stats)
        report = balanced(stage, line)
        assert report.delivered >= 60


def number_of(record, name):
    """Which answer a published register came from (tests/sim/unit_table.h); it must be that register's own."""
    word = int(record.body["values"][name])
    assert word >> 11 == int(name[1:]) & 31, "another register's value in %s: %s" % (name, record)
    assert word >> 8 & 7 == int(record.body["device"][1:]) & 7, "another unit's value in %s: %s" % (name, record)
    return word & 255


def ages_of(records, book, witness):
    """How old each block of each sample was when the sample was taken (ms). Every answer is used once at most, and
    none after a younger one of the same block."""
    served = {(a.address, a.words[0] & 255): a for a in book if a.written and a.words}
    newest, ages = {}, []
    for record in records:
        for name in record.body.get("values", {}):
            if record.body["values"][name] is None or int(name[1:]) not in (0, 20):
                continue
            number = number_of(record, name)
            assert number > newest.get(name, -1), "an old answer again in %s: %s" % (name, record)
            newest[name] = number
            asked = served[int(name[1:]), number].ts
            ages.append(record.body["ts"] - asked - witness.held_ms(asked, record.body["ts"]))
    return ages


@pytest.mark.parametrize("late, every", (("350ms", 1), ("700ms", 2)))
def test_a_late_answer_is_never_taken_for_another_register(stage, late, every):
    """Two blocks of one shape: nothing in a late answer says which of the two it is."""
    with WireLine(stage.folder, units="1-3", registers=32) as line:
        run_on(stage, line, range(1, 4), registers(0, 1, 20, 21), "200ms", timeout="200ms")
        wait_answered(line, 30)
        line.order("late", 2, late, "every", every)
        line.reset()
        wait_until(lambda: line.answered(2) >= 12 and line.answered(1) >= 12, 60, lambda: line.stats())
        line.order("late", 2, "0ms", "every", 1)
        line.reset()
        wait_until(lambda: line.answered(2) >= 40, 60, lambda: line.stats())
        line.order("dead all")
        last = line.answers()[-1].ts
        stage.subscriber.sample("u2", 20, where=lambda s: "failed" in s and s["ts"] > last)
        stage.report()
        samples = {unit: stage.ledger.samples("u%d" % unit) for unit in (1, 2, 3)}
        book = {unit: line.answers("u%d" % unit) for unit in samples}
        assert any(a.fault == "late" for a in book[2])
        for unit in samples:
            measured = [r for r in samples[unit] if r.body.get("values")]
            for record in measured:
                for name, value in record.body["values"].items():
                    assert value is None or number_of(record, name) >= 0
            ages = ages_of(measured, book[unit], stage.witness)
            # Nothing stays behind: not even the right register's value of the poll before.
            assert len(ages) > 20 and max(ages[-20:]) < 190, (unit, ages)
            assert max(ages) < 4000, (unit, ages)


def test_a_late_unit_on_a_busy_line_is_found_out(stage):
    """The others are asked right behind its timeout and leave the line no rest, so that hardly any late answer is heard."""
    with WireLine(stage.folder, units="1-3", registers=32) as line:
        line.order("dead", 2)
        run_on(stage, line, range(1, 4), registers(*range(32)), "50ms", timeout="200ms")
        stage.daemon.wait_for_log("FG-BUS-SILENT", 40, text="unit=2")
        line.order("late", 2, "300ms", "every", 1)
        line.order("alive", 2)
        line.reset()
        stage.daemon.wait_for_log("FG-BUS-SLOW", 60, text="unit=2")
        wait_until(lambda: line.answered(2) >= 20, 30, lambda: line.stats())


def test_garbled_and_lost_answers_are_asked_again_and_never_published(stage):
    with WireLine(stage.folder, units="1-3", registers=20) as line:
        line.order("garble 1 every 5")
        line.order("drop 2 every 5")
        run_on(stage, line, range(1, 4), registers(*range(20)), "200ms", timeout="200ms")
        stats = wait_answered(line, 60)
        orderly(stage, stats)
        last = line.answers()[-1].ts
        balanced(stage, line)
        failed = [r for r in stage.ledger.samples() if r.body["ts"] < last and not r.body.get("values")]
        # One retry is enough, except where this machine let both questions wait beyond their timeout.
        assert not [r for r in failed if stage.witness.held_ms(r.body["ts"] - 1000, r.body["ts"]) < 150], failed


def test_dead_units_do_not_starve_the_others(stage):
    """3 of 10 die: once they are known to be silent the living are read in their period."""
    dead, living = (2, 5, 8), (1, 3, 4, 6, 7, 9, 10)
    with WireLine(stage.folder, units="1-10", registers=20) as line:
        run_on(stage, line, range(1, 11), registers(*range(20)), "1s")
        wait_answered(line, 20)
        line.order("dead", ",".join(map(str, dead)))
        for unit in dead:
            stage.daemon.wait_for_log("FG-BUS-SILENT", 40, text="unit=%d" % unit)
        line.reset()
        begin = now_ms()
        time.sleep(8)  # what is measured
        stats, held = line.stats()["units"], stage.witness.held_ms(begin, now_ms())
        for unit in living:
            assert stats[str(unit)]["answered"] >= 6 - held / 1000, (unit, stats[str(unit)])
            assert stats[str(unit)]["longest_ms"] < 2100 + held, (unit, stats[str(unit)])
        line.order("alive all")
        wait_until(lambda: all(line.answered(u) >= 2 for u in dead), 60, lambda: "the dead read again: %s" % line.stats())
        balanced(stage, line)
