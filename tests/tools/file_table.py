#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the tables of layers and of files in docs/ARCHITECTURE.md: `file_table.py write` or `file_table.py check`.

The layers are those of check_layers.py.
The line of a file is the first sentence of its header (`name - what it is.`), or of the comment at the top of a
source without a header, so it cannot say something else than the file itself.
"""
import pathlib
import re
import sys

from check_layers import LEVELS

PAGE = pathlib.Path("docs/ARCHITECTURE.md")
BEGIN, END = "<!-- files: written by `make docs` -->", "<!-- end of files -->"
LAYERS_BEGIN, LAYERS_END = "<!-- layers: written by `make docs` -->", "<!-- end of layers -->"


def head_comment(path):
    """The text of the first block comment after the licence line, on one line."""
    text = path.read_text(encoding="utf-8").split("\n", 1)[1]
    found = re.match(r"\s*/\*(.*?)\*/", text, re.S)
    if not found:
        return None
    lines = [line.strip().lstrip("*").strip() for line in found.group(1).split("\n")]
    paragraph = []
    for line in lines:
        if not line and paragraph:
            break
        paragraph.append(line)
    return " ".join(paragraph).strip()


def describe(stem, folder):
    """What the file says of itself, without its own name in front."""
    header, source = folder / (stem + ".h"), folder / (stem + ".c")
    text = head_comment(header if header.exists() else source)
    if not text:
        return None
    text = re.sub(r"^(%s|fieldgate [a-z]+)\s*(-|:)\s*" % re.escape(stem), "", text)
    return re.split(r"(?<=[.])\s", text)[0].rstrip(".")


def table():
    lines, nameless = [], []
    for folder in (pathlib.Path("gateway"), pathlib.Path("drivers")):
        lines += ["", "### %s/" % folder, "", "| file | duty |", "|---|---|"]
        for stem in sorted({p.stem for p in folder.iterdir() if p.suffix in (".c", ".h")}):
            duty = describe(stem, folder)
            if not duty:
                nameless.append("%s/%s" % (folder, stem))
            lines.append("| `%s` | %s |" % (stem, duty))
    if nameless:
        sys.exit("these files do not say what they are at the top: %s" % ", ".join(nameless))
    return "\n".join(lines) + "\n"


def layers():
    lines = ["", "| level | what |", "|---|---|"]
    for level, patterns in sorted(LEVELS.items()):
        names = [re.sub(r"(_\*|/)$", "", pattern) for pattern in patterns]
        # The parts of a named module need no name of their own.
        names = [name for name in dict.fromkeys(names) if name.split("_")[0] == name or name.split("_")[0] not in names]
        lines.append("| %d | %s |" % (level, " ".join(names)))
    return "\n".join(lines) + "\n"


def between(page, begin, end, text):
    before, rest = page.split(begin)
    return before + begin + "\n" + text + "\n" + end + rest.split(end)[1]


def main():
    page = PAGE.read_text(encoding="utf-8")
    new = between(between(page, BEGIN, END, table()), LAYERS_BEGIN, LAYERS_END, layers())
    if sys.argv[1:] == ["write"]:
        PAGE.write_text(new, encoding="utf-8")
    elif new != page:
        sys.exit("docs/ARCHITECTURE.md does not list layers and files as they are; run `make docs`")


main()
