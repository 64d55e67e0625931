# SPDX-License-Identifier: Apache-2.0
"""probe, scan, pause: what a technician does on site, with and without a running daemon."""

import dataclasses
import fcntl
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest
import yaml

from daemon import ROOT, default_binary
from models import MODELS, Field
from proc import wait_until

PROFILES = os.path.join(ROOT, "config", "profiles")


def run(stage, *argv, seconds=60):
    """The program without any daemon, in the stage's own runtime folder."""
    os.makedirs(stage.path("run"), exist_ok=True)
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run([default_binary(), *argv, "--runtime-dir", stage.path("run")], capture_output=True,
                          text=True, timeout=seconds, check=False, env=env)


def probe(stage, device):
    return run(stage, "probe", device, "--config", stage.config_path)


def scan(stage, target, *options, seconds=60):
    return run(stage, "scan", target, "--profiles", PROFILES, "--config", stage.config_path, *options, seconds=seconds)


def order(stage, **request):
    """One request over the socket, as any program could send it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(30)
        client.connect(stage.path("run", "control"))
        client.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(client.makefile().readline())


def soil_probe(unit):
    """The NPK probe with the registers in which it keeps its number and speed code."""
    model = MODELS["cwt-soil-npk-s"]
    return dataclasses.replace(model, fields=model.fields + (Field("unit", "holding", 0x07D0, low=unit, high=unit),
                                                             Field("speed", "holding", 0x07D1, low=1, high=1)))


def never_written(stage):
    asked = stage.farm.ledger.requests()
    assert asked and set(asked) <= {1, 2, 3, 4}, asked


# -- probe


def test_probe_shows_raw_and_value_with_and_without_a_daemon(stage):
    stage.standard_farm()
    stage.start_broker()
    stage.configure(every="300ms")
    for running in (False, True):
        if running:
            stage.start_daemon()
            stage.daemon.wait_for_status(lambda s: all(d["state"] == "ok" for d in s["devices"]))
        for device in ("soil-a1", "air-1", "meter"):
            done = probe(stage, device)
            assert done.returncode == 0, done
            stage.farm.sync()
            words = stage.farm.ledger.good(device)
            shown = re.search(r"(?:input|holding) +\d+ +(?:u?int\d+|uint32) +([0-9A-F]{4})", done.stdout).group(1)
            assert int(shown, 16) in [answer.words[0] for answer in words], (shown, done.stdout)
            assert "good" in done.stdout
    assert stage.daemon.lines("FG-BUS-PORT") == []
    never_written(stage)


def test_probe_names_the_mistake_in_the_configuration(stage):
    stage.farm.add_tcp("line")
    stage.farm.add_device("air", "line", 1, "xy-md02")
    stage.farm.add_device("meter", "line", 2, "eastron-sdm120")
    stage.farm.start()
    stage.start_broker()
    settings = stage.settings()
    air, meter = settings["devices"]
    air["points"] = [{"name": "t", "register": "input", "address": 2, "type": "int16", "scale": 0.1, "min": -40, "max": 80},
                     {"name": "h", "register": "input", "address": 3, "scale": 0.1, "min": 0, "max": 100}]
    meter["points"] = [{"name": "u", "register": "input", "address": 0, "type": "float32", "order": "CDAB", "unit": "V",
                        "min": 80, "max": 300}]
    stage.configure(settings)
    done = probe(stage, "air")
    assert "looks like 1-based numbering: address 2 gives" in done.stdout, done.stdout
    assert "every point fits one address lower" in done.stdout, done.stdout
    done = probe(stage, "meter")
    assert "set order ABCD: it gives 212 V" in done.stdout, done.stdout


def test_probe_says_why_a_device_gives_nothing(stage):
    stage.counter_farm(2)
    stage.start_broker()
    settings = stage.settings()
    settings["buses"][0]["timeout"] = "200ms"
    stage.configure(settings)
    stage.farm.fault("counter-1", silent=True)
    done = probe(stage, "counter-1")
    assert done.returncode == 1 and "no_reply" in done.stdout, done
    done = probe(stage, "nobody")
    assert done.returncode == 1 and "counter-2" in done.stderr, done
    assert run(stage, "probe").returncode == 64


def test_probe_through_the_daemon_costs_no_reading(stage):
    stage.counter_farm(2)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    for _ in range(5):
        assert probe(stage, "counter-1").returncode == 0
    stage.farm.fault("counter-2", silent=True)  # a probe of a dead sensor holds up the bus, but not for good
    assert probe(stage, "counter-2").returncode == 1
    stage.farm.fault("counter-2")
    mark = len(stage.farm.ledger.answers())
    stage.farm.ledger.wait_for(lambda book: len(book.answers()) > mark + 10, 20)
    assert stage.daemon.running


def test_a_device_that_the_daemon_does_not_know_yet_is_probed_on_its_bus(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("old", "field", 1, "counter")
    stage.farm.add_device("new", "field", 2, "counter")
    stage.farm.start()
    stage.up(every="200ms", devices=["old"])
    stage.subscriber.sample("old")
    stage.configure(every="200ms")  # written, not applied
    done = probe(stage, "new")
    assert done.returncode == 0, done
    stage.daemon.wait_for_log("FG-BUS-RESUMED")
    assert probe(stage, "old").returncode == 0


# -- control socket


def test_the_socket_takes_orders_and_refuses_nonsense(stage):
    stage.counter_farm(1)
    stage.up(every="30s")
    stage.subscriber.sample("counter-1")
    mode = os.stat(stage.path("run", "control")).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    answer = order(stage, id=1, command="status")
    assert answer["ok"] and answer["status"]["gateway"] == "test-gw"
    served = stage.farm.ledger.count("counter-1")
    assert order(stage, id="x", command="poll", device="counter-1") == {"id": "x", "ok": True}
    stage.farm.ledger.wait_for(lambda book: book.count("counter-1") > served, 5)  # long before its 30 s
    for request in ({"id": 2}, {"id": 2, "command": "format"}, {"id": 2, "command": "poll", "device": "nobody"},
                    {"id": 2, "command": "pause", "bus": "line", "for_ms": 3600000}):
        answer = order(stage, **request)
        assert answer["id"] == 2 and not answer["ok"] and answer["error"], answer
    assert stage.daemon.lines("FG-BUS-PAUSED") == []


def test_the_socket_survives_a_killed_daemon_and_leaves_with_a_stopped_one(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    stage.daemon.kill()
    assert os.path.exists(stage.path("run", "control"))
    stage.daemon.start()
    assert order(stage, id=1, command="status")["ok"]
    stage.daemon.stop()
    assert not os.path.exists(stage.path("run", "control"))


def test_a_socket_that_cannot_be_made_is_one_warning(stage):
    stage.counter_farm(1)
    os.makedirs(stage.path("run", "control"))
    stage.up(every="200ms")
    stage.subscriber.sample("counter-1")
    assert len(stage.daemon.lines("FG-CONTROL")) == 1


def test_an_idle_client_does_not_delay_the_stop(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(stage.path("run", "control"))
        client.sendall(b'{"id":1,')
        code, seconds = stage.daemon.stop()
        assert code == 0 and seconds < 3


# -- pause


def test_a_pause_frees_the_port_ends_by_itself_and_is_accounted_for(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("c", "field", 1, "counter")
    stage.farm.start()
    stage.up(every="100ms")
    stage.subscriber.sample("c")
    before = sum(d["missed"] for d in stage.daemon.status()["devices"])
    begin = time.monotonic()
    assert run(stage, "pause", "field", "2s").returncode == 0
    served = len(stage.farm.ledger.answers())
    stage.daemon.wait_for_status(lambda s: s["devices"][0]["state"] == "paused")
    # Nobody holds the port: another program can lock it.
    assert subprocess.run(["flock", "-n", "-x", stage.path("ttyFIELD"), "true"], check=False).returncode == 0
    assert len(stage.farm.ledger.answers()) == served
    stage.farm.ledger.wait_for(lambda book: len(book.answers()) > served, 10)
    assert 1.9 <= time.monotonic() - begin < 4
    assert len(stage.daemon.lines("FG-BUS-PAUSED")) == 1 and len(stage.daemon.lines("FG-BUS-RESUMED")) == 1
    stage.daemon.wait_for_status(lambda s: s["devices"][0]["missed"] >= before + 15)
    stage.wait_balanced()


def test_resume_ends_a_pause_at_once(stage):
    stage.counter_farm(1)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    assert run(stage, "pause", "line", "10min").returncode == 0
    served = len(stage.farm.ledger.answers())
    assert probe(stage, "counter-1").returncode == 1  # not behind the back of whoever paused it
    assert run(stage, "resume", "line").returncode == 0
    stage.farm.ledger.wait_for(lambda book: len(book.answers()) > served, 5)


def test_pause_wants_a_bus_and_a_bounded_time(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    assert run(stage, "pause", "line", "1h").returncode == 64
    assert run(stage, "pause", "line", "5").returncode == 64
    assert run(stage, "pause", "line").returncode == 64
    done = run(stage, "pause", "nowhere", "5s")
    assert done.returncode == 1 and "nowhere" in done.stderr


def test_pause_without_a_daemon_says_so(stage):
    done = run(stage, "pause", "field", "5s")
    assert done.returncode == 1 and "no gateway" in done.stderr


# -- scan


def pasted(done):
    return yaml.safe_load(done.stdout)


def test_scan_finds_a_probe_of_unknown_number_and_speed(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("soil", "field", 37, soil_probe(37), setting=(4800, "8N1"))
    stage.farm.start()
    done = scan(stage, stage.path("ttyFIELD"), "--baud", "9600,4800", "--format", "8N1", "--units", "33-41")
    assert done.returncode == 0, done
    found = pasted(done)
    assert found["buses"] == [{"name": "field", "protocol": "rtu", "port": stage.path("ttyFIELD"), "baud": 4800,
                               "format": "8N1"}]
    assert [(d["unit"], d["profile"]) for d in found["devices"]] == [(37, "cwt-soil-npk-s")]
    assert re.search(r"score \d+ of 100: cwt-soil-npk-s", done.stdout)
    never_written(stage)


def test_what_scan_prints_can_be_used_as_it_is(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("soil", "field", 1, soil_probe(1), setting=(4800, "8N1"))
    stage.farm.add_device("air", "field", 2, "xy-md02", setting=(9600, "8N1"))
    stage.farm.start()
    done = scan(stage, stage.path("ttyFIELD"), "--baud", "9600,4800", "--format", "8N1", "--units", "1-3")
    assert done.returncode == 0, done
    found = pasted(done)
    assert {d["unit"] for d in found["devices"]} == {1, 2}
    found["uplinks"] = [{"name": "p", "url": "mqtt://127.0.0.1:1", "topic": "x"}]
    with open(stage.config_path, "w", encoding="utf-8") as file:
        yaml.safe_dump(found, file)
    check = subprocess.run([default_binary(), "check", "--config", stage.config_path, "--profiles", PROFILES],
                           capture_output=True, text=True, check=False)
    assert check.returncode == 0, check
    name = next(d["name"] for d in found["devices"] if d["unit"] == 1)
    done = run(stage, "probe", name, "--config", stage.config_path, "--profiles", PROFILES)
    assert done.returncode == 0 and "soil_moisture" in done.stdout, done


def test_a_scan_of_every_number_at_several_settings_comes_to_its_end(stage):
    """All of it, with a short wait: an answer that comes too late for that is noticed and its unit asked again."""
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("low", "field", 5, "counter", setting=(57600, "8N1"))
    stage.farm.add_device("odd", "field", 211, soil_probe(211), setting=(115200, "8O1"))
    stage.farm.add_device("last", "field", 247, "counter", setting=(57600, "8N1"))
    stage.farm.start()
    done = scan(stage, stage.path("ttyFIELD"), "--wait", "4ms", "--baud", "115200,57600", "--format", "8N1,8E1,8O1",
                "--units", "1-247")
    assert done.returncode == 0, done
    assert sorted(d["unit"] for d in pasted(done)["devices"]) == [5, 211, 247], done.stdout
    assert next(d["line"] if "line" in d else pasted(done)["buses"][0] for d in pasted(done)["devices"]
                if d["unit"] == 211)["format"] == "8O1"
    never_written(stage)


def test_a_host_that_answers_only_at_255_is_found(stage):
    stage.farm.add_tcp("box")
    stage.farm.add_device("meter", "box", 255, "eastron-sdm120")
    stage.farm.start()
    done = scan(stage, "127.0.0.1:%d" % stage.farm.buses["box"].port, "--wait", "20ms")
    assert done.returncode == 0 and [d["unit"] for d in pasted(done)["devices"]] == [255], done


def test_quick_scan_looks_only_for_numbers_that_sensors_are_sold_with(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("rain", "field", 192, "counter")
    stage.farm.add_device("odd", "field", 101, "counter")
    stage.farm.start()
    done = scan(stage, stage.path("ttyFIELD"), "--quick", "--baud", "9600", "--format", "8N1")
    assert done.returncode == 0, done
    assert [d["unit"] for d in pasted(done)["devices"]] == [192]


def test_scan_of_a_single_device_learns_its_own_number(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("soil", "field", 99, soil_probe(99), setting=(4800, "8N1"), also=(255,))
    stage.farm.start()
    done = scan(stage, stage.path("ttyFIELD"), "--single", "--baud", "4800", "--format", "8N1")
    assert done.returncode == 0, done
    assert "own number is 99" in done.stdout
    assert [d["unit"] for d in pasted(done)["devices"]] == [99]


def test_scan_never_asks_at_addresses_for_all_unless_told(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("soil", "field", 255, soil_probe(99))
    stage.farm.start()
    done = scan(stage, stage.path("ttyFIELD"), "--quick", "--baud", "4800", "--format", "8N1")
    assert done.returncode == 1 and stage.farm.ledger.requests() == {}, done
    assert "nobody answered" in done.stderr


@pytest.mark.parametrize("protocol", ("tcp", "rtu_over_tcp"))
def test_scan_of_a_host_tells_which_protocol_it_speaks(stage, protocol):
    getattr(stage.farm, "add_" + protocol)("box")
    stage.farm.add_device("meter", "box", 3, "eastron-sdm120")
    stage.farm.start()
    place = stage.farm.buses["box"].place()
    done = scan(stage, "127.0.0.1:%d" % place["tcp_port"], "--units", "1-4")
    assert done.returncode == 0, done
    found = pasted(done)
    assert found["buses"][0]["protocol"] == protocol and found["buses"][0]["tcp_port"] == place["tcp_port"]
    assert found["devices"][0]["unit"] == 3 and found["devices"][0]["profile"].startswith("eastron-sdm")
    never_written(stage)


def test_a_box_that_answers_to_every_number_is_one_device(stage):
    stage.farm.add_tcp("box")
    stage.farm.add_device("meter", "box", 1, "counter", also=range(256))
    stage.farm.start()
    done = scan(stage, "127.0.0.1:%d" % stage.farm.buses["box"].port)
    assert done.returncode == 0 and len(pasted(done)["devices"]) == 1, done
    assert "whatever the unit number is" in done.stdout


def test_scan_borrows_the_bus_from_a_running_daemon_and_gives_it_back(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("c", "field", 1, "counter")
    stage.farm.add_device("soil", "field", 37, soil_probe(37), setting=(4800, "8N1"))
    stage.farm.start()
    stage.up(every="100ms", devices=["c"])
    stage.subscriber.sample("c")
    for target in ("field", stage.path("ttyFIELD")):  # by its name, or by a port that turns out to be that bus
        mark = stage.daemon.mark()
        done = scan(stage, target, "--baud", "4800", "--format", "8N1", "--units", "30-40")
        assert done.returncode == 0, done
        device = pasted(done)["devices"][0]
        assert device["bus"] == "field" and device["unit"] == 37
        assert device["line"] == {"baud": 4800, "format": "8N1"}
        stage.daemon.wait_for_log("FG-BUS-PAUSED", after=mark)
        stage.daemon.wait_for_log("FG-BUS-RESUMED", 5, after=mark)
    served = stage.farm.ledger.count("c")
    stage.farm.ledger.wait_for(lambda book: book.count("c") > served, 5)


def test_an_interrupted_scan_prints_what_it_has_and_gives_the_bus_back(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("c", "field", 1, "counter")
    stage.farm.start()
    stage.up(every="100ms")
    stage.subscriber.sample("c")
    child = subprocess.Popen([default_binary(), "scan", "field", "--profiles", PROFILES, "--config", stage.config_path,
                              "--runtime-dir", stage.path("run")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
    try:
        stage.daemon.wait_for_log("FG-BUS-PAUSED", 10)
        book = stage.farm.ledger
        asked = book.requests("c")
        book.wait_for(lambda b: b.requests("c") != asked, 20, "a question of the scan")
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 0 and yaml.safe_load(out)["devices"][0]["unit"] == 1, (out, err)
    stage.daemon.wait_for_log("FG-BUS-RESUMED", 5)


def test_a_killed_scan_costs_a_minute_at_most(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("c", "field", 1, "counter")
    stage.farm.start()
    stage.up(every="100ms")
    stage.subscriber.sample("c")
    child = subprocess.Popen([default_binary(), "scan", "field", "--profiles", PROFILES, "--config", stage.config_path,
                              "--runtime-dir", stage.path("run")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        line = stage.daemon.wait_for_log("FG-BUS-PAUSED", 10)
    finally:
        child.kill()
        child.wait()
    assert int(re.search(r"for=(\d+)s", line).group(1)) <= 60
    assert run(stage, "resume", "field").returncode == 0
    stage.daemon.wait_for_log("FG-BUS-RESUMED", 5)


def test_scan_says_when_there_is_no_such_port(stage):
    done = scan(stage, stage.path("ttyNONE"))
    assert done.returncode == 1 and "ttyNONE" in done.stderr and done.stdout == "", done


def test_scan_of_a_port_that_another_program_holds_says_so(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.start()
    with open(stage.path("ttyFIELD"), "r+b", buffering=0) as port:
        fcntl.flock(port, fcntl.LOCK_EX)
        done = scan(stage, stage.path("ttyFIELD"), "--quick")
    assert done.returncode == 1 and "in use" in done.stderr, done


def test_scan_wants_sense(stage):
    for words in (("/dev/x", "--units", "0-9"), ("/dev/x", "--units", "1-248"), ("x", "--units", "1-300"),
                  ("x", "--wait", "5"), ("/dev/x", "--baud", "12345"),
                  ("/dev/x", "--format", "9N1"), (), ("a", "b")):
        assert run(stage, "scan", *words).returncode == 64, words


def test_commands_work_without_any_configuration(stage):
    stage.counter_farm(1)
    assert not os.path.exists(stage.config_path)
    done = scan(stage, "127.0.0.1:%d" % stage.farm.buses["line"].port, "--units", "1-2")
    assert done.returncode == 0, done
    wait_until(lambda: stage.farm.ledger.count("counter-1") > 0, 1, "an answer")
