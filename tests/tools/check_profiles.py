#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what the C reader cannot: that the shipped profiles agree with each other and with config/points.yaml, and
that each has a golden dialogue that shows all of its points, negative where a point can be.

Usage: check_profiles.py [config-folder [dialogue-folder]]        Exit 0 when all is well, 1 with one line per problem.
"""
import pathlib
import re
import sys

import yaml

PROFILE_KEYS = {"profile", "title", "manufacturer", "source", "maturity", "line", "limits", "wires", "notes", "identify",
                "points"}
POINT_KEYS = {"name", "register", "reference", "address", "type", "order", "bits", "scale", "offset", "unit", "min",
              "max", "invalid", "every", "counter", "wrap"}
IDENTIFY_KEYS = {"register", "address", "count", "expect", "note"}
LIMIT_KEYS = {"max_registers", "max_hole", "min_every", "pause"}
TABLES = {"coil", "discrete_input", "input", "holding"}
BIT_TABLES = {"coil", "discrete_input"}
WIDTH = {"bool": 1, "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2, "int64": 4, "uint64": 4,
         "float64": 4}
ORDERS = {"ABCD", "CDAB", "BADC", "DCBA"}
RAW_RANGE = {"int16": (-2**15, 2**15 - 1), "uint16": (0, 2**16 - 1), "int32": (-2**31, 2**31 - 1),
             "uint32": (0, 2**32 - 1), "int64": (-2**63, 2**63 - 1), "uint64": (0, 2**64 - 1),
             "float32": (-3.4028235e38, 3.4028235e38)}
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
FILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
DURATION = re.compile(r"\d+(ms|s|min|h|d)")
FORMATS = {"8N1", "8E1", "8O1", "8N2"}


class UniqueLoader(yaml.SafeLoader):
    """A key written twice is an error here, not the silent loss of the first one."""


def _unique_map(loader, node, deep=False):
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=deep)
        if key in seen:
            raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: {key} stands twice")
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


UniqueLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_map)


def number(value):
    """YAML gives 1e-05 as text and 0.1 as a float; both are numbers to us."""
    return float(value)


def raw_range(point):
    """Least and greatest raw number; None where there is no bound worth checking."""
    if "bits" in point:
        ends = str(point["bits"]).split("-")
        return 0, 2 ** (int(ends[-1]) - int(ends[0]) + 1) - 1
    return RAW_RANGE.get(point.get("type", "bool" if point.get("register") in BIT_TABLES else "uint16"))


def can_be_negative(point):
    raw = raw_range(point)
    if raw is None or raw[0] == 0 or point.get("type") == "float32":
        return False
    return "min" not in point or number(point["min"]) < 0


class Checker:
    def __init__(self, folder, dialogues):
        self.folder = folder
        self.dialogues = dialogues
        self.problems = []

    def bad(self, path, text):
        self.problems.append(f"{path}: {text}")

    def load(self, path):
        try:
            data = yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueLoader)
        except (OSError, yaml.YAMLError) as e:
            self.bad(path, " ".join(str(e).split()))
            return None
        if not isinstance(data, dict):
            self.bad(path, "is not a map")
            return None
        return data

    def registry(self, path):
        data = self.load(path)
        points = (data or {}).get("points") or {}
        if not points:
            self.bad(path, "registers no points")
        for name, entry in points.items():
            if not NAME.fullmatch(name):
                self.bad(path, f"{name}: write names in snake_case")
            if not isinstance(entry, dict) or set(entry) - {"unit", "en", "vi"}:
                self.bad(path, f"{name}: knows only unit, en and vi")
                continue
            for language in ("en", "vi"):
                if not entry.get(language):
                    self.bad(path, f"{name}: has no description in {language}")
        return points

    def bits_of(self, point):
        """The bits of its table that a point occupies, as (address, bit) pairs."""
        width = WIDTH.get(point.get("type", "bool" if point.get("register") in BIT_TABLES else "uint16"), 1)
        first, last = 0, 15
        if "bits" in point:
            ends = str(point["bits"]).split("-")
            first, last = int(ends[0]), int(ends[-1])
        return {(point["address"] + word, bit) for word in range(width) for bit in range(first, last + 1)}

    def range_of(self, where, path, point):
        """min below max, and reachable by the register at all: a range that no raw value can meet is a wrong scale."""
        low = number(point["min"]) if "min" in point else None
        high = number(point["max"]) if "max" in point else None
        if low is not None and high is not None and low >= high:
            self.bad(path, f"{where}: min {low:g} is not below max {high:g}")
            return
        raw = raw_range(point)
        scale, offset = number(point.get("scale", 1)), number(point.get("offset", 0))
        if scale == 0:
            self.bad(path, f"{where}: scale 0 makes every value the same")
            return
        if raw is None:
            return
        reach = sorted(end * scale + offset for end in raw)
        slack = max(abs(scale) * 1e-6, abs(reach[1]) * 1e-12)
        if (high is not None and high > reach[1] + slack) or (low is not None and low < reach[0] - slack):
            self.bad(path, f"{where}: the register reaches {reach[0]:g}..{reach[1]:g}, the range asks for more; "
                           "check type, scale and offset")
        for value in point.get("invalid") or []:
            if not raw[0] <= value <= raw[1]:
                self.bad(path, f"{where}: invalid value {value} cannot stand in the register")

    def point(self, path, point, names, taken):
        where = point.get("name", "?")
        unknown = set(point) - POINT_KEYS
        if unknown:
            self.bad(path, f"{where}: unknown keys {', '.join(sorted(unknown))}")
        if where not in names:
            self.bad(path, f"{where}: is not registered in points.yaml")
        elif point.get("unit") != names[where].get("unit"):
            self.bad(path, f"{where}: unit {point.get('unit')!r}, but points.yaml says {names[where].get('unit')!r}")
        table = point.get("register")
        kind = point.get("type", "bool" if table in BIT_TABLES else "uint16")
        address = point.get("address")
        if table not in TABLES or kind not in WIDTH:
            self.bad(path, f"{where}: register {table!r} or type {kind!r} is not known")
            return
        if not isinstance(address, int) or not 0 <= address <= 0x10000 - WIDTH[kind]:
            self.bad(path, f"{where}: address {address!r} is not within 0..65535")
            return
        if (table in BIT_TABLES) != (kind == "bool") and "bits" not in point:
            self.bad(path, f"{where}: a {table} cannot be read as {kind}")
        if "order" in point and point["order"] not in ORDERS:
            self.bad(path, f"{where}: order {point['order']} is not one of {', '.join(sorted(ORDERS))}")
        if WIDTH[kind] > 1 and "order" not in point:
            self.bad(path, f"{where}: say the order of its {WIDTH[kind]} registers, devices differ")
        self.range_of(where, path, point)
        for bit in self.bits_of(point):
            other = taken.setdefault((table,) + bit, where)
            if other != where:
                self.bad(path, f"{where}: overlaps {other} at {table} {bit[0]:#06x}")
                break

    def header(self, path, data):
        unknown = set(data) - PROFILE_KEYS
        if unknown:
            self.bad(path, f"unknown keys {', '.join(sorted(unknown))}")
        if data.get("profile") != path.stem or not FILE_NAME.fullmatch(path.stem):
            self.bad(path, f"the file name must be the profile's name, {data.get('profile')!r}.yaml")
        for key in ("title", "manufacturer", "source"):
            if not isinstance(data.get(key), str) or len(data[key]) < 2:
                self.bad(path, f"{key} is missing")
        if data.get("maturity") not in ("manual", "tested"):
            self.bad(path, "maturity must be manual or tested")
        line = data.get("line") or {}
        if set(line) - {"baud", "format", "unit"} or line.get("format", "8N1") not in FORMATS:
            self.bad(path, f"line {line} is not {{baud, format, unit}}")
        if not all(isinstance(note, str) and note.endswith(".") for note in data.get("notes") or []):
            self.bad(path, "notes are whole sentences")
        limits = data.get("limits") or {}
        if set(limits) - LIMIT_KEYS:
            self.bad(path, f"limits know only {', '.join(sorted(LIMIT_KEYS))}")
        for key in ("min_every", "pause"):
            if key in limits and not DURATION.fullmatch(str(limits[key])):
                self.bad(path, f"limits: {key} {limits[key]!r} is not a duration such as 500ms or 15s")
        for entry in data.get("identify") or []:
            if set(entry) | {"expect"} != IDENTIFY_KEYS or entry.get("register") not in TABLES:
                self.bad(path, f"identify: each entry has {', '.join(sorted(IDENTIFY_KEYS))}")

    def readings(self, path):
        """What a dialogue lets be read: point -> [(value, quality)]."""
        found = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if len(words) == 3 and line[0] not in "#<>" and not words[0].endswith(":"):
                found.setdefault(words[0], []).append((words[1], words[2]))
        return found

    def dialogue(self, path, points):
        dialogue = self.dialogues / f"{path.stem}.txt"
        if not dialogue.is_file():
            self.bad(path, f"has no golden dialogue {dialogue.name}; docs/PROFILES.md says how to make it")
            return
        found = self.readings(dialogue)
        for point in points:
            good = [value for value, quality in found.get(point.get("name"), []) if quality == "good"]
            if not good:
                self.bad(dialogue, f"{point.get('name')} is never read with a good value")
            elif can_be_negative(point) and not any(value.startswith("-") for value in good):
                self.bad(dialogue, f"{point.get('name')} is signed, but never negative with a good value")

    def profile(self, path, names):
        data = self.load(path)
        if data is None:
            return set()
        self.header(path, data)
        points, seen, taken = data.get("points") or [], set(), {}
        if not points:
            self.bad(path, "has no points")
        for point in points:
            if point.get("name") in seen:
                self.bad(path, f"{point.get('name')}: stands twice")
            seen.add(point.get("name"))
            self.point(path, point, names, taken)
        self.dialogue(path, points)
        return seen

    def run(self):
        names = self.registry(self.folder / "points.yaml")
        profiles = sorted((self.folder / "profiles").glob("*.yaml"))
        if not profiles:
            self.bad(self.folder / "profiles", "holds no profiles")
        used = set()
        for path in profiles:
            used |= self.profile(path, names)
        for name in sorted(set(names) - used):
            self.bad(self.folder / "points.yaml", f"{name}: no profile uses it")
        for path in sorted(self.dialogues.glob("*.txt")):
            if not (self.folder / "profiles" / f"{path.stem}.yaml").is_file():
                self.bad(path, "belongs to no profile")
        return len(profiles)


def main(argv):
    tree = pathlib.Path(__file__).resolve().parents[2]
    checker = Checker(pathlib.Path(argv[1]) if len(argv) > 1 else tree / "config",
                      pathlib.Path(argv[2]) if len(argv) > 2 else tree / "tests" / "golden" / "dialogues")
    count = checker.run()
    for problem in checker.problems:
        print(problem, file=sys.stderr)
    if checker.problems:
        return 1
    print(f"profiles: {count} checked against points.yaml and their dialogues")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
