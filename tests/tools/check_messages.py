#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the log codes in the sources, docs/MESSAGES.md and the tests together: each code is explained, none is invented.

Usage: check_messages.py [tree]        Exit 0 when all is well, 1 with one line per problem.

A code stands in the source as one literal, "FG-BUS-SILENT", and in the document as a heading, with its meaning,
likely cause, what to do, and a line in Vietnamese. A test that waits for a code that nobody says would fail; one that
wants its absence would pass for ever.
"""
import pathlib
import re
import sys

CODE = r"FG(?:-[A-Z0-9]+)+"
# A literal that is a code, or a text that begins with one.
LITERAL = re.compile(rf'"(?:<\d>)?({CODE})(?=["\s:])')
HEADING = re.compile(rf"^### ({CODE})\s*$", re.M)
# What the tests of the log itself say.
INVENTED = {"FG-TEST"}
PARTS = ["Meaning:", "Likely cause:", "What to do:", "Tiếng Việt:"]


def codes_of_sources(tree):
    found = {}
    for folder in ("gateway", "drivers"):
        for path in sorted((tree / folder).glob("*.[ch]")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                for code in LITERAL.findall(line):
                    found.setdefault(code, f"{path.relative_to(tree)}:{number}")
    return found


def codes_of_tests(tree):
    """Every code that a test names, by one place of it; also what several codes begin with."""
    found = {}
    for path in sorted(p for p in (tree / "tests").rglob("*") if p.suffix in (".py", ".c", ".h")):
        if "node_modules" in path.parts:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for code in re.findall(rf"\b{CODE}", line):
                found.setdefault(code, f"{path.relative_to(tree)}:{number}")
    return found


def sections(text):
    """(code, line number, text) of every section headed by a code."""
    for head in HEADING.finditer(text):
        end = re.compile(r"^#{1,3} ", re.M).search(text, head.end())
        line = text.count("\n", 0, head.start()) + 1
        yield head.group(1), line, text[head.end():end.start() if end else len(text)]


def main(argv):
    tree = pathlib.Path(argv[1] if len(argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    document = tree / "docs" / "MESSAGES.md"
    problems = []
    used = codes_of_sources(tree)
    explained = {}
    for code, line, body in sections(document.read_text(encoding="utf-8")):
        where = f"docs/MESSAGES.md:{line}"
        if code in explained:
            problems.append(f"{where}: {code} is explained twice, first at {explained[code]}")
        explained.setdefault(code, where)
        for part in PARTS:
            if not re.search(rf"^- \*\*{re.escape(part)}\*\* \S", body, re.M):
                problems.append(f"{where}: {code} has no line \"{part}\"")
        if code not in used:
            problems.append(f"{where}: {code} stands in no source of gateway/ or drivers/; delete it here")
    for code, where in sorted(used.items()):
        if code not in explained:
            problems.append(f"{where}: {code} is not explained in docs/MESSAGES.md; give it a heading \"### {code}\"")
    for code, where in sorted(codes_of_tests(tree).items()):
        if code not in INVENTED and not any(c == code or c.startswith(code + "-") for c in used):
            problems.append(f"{where}: {code} stands in no source of gateway/ or drivers/; what was meant?")
    if not used:
        problems.append("gateway/: no codes found, so nothing was checked")
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    print(f"messages: {len(used)} codes explained")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
