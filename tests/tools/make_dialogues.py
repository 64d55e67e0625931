#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden dialogues of profiles: frames of a Modbus RTU line and what is to be read from them.

Usage: make_dialogues.py [--force] [--values FILE] [NAME...]        Exit 0 done, 1 with one line per problem.

For each profile (all without NAME) tests/golden/dialogues/NAME.txt is written from config/profiles/NAME.yaml and from
the raw numbers chosen by hand in tests/golden/dialogue_values.yaml. An existing file is kept unless --force is given:
once written it is reviewed data, which tests/unit/test_dialogues.c replays through the driver. Check sum, framing,
planning of the requests and scaling are written here anew, in Python's Decimal, so that no mistake is shared with the
program.
"""
import argparse
import math
import pathlib
import struct
import sys
from decimal import Decimal

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FUNCTION = {"coil": 1, "discrete_input": 2, "holding": 3, "input": 4}
TABLES = ["coil", "discrete_input", "input", "holding"]  # in the order in which a device is asked for them
CODES = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f",
         "float64": "d"}
READ = 18  # what a read costs apart from its data, in registers on the wire: 37 ms at 9600 bit/s
HEAD = """# SPDX-License-Identifier: Apache-2.0
# {profile}: > what the gateway asks, < what the device answers (Modbus RTU, with check sum), and
# what is to be read from it: point, exact value (- is none), quality. A point that a poll does not name is not due.
"""


class Problem(Exception):
    pass


def crc(data):
    """CRC-16/MODBUS, low byte first as it goes over the wire."""
    remainder = 0xFFFF
    for byte in data:
        for bit in range(8):
            carry = (remainder ^ (byte >> bit)) & 1
            remainder = (remainder >> 1) ^ (0xA001 if carry else 0)
    return bytes((remainder & 0xFF, remainder >> 8))


def frame(body):
    return body + crc(body)


def shown(data):
    return data.hex(" ").upper()


def unframe(text):
    data = bytes.fromhex(text)
    if frame(data[:-2]) != data:
        raise Problem(f"{text}: the check sum should be {shown(crc(data[:-2]))}")
    return data[:-2]


def decimal_text(number):
    text = format(number.normalize(), "f")
    return "0" if text in ("-0", "0") else text


def shortest(value, code):
    """The shortest decimal number that is stored as the same float."""
    packed = struct.pack(">" + code, value)
    for digits in range(1, 18):
        text = f"{value:.{digits}g}"
        if struct.pack(">" + code, float(text)) == packed:
            return Decimal(text)
    raise Problem(f"{value} is not a finite float")


class Point:
    """A point of a profile; numbers are kept as they are written there."""

    def __init__(self, entry):
        self.name = entry["name"]
        self.table = entry["register"]
        self.address = int(entry["address"], 0)
        self.type = entry.get("type", "bool" if self.table in TABLES[:2] else "uint16")
        self.order = entry.get("order", "ABCD")
        self.scale = Decimal(entry.get("scale", "1"))
        self.offset = Decimal(entry.get("offset", "0"))
        self.low = Decimal(entry["min"]) if "min" in entry else None
        self.high = Decimal(entry["max"]) if "max" in entry else None
        self.invalid = [int(x, 0) for x in entry.get("invalid", [])]
        if "bits" in entry:
            raise Problem(f"{self.name}: bits are not supported here yet: write this dialogue by hand")
        self.width = 1 if self.type == "bool" else struct.calcsize(CODES[self.type]) // 2

    def encode(self, raw):
        """The bytes of the registers as they come over the wire."""
        if self.type == "bool":
            return struct.pack(">H", raw)
        try:
            data = struct.pack(">" + CODES[self.type], raw)
        except struct.error as e:
            raise Problem(f"{self.name}: {raw} does not fit {self.type}: {e}") from None
        words = [data[i:i + 2] for i in range(0, len(data), 2)]
        if self.order in ("CDAB", "DCBA"):
            words.reverse()
        if self.order in ("BADC", "DCBA"):
            words = [word[::-1] for word in words]
        return b"".join(words)

    def reading(self, raw):
        """(value as text, quality)"""
        if self.type == "bool":
            return ("true" if raw else "false"), "good"
        code = CODES[self.type]
        if code in "fd" and not math.isfinite(raw) or raw in self.invalid:
            return "-", "sensor_fault"
        value = (shortest(raw, code) if code in "fd" else Decimal(raw)) * self.scale + self.offset
        beyond = self.low is not None and value < self.low or self.high is not None and value > self.high
        return decimal_text(value), "out_of_range" if beyond else "good"


class Device:
    def __init__(self, profile):
        self.unit = int(profile.get("line", {}).get("unit", "1"))
        limits = profile.get("limits", {})
        self.most = int(limits.get("max_registers", "125"))
        self.hole = int(limits.get("max_hole", "0"))
        self.points = [Point(p) for p in profile["points"]]
        self.declared = {(p.table, p.address + i) for p in self.points for i in range(p.width)}

    def joins(self, points):
        """Whether one read may bring these neighbours: short enough, and no hole that the model does not bear."""
        scale = 16 if points[0].table in TABLES[:2] else 1
        end = points[0].address
        for p in points:
            holes = sum((p.table, a) not in self.declared for a in range(end, p.address))
            if p.table != points[0].table or holes > self.hole:
                return False
            end = max(end, p.address + p.width)
        return end - points[0].address <= self.most * scale

    def plan(self, due):
        """The reads for these points as (table, address, count, points): the ways to cut them that cost least, and
        of equally cheap ones that with the longest last read."""
        points = sorted((p for p in self.points if p.name in due), key=lambda p: (TABLES.index(p.table), p.address))
        best = [(0, [])]  # for the first so many points: cost, reads
        for n in range(1, len(points) + 1):
            ways = []
            for k in range(n):
                if self.joins(points[k:n]):
                    address = points[k].address
                    count = max(p.address + p.width for p in points[k:n]) - address
                    ways.append((best[k][0] + READ + count,
                                 best[k][1] + [(points[k].table, address, count, points[k:n])]))
            best.append(min(ways, key=lambda way: (way[0], -way[1][-1][2])))
        return best[-1][1]

    def request(self, read):
        table, address, count, _ = read
        return frame(struct.pack(">BBHH", self.unit, FUNCTION[table], address, count))

    def answer(self, read, raw):
        table, address, count, _ = read
        registers = bytearray(2 * count)  # what nobody describes reads as 0
        for p in self.points:
            at = 2 * (p.address - address)
            if p.table == table and p.name in raw and 0 <= at and at + 2 * p.width <= len(registers):
                registers[at:at + 2 * p.width] = p.encode(raw[p.name])
        if table in TABLES[:2]:
            bits = [registers[2 * i + 1] for i in range(count)]
            registers = bytes(sum(bit << i for i, bit in enumerate(bits[n:n + 8])) for n in range(0, count, 8))
        return frame(struct.pack(">BBB", self.unit, FUNCTION[table], len(registers)) + bytes(registers))

    def decode(self, read, data):
        """The raw numbers in an answer's data; for printed examples."""
        _, address, _, points = read
        raw = {}
        for p in points:
            part = data[2 * (p.address - address):][:2 * p.width]
            words = [part[i:i + 2] for i in range(0, len(part), 2)]
            if p.order in ("CDAB", "DCBA"):
                words.reverse()
            if p.order in ("BADC", "DCBA"):
                words = [word[::-1] for word in words]
            raw[p.name] = struct.unpack(">" + CODES[p.type], b"".join(words))[0]
        return raw


def printed_poll(device, poll):
    """A maker's example: its frames as they stand, and what the maker says that they mean."""
    request, answer = (unframe(text) for text in poll["frames"])
    reads = device.plan(set(poll["reads"]))
    if len(reads) != 1 or device.request(reads[0])[:-2] != request:
        raise Problem(f"{poll['poll']}: would be asked as {', '.join(shown(device.request(r)) for r in reads)}")
    raw = device.decode(reads[0], answer[3:])
    for p in reads[0][3]:
        if p.reading(raw[p.name])[0] != poll["reads"][p.name]:
            raise Problem(f"{poll['poll']}: {p.name} reads {p.reading(raw[p.name])[0]}, not {poll['reads'][p.name]}")
    return [(frame(request), frame(answer))], raw


def chosen_poll(device, poll):
    raw = poll["raw"]
    unknown = set(raw) - {p.name for p in device.points}
    if unknown:
        raise Problem(f"{poll['poll']}: the profile has no point {', '.join(sorted(unknown))}")
    return [(device.request(r), device.answer(r, raw)) for r in device.plan(set(raw))], raw


def dialogue(name, profile, polls):
    device = Device(profile)
    wide = max(len(p.name) for p in device.points)
    lines = [HEAD.format(profile=name)]
    for poll in polls:
        frames, raw = printed_poll(device, poll) if "frames" in poll else chosen_poll(device, poll)
        lines.append(f"poll: {poll['poll']}")
        if "source" in poll:
            lines.append(f"source: {poll['source']}")
        for request, answer in frames:
            lines += [f"> {shown(request)}", f"< {shown(answer)}"]
        readings = [(p.name, *p.reading(raw[p.name])) for p in device.points if p.name in raw]
        long = max(len(value) for _, value, _ in readings)
        lines += [f"{n:{wide}}  {value:>{long}}  {quality}" for n, value, quality in readings]
        lines.append("")
    return "\n".join(lines)


def make(name, values, force):
    path = ROOT / "tests" / "golden" / "dialogues" / f"{name}.txt"
    if path.exists() and not force:
        return False
    if not values.get(name):
        raise Problem("dialogue_values.yaml has no raw numbers for it")
    text = (ROOT / "config" / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")
    # Every number stays text: YAML's floats would turn 0.00001 into something else.
    path.write_text(dialogue(name, yaml.load(text, Loader=yaml.BaseLoader), values[name]), encoding="utf-8")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="write existing dialogues anew")
    parser.add_argument("--values", type=pathlib.Path, default=ROOT / "tests" / "golden" / "dialogue_values.yaml")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    values = yaml.safe_load(args.values.read_text(encoding="utf-8"))
    names = args.names or sorted(p.stem for p in (ROOT / "config" / "profiles").glob("*.yaml"))
    failed = written = 0
    for name in names:
        try:
            written += make(name, values, args.force)
        except (Problem, OSError, ValueError, KeyError) as e:
            failed += 1
            print(f"{name}: {e}", file=sys.stderr)
    print(f"dialogues: {written} written, {len(names) - written - failed} kept, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
