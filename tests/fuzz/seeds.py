#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the fuzzers' seeds, mostly from the golden files: seeds.py TREE FOLDER makes a folder in FOLDER for each."""
import hashlib
import pathlib
import sys


def frames(path):
    """Each question with the answer that follows it."""
    question = None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("> "):
            question = bytes.fromhex(line[2:].split("#")[0])
        elif line.startswith("< ") and question:
            yield question[:8].ljust(8, b"\0") + bytes.fromhex(line[2:].split("#")[0])


def save(folder, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


# A byte of circumstances (see the fuzzer), and a request.
COMMANDS = [b'\x06{"id":1,"command":"resend","from":1,"to":7,"sent":1795230246000}',
            b'\x06{"v":1,"id":"a","command":"rebirth","uplink":"province","sent":1795230246000}',
            b'\x02{"id":2,"command":"poll","device":"d"}', b'\x03{"id":"\\u00e1","command":"status"}',
            b'\x08{"id":"x","command":"pause","bus":"b","for_ms":500}', b'\x08{"command":"probe","device":"d"}']
# The same, and a stored body, a layout, or readings.
# Two numbers, a failure, and minimum, mean and maximum of them; of nothing.
SUMMED = b"".join(bytes([quality, kind]) + number.to_bytes(8, "little") for quality, kind, number in (
    (0, 3, 231), (0, 3, 236), (2, 3, 0), (0, 2, 0)))
PAYLOADS = [b"\x20" + SUMMED, b"\xf0" + SUMMED, b"\xb8" + SUMMED[30:], b'\x21[{"min":1,"mean":1.5,"max":2,"n":2},{"n":0,"bad":1}]',
            b'\x01[1,true,null,["out_of_range",9.9]]', b'\x19["no_reply",{}]', b'\x05[1e-3,-4]', b"\x08" + bytes(range(80)),
            b'\x01[1,"\\ud83d",2]', b'\x05["\\u0000"]',  # what JSON's grammar allows, and parsers refuse
            b'\x02{"models":{"m":{"points":[{"name":"a","type":"number"}]}},"devices":[{"name":"d","model":"m"}]}']


def main(tree, target):
    tree, target = pathlib.Path(tree), pathlib.Path(target)
    golden = tree / "tests" / "golden"
    for path in [*sorted((golden / "dialogues").glob("*.txt")), golden / "misprinted_frames.txt"]:
        for seed in frames(path):
            save(target / "fuzz_frame", seed)
            mbap = b"\0\x01\0\0" + (len(seed) - 10).to_bytes(2, "big")  # the same answer, as Modbus TCP has it
            save(target / "fuzz_frame", seed[:8] + mbap + seed[8:-2])
    for seed in COMMANDS:
        save(target / "fuzz_command", seed)
    for seed in PAYLOADS:
        save(target / "fuzz_payload", seed)
    for folder in (golden / "config", golden / "config" / "profiles", tree / "config" / "profiles", tree / "config"):
        for path in sorted(folder.glob("*.yaml")):
            save(target / "fuzz_profile", path.read_bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
