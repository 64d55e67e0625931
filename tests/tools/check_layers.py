#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the sources to their architecture: layers, library doors, sizes and licence heads; and the tests to loopback.

Usage: check_layers.py [tree]        Exit 0 when all is well, 1 with one line per violation.

A file includes only from its own level or below. A library's header is included by one door only, so that its
surprises stay in one place. Lengths are checked because a long function or file does two jobs.
"""
import pathlib
import re
import sys

MAX_FUNCTION_LINES = 80
MAX_FILE_LINES = 500

# A module is a file name without its ending; a pattern may end in _* for the parts that a module is split into.
LEVELS = {
    0: ["err", "log", "clock", "text", "text_said", "buf", "pulse", "decimal", "json", "prom", "rate", "damp", "tar",
        "redact", "heap"],
    1: ["sample", "layout", "queue", "seqset", "counter", "report", "aggregate"],
    2: ["drivers/", "store", "store_*", "schedule", "busload", "payload", "payload_*", "compress", "mqtt", "mqtt_*",
        "tls_*", "yaml_*"],
    3: ["poller", "poller_*", "uplink", "uplink_*", "health", "health_*", "command", "command_*",
        "control", "control_*", "probe", "probe_*"],
    4: ["config", "config_*", "gateway", "gateway_*", "status", "status_*", "scan", "scan_*"],
    5: ["cmd", "cmd_*", "main"],
}

# What a part must not come to know even though its level would allow it, directly or through another header.
FORBIDDEN = {
    "uplink": ["poller", "config"],
    "poller": ["store"],
}

# Library header -> the files that may include it.
DOORS = [
    (r"sqlite3\.h", r"gateway/store(_\w+)?\.c"),
    (r"MQTTAsync\.h|MQTTClient\.h|MQTTProperties\.h|MQTTReasonCodes\.h", r"gateway/mqtt(_incoming|_send)?\.c"),
    (r"modbus(/.*)?\.h", r"drivers/modbus_link\.c"),
    (r"yaml\.h", r"gateway/yaml_doc\.c"),
    (r"systemd/.*", r"gateway/(health|log)\.c"),
    (r"zlib\.h", r"gateway/compress\.c"),
    (r"openssl/.*", r"gateway/(tls_\w+|mqtt_puback)\.c"),
    (r"libintl\.h", r"gateway/text\.h"),
    (r"cjson/.*", r"gateway/json\.[ch]"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', re.M)
SPDX = {".c": "/* SPDX-License-Identifier: Apache-2.0 */", ".h": "/* SPDX-License-Identifier: Apache-2.0 */",
        ".py": "# SPDX-License-Identifier: Apache-2.0"}


# Listening where others can reach it: no test does.
EVERYWHERE = re.compile(r"""0\.0\.0\.0|INADDR_ANY|in6addr_any|(?:create_server|bind)\(\(["']["']|\blistener %d(?! 127)""")


def matches(name, pattern):
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def level_of(path):
    """The level of a source given as drivers/x.c or gateway/x.h; None when the table does not know it."""
    if path.startswith("drivers/"):
        return 2
    name = pathlib.PurePosixPath(path).stem
    for level, patterns in LEVELS.items():
        if any(matches(name, pattern) for pattern in patterns):
            return level
    return None


def part_of(path):
    """gateway/uplink_pace.c belongs to the part uplink."""
    return pathlib.PurePosixPath(path).stem.split("_")[0]


class Checker:
    def __init__(self, tree):
        self.tree = tree
        self.problems = []
        self.sources = sorted(p for folder in ("gateway", "drivers") for p in (tree / folder).glob("*.[ch]"))
        self.includes = {}

    def bad(self, where, text):
        self.problems.append(f"{where}: {text}")

    def name(self, path):
        return path.relative_to(self.tree).as_posix()

    def read(self):
        for path in self.sources:
            text = path.read_text(encoding="utf-8")
            own = self.includes.setdefault(self.name(path), [])
            for match in INCLUDE.finditer(text):
                line = text.count("\n", 0, match.start(2 if match.group(2) else 1)) + 1
                own.append((line, match.group(1), match.group(2)))

    def target(self, source, included):
        """The file in the tree that a quoted include names; None when it is not ours."""
        path = (self.tree / source).parent / included
        try:
            name = path.resolve().relative_to(self.tree).as_posix()
        except ValueError:
            return None
        return name if name in self.includes else None

    def check_doors(self):
        for source, includes in self.includes.items():
            for line, library, quoted in includes:
                header = library or quoted
                if quoted and self.target(source, quoted):
                    continue  # drivers/modbus.h is ours, not the library's
                for pattern, door in DOORS:
                    if re.fullmatch(pattern, header) and not re.fullmatch(door, source):
                        self.bad(f"{source}:{line}", f"<{header}> has one door, {door}; go through it")

    def check_levels(self):
        for source, includes in self.includes.items():
            own = level_of(source)
            if own is None:
                self.bad(source, "is in no layer; give it one in tests/tools/check_layers.py")
                continue
            for line, _, quoted in includes:
                if not quoted:
                    continue
                target = self.target(source, quoted)
                if target is None:
                    self.bad(f"{source}:{line}", f'"{quoted}" is not a file of gateway/ or drivers/')
                    continue
                theirs = level_of(target)
                if theirs is not None and theirs > own:
                    self.bad(f"{source}:{line}", f"level {own} includes {target} of level {theirs}; turn it round, "
                                                 "or hand the fact down as an option or a callback")

    def check_forbidden(self):
        for source in self.includes:
            for unwanted in FORBIDDEN.get(part_of(source), []):
                way = self.way_to(source, unwanted, [source])
                if way:
                    self.bad(source, f"{part_of(source)} must not know {unwanted}: {' -> '.join(way)}")

    def way_to(self, source, unwanted, way):
        for _, _, quoted in self.includes.get(source, []):
            target = self.target(source, quoted) if quoted else None
            if target is None or target in way:
                continue
            if target.startswith("gateway/") and part_of(target) == unwanted:
                return way + [target]
            found = self.way_to(target, unwanted, way + [target])
            if found:
                return found
        return None

    def check_sizes(self):
        for path in self.sources:
            lines = path.read_text(encoding="utf-8").splitlines()
            if len(lines) > MAX_FILE_LINES:
                self.bad(self.name(path), f"{len(lines)} lines; more than {MAX_FILE_LINES} are two jobs, split it")
            for name, first, last in functions(lines):
                length = last - first + 1
                if length > MAX_FUNCTION_LINES:
                    self.bad(f"{self.name(path)}:{first}",
                             f"{name}() has {length} lines; more than {MAX_FUNCTION_LINES} are two jobs, split it")

    def check_licences(self):
        paths = list(self.sources)
        paths += sorted(p for p in (self.tree / "tests").rglob("*") if p.suffix in SPDX)
        for path in paths:
            head = path.read_text(encoding="utf-8").splitlines()[:3]
            if path.suffix != ".py":
                head = head[:1]
            if SPDX[path.suffix] not in head:
                self.bad(f"{self.name(path)}:1", f"begin with {SPDX[path.suffix]}")

    def check_heads(self):
        """Formatting may join lines, and then nobody finds what is asked most."""
        for path in self.sources:
            text = path.read_text(encoding="utf-8")
            for word in ("Threads", "Ownership", "Errors") if path.suffix == ".h" else ():
                if not re.search(r"^ \* %s  " % word, text, re.MULTILINE):
                    self.bad(f"{self.name(path)}:1", f"the head has no line that begins with {word}")

    def check_loopback(self):
        for path in sorted(p for ending in ("py", "[ch]", "sh", "js") for p in (self.tree / "tests").rglob("*." + ending)):
            if path.resolve() == pathlib.Path(__file__).resolve():
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if EVERYWHERE.search(line):
                    self.bad(f"{self.name(path)}:{number}", "listens where others can reach it; tests stay on 127.0.0.0/8")

    def run(self):
        self.read()
        if not self.sources:
            self.bad(self.tree, "has no sources in gateway/ and drivers/")
        for check in (self.check_doors, self.check_levels, self.check_forbidden, self.check_sizes,
                      self.check_licences, self.check_heads, self.check_loopback):
            check()


def functions(lines):
    """(name, first line, last line) of every function, counted from its signature. The house style puts a
    function's braces at the start of a line, and nothing else that has a parameter list."""
    found, start = [], None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number - 1
            while start > 1 and lines[start - 2].strip() and not lines[start - 2].startswith(("}", "#", "/", " *")):
                start -= 1
        elif line.startswith("}") and start is not None:
            name = re.search(r"(\w+)\s*\(", " ".join(lines[start - 1:start + 3]))
            found.append((name.group(1) if name else "?", start, number))
            start = None
    return found


def main(argv):
    tree = pathlib.Path(argv[1] if len(argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    checker = Checker(tree)
    checker.run()
    for problem in checker.problems:
        print(problem, file=sys.stderr)
    if checker.problems:
        return 1
    print(f"layers: {len(checker.sources)} sources in their place")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
