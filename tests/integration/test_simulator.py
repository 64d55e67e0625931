# SPDX-License-Identifier: Apache-2.0
"""The simulator against an independent Modbus implementation (pymodbus), and against frames from manuals."""

import json
import os
import struct
import subprocess
import sys
import time

import pytest
import pymodbus_door  # noqa: F401  (before pymodbus)
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.transaction import ModbusRtuFramer

import farm as farm_module
import wire
from farm import Farm
from models import MODELS

TRANSPORTS = ("rtu", "tcp", "rtu_over_tcp")


def make_client(protocol, place):
    if protocol == "rtu":
        client = ModbusSerialClient(place["port"], baudrate=9600, timeout=1)
    else:
        framer = {"framer": ModbusRtuFramer} if protocol == "rtu_over_tcp" else {}
        client = ModbusTcpClient(place["host"], port=place["tcp_port"], timeout=1, **framer)
    assert client.connect()
    return client


@pytest.fixture(params=TRANSPORTS)
def line(request, tmp_path):
    """(farm, pymodbus client) on one transport, with one device of each interesting kind."""
    with Farm(str(tmp_path / "served.jsonl")) as farm:
        if request.param == "rtu":
            farm.add_rtu("b", str(tmp_path / "tty"))
        elif request.param == "tcp":
            farm.add_tcp("b")
        else:
            farm.add_rtu_over_tcp("b")
        for unit, model in enumerate(("cwt-soil-npk-s", "xy-md02", "eastron-sdm120", "counter", "everything"), 1):
            farm.add_device(model, "b", unit, model)
        farm.start()
        client = make_client(request.param, farm.buses["b"].place())
        try:
            yield farm, client
        finally:
            client.close()


def test_crc_agrees_with_frames_printed_in_manuals():
    good = ["010300000007 0408", "0103 0E 01D0 014C 002C 005A 0020 0058 0068 7029",  # CWT NPK manual
            "0104 14 08D1 006C0000 00F40000 00260000 01F4 0064 0000 5134",  # PZEM vendor text
            "FF0307D00001 9159", "0003 0001 0001 D41B", "020600041388 C56E"]
    for frame in (bytes.fromhex(text.replace(" ", "")) for text in good):
        assert wire.with_crc(frame[:-2]) == frame
    wrong = bytes.fromhex("010308 0292FF9B03E80038 3875".replace(" ", ""))  # CWT THCPH manual: the maker's error
    assert wire.with_crc(wrong[:-2]) != wrong


def test_pymodbus_reads_what_the_ledger_says_was_served(line):
    farm, client = line
    for _ in range(3):
        registers = client.read_holding_registers(0, 9, slave=1).registers
        farm.sync()
        assert registers == farm.ledger.good("cwt-soil-npk-s")[-1].words
        registers = client.read_input_registers(1, 2, slave=2).registers
        farm.sync()
        assert registers == farm.ledger.good("xy-md02")[-1].words
    first, second = farm.ledger.good("xy-md02")[:2]
    assert first.words != second.words


def test_values_rise_by_one_with_every_answer(line):
    _, client = line
    counts = [client.read_holding_registers(0, 2, slave=4).registers for _ in range(4)]
    assert counts == [[0, 0], [0, 1], [0, 2], [0, 3]]


def test_floats_are_big_endian_pairs_in_the_makers_order(line):
    _, client = line
    registers = client.read_input_registers(0, 2, slave=3).registers
    voltage = struct.unpack(">f", struct.pack(">HH", *registers))[0]
    assert voltage == pytest.approx(212.0)
    field = next(f for f in MODELS["eastron-sdm120"].fields if f.name == "voltage")
    assert field.decode(registers) == 212


def test_all_four_tables_answer(line):
    farm, client = line
    assert client.read_coils(0, 3, slave=5).bits[:3] == [False, True, False]
    assert client.read_discrete_inputs(16, 10, slave=5).bits[:10] == [True] * 10  # the second answer
    assert len(client.read_holding_registers(100, 20, slave=5).registers) == 20
    assert len(client.read_input_registers(200, 16, slave=5).registers) == 16
    farm.sync()
    assert [a.table for a in farm.ledger.good("everything")] == ["coil", "discrete_input", "holding", "input"]


def test_unknown_registers_and_functions_are_exceptions(line):
    farm, client = line
    assert client.read_input_registers(0, 2, slave=2).exception_code == 2  # XY-MD02 starts at 1
    assert client.read_holding_registers(0, 126 - 1, slave=1).exception_code == 2
    assert client.read_input_registers(0, 81, slave=3).exception_code == 3  # Eastron: 80 at most
    assert client.write_register(0, 1, slave=1).exception_code == 1
    assert farm.ledger.good() == []


def test_an_unknown_unit_keeps_silent(line):
    farm, client = line
    client.params.timeout = 0.2
    assert client.read_holding_registers(0, 1, slave=77).isError()
    assert farm.ledger.answers() == []


def test_a_sealed_farm_serves_nothing_more(line):
    farm, client = line
    assert not client.read_holding_registers(0, 2, slave=4).isError()
    sealed = farm.mute()
    client.params.timeout = 0.2
    assert client.read_holding_registers(0, 2, slave=4).isError()
    assert farm.ledger.count() == 1 and farm.ledger.good()[-1].ts <= sealed


def test_an_unplugged_line_comes_back_at_the_same_place(line):
    farm, client = line
    assert not client.read_holding_registers(0, 2, slave=4).isError()
    place = dict(farm.buses["b"].place())
    farm.unplug("b")
    if "port" in place:
        assert not os.path.lexists(place["port"])
    client.close()
    farm.plug("b")
    assert farm.buses["b"].place() == place
    again = make_client(farm.protocols["b"], place)
    assert again.read_holding_registers(0, 2, slave=4).registers == [0, 1]
    again.close()


def test_the_ledger_file_holds_every_answer(line, tmp_path):
    farm, client = line
    client.read_holding_registers(0, 2, slave=4)
    client.read_input_registers(0, 2, slave=2)
    farm.sync()
    entries = [json.loads(text) for text in (tmp_path / "served.jsonl").read_text().splitlines()]
    assert [(e["device"], e["words"], e["exception"], e["written"]) for e in entries] == [
        ("counter", [0, 0], None, True), ("xy-md02", [], 2, True)]


class RawMaster:
    """A bare RTU master on a pty: sends bytes, takes what comes until a deadline."""

    def __init__(self, path):
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def ask(self, body, want, seconds=2.0):
        os.write(self._fd, wire.with_crc(body))
        data, deadline = b"", time.monotonic() + seconds
        while len(data) < want and time.monotonic() < deadline:
            try:
                data += os.read(self._fd, 256)
            except BlockingIOError:
                time.sleep(0.002)
        return data

    def close(self):
        os.close(self._fd)


@pytest.fixture
def raw(tmp_path):
    with Farm() as farm:
        farm.add_rtu("b", str(tmp_path / "tty"))
        farm.add_device("c", "b", 1, "counter")
        farm.start()
        master = RawMaster(str(tmp_path / "tty"))
        yield farm, master
        master.close()


READ = bytes([1, 3, 0, 0, 0, 2])


def answer(count):
    return wire.with_crc(bytes([1, 3, 4]) + struct.pack(">I", count))


def test_fault_garble_breaks_only_the_crc(raw):
    farm, master = raw
    farm.fault("c", garble_every=2)
    assert master.ask(READ, 9) == answer(0)
    garbled = master.ask(READ, 9)
    assert garbled[:-1] == answer(1)[:-1] and garbled != answer(1)
    farm.sync()
    assert [a.fault for a in farm.ledger.answers()] == [None, "garbled"]


def test_fault_drop_loses_every_nth_answer(raw):
    farm, master = raw
    farm.fault("c", drop_every=3)
    got = [master.ask(READ, 9, seconds=0.15) for _ in range(3)]
    assert got == [answer(0), answer(1), b""]
    assert [a.written for a in farm.ledger.answers()] == [True, True, False]


def test_fault_late_answers_after_the_time_given(raw):
    farm, master = raw
    farm.fault("c", late_ms=120)
    begin = time.monotonic()
    assert master.ask(READ, 9) == answer(0)
    assert 0.12 <= time.monotonic() - begin < 1.0
    assert farm.ledger.count() == 0  # late is not good


def test_fault_echo_exception_silent_and_noise(raw):
    farm, master = raw
    farm.fault("c", echo=True)
    assert master.ask(READ, 17) == wire.with_crc(READ) + answer(0)
    farm.fault("c", exception=6)
    assert master.ask(READ, 5) == wire.with_crc(bytes([1, 0x83, 6]))
    farm.fault("c", noise=b"\x00\xff")
    assert master.ask(READ, 11) == b"\x00\xff" + answer(2)
    farm.fault("c", silent=True)
    assert master.ask(READ, 1, seconds=0.1) == b""
    farm.fault("c")
    assert master.ask(READ, 9) == answer(3)


def test_a_request_after_line_noise_is_still_understood(raw):
    _, master = raw
    os.write(master._fd, b"\x01\x03\x00")  # torn, then silence
    time.sleep(wire.STALE_SECONDS * 1.5)  # the silence is what is tested
    assert master.ask(READ, 9) == answer(0)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_value_of_a_model_decodes_to_what_was_meant(model):
    for field in MODELS[model].fields:
        for n in (0, 1, 2, 97, 65000):
            raw_value = field.raw(n)
            decoded = field.decode(field.words(n))
            if field.type == "float32":
                assert float(decoded) == pytest.approx(raw_value, rel=1e-6)
            elif field.type == "bool":
                assert decoded is raw_value
            else:
                assert float(decoded) == pytest.approx(raw_value * float(field.scale))


def test_the_program_serves_and_obeys_orders(tmp_path):
    description = {"buses": [{"name": "b", "protocol": "tcp"}],
                   "devices": [{"name": "c", "bus": "b", "unit": 1, "model": "counter"}]}
    (tmp_path / "farm.json").write_text(json.dumps(description))
    program = subprocess.Popen([sys.executable, "-B", farm_module.__file__, str(tmp_path / "farm.json")],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with program:
        try:
            client = make_client("tcp", json.loads(program.stdout.readline())["b"])
            assert client.read_holding_registers(0, 2, slave=1).registers == [0, 0]
            for order, word in (("fault c exception=4", "ok"), ("fault c typo=1", "refused"), ("dance", "unknown")):
                program.stdin.write(order + "\n")
                program.stdin.flush()
                assert program.stdout.readline().startswith(word)
            assert client.read_holding_registers(0, 2, slave=1).exception_code == 4
            client.close()
            program.stdin.close()
            assert program.wait(timeout=5) == 0
        finally:
            program.kill()
