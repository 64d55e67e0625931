#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""province - works out docs/PROVINCE.md, whose tables are a sheet to calculate with.

    province.py check                 every result in the page is what its formula gives
    province.py write                 puts the results there, after an assumption was changed
    province.py measured bench.json   first puts measured figures there, those that the file has, and names the others

A row with a name is a quantity: | `name` | 12.3 unit | ... | was assumed or measured, | `name` | `formula` | 12.3 unit | ... |
is computed from the rows above it. Where a measured figure comes from stands behind "bench: ", the name of its line.

Exit 0 when all is well, 1 with one line for each result that is not, 64 for other words.
"""

import json
import math
import os
import random
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "PROVINCE.md")
GIVEN = re.compile(r"^\| `(\w+)` \| ([\d,.e+-]+)([^|]*?) \|(.*)$")
COMPUTED = re.compile(r"^\| `(\w+)` \| `([^`]+)` \| ([\d,.e+-]+|\?)([^|]*?) \|(.*)$")
SCALE = {"ms": 1e3, "µs": 1e6, "kB": 1e-3}  # of a row, to the lines of the benchmarks, which have s and B
LINE = re.compile(r"`bench: ([^`]+)`")


class Backoff:
    """When gateways try again that all lose their broker in one moment: the rules of gateway/uplink_backoff.h."""

    def __init__(self, seed=1):
        self._seed = seed
        with open(os.path.join(ROOT, "gateway", "uplink_backoff.h"), encoding="utf-8") as file:
            text = file.read()
        self.lost, self.first, self.last = (
            int(re.search(r"#define UPLINK_BACKOFF_%s_MS[\s\\]+(\d+)" % name, text).group(1)) / 1000
            for name in ("LOST", "FIRST", "LAST"))
        self._known = {}

    def seconds(self, gateways, away_s):
        """{second: attempts} until all are back; the broker answers again after away_s."""
        key = int(gateways), away_s
        if key not in self._known:
            chance, counts = random.Random(self._seed), {}
            for _ in range(key[0]):
                at, step = chance.uniform(0, self.lost), max(self.lost / 3, self.first)
                while True:
                    counts[int(at)] = counts.get(int(at), 0) + 1
                    if at >= away_s:
                        break
                    at += chance.uniform(0.8, 1.2) * step
                    step = min(2 * step, self.last)
            self._known[key] = counts
        return self._known[key]

    def peak(self, gateways, away_s):
        """The most attempts in a second from the broker's return on."""
        return max(count for second, count in self.seconds(gateways, away_s).items() if second >= int(away_s))

    def attempts(self, gateways, away_s):
        return sum(self.seconds(gateways, away_s).values())

    def back(self, gateways, away_s):
        """Seconds from the broker's return until the last is back."""
        return max(self.seconds(gateways, away_s)) + 1 - away_s


def shown(value):
    """Three digits are more than such figures are worth."""
    if not value or math.isnan(value):
        return "?"
    if isinstance(value, int) and value < 1000:
        return str(value)
    places = 2 - math.floor(math.log10(abs(value)))
    return "{:,.{}f}".format(round(value, places), max(0, places))


def number(text):
    return float(text.replace(",", ""))


def figures_of(path):
    with open(path, encoding="utf-8") as file:
        return {row["name"]: row["figure"] for row in json.load(file)["figures"]}


def work_out(lines, figures):
    """The lines as they should be, and what is wrong with them as they are."""
    backoff = Backoff()
    known = {"peak": backoff.peak, "attempts": backoff.attempts, "back": backoff.back, "ceil": math.ceil, "max": max,
             "min": min}
    out, wrong = [], []
    for place, line in enumerate(lines, 1):
        given, computed = GIVEN.match(line), COMPUTED.match(line)
        if given:
            name, text, unit, rest = given.groups()
            source = LINE.search(rest)
            if source and source.group(1) in figures:
                text = shown(figures[source.group(1)] * SCALE.get(unit.strip(), 1))
                line = "| `%s` | %s%s |%s" % (name, text, unit, rest)
            known[name] = number(text)
        elif computed:
            name, formula, text, unit, rest = computed.groups()
            try:
                known[name] = eval(formula, {"__builtins__": {}}, known)  # of our own page
            except (NameError, SyntaxError, TypeError, ZeroDivisionError) as error:
                wrong.append("%s:%d: %s: %s" % (os.path.relpath(PAGE, ROOT), place, formula, error))
                known[name] = float("nan")
            should = shown(known[name])
            if text != should:
                wrong.append("%s:%d: %s is %s, not %s" % (os.path.relpath(PAGE, ROOT), place, name, should, text))
            line = "| `%s` | `%s` | %s%s |%s" % (name, formula, should, unit, rest)
        elif line.startswith("| `"):
            wrong.append("%s:%d: not a row to calculate with" % (os.path.relpath(PAGE, ROOT), place))
        out.append(line)
    return out, wrong


def main(argv):
    if argv not in (["check"], ["write"]) and (len(argv) != 2 or argv[0] != "measured"):
        print(__doc__, file=sys.stderr)
        return 64
    try:
        figures = figures_of(argv[1]) if argv[0] == "measured" else {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        print("%s has no figures of `make bench` (%s)" % (argv[1], error), file=sys.stderr)
        return 1
    with open(PAGE, encoding="utf-8") as file:
        lines = file.read().splitlines()
    out, wrong = work_out(lines, figures)
    if argv[0] != "check":
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write("\n".join(out) + "\n")
        wrong = work_out(out, {})[1]
        sources = LINE.findall("\n".join(out)) if figures else []
        print("".join("not in %s: %s\n" % (argv[1], name) for name in sources if name not in figures), end="")
    for text in wrong:
        print(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
