#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds what documents point at to what there is: links and their anchors, files, log codes, `make` targets, and the
program's commands and options.

Usage: check_links.py [tree]        Exit 0 when all is well, 1 with one line per problem.

Links and files are looked at in every document. Commands are those in code (`fieldgate scan --quick`, or a line of a
block); the program itself is asked what it knows: $FIELDGATE, or the release build.
"""
import os
import pathlib
import re
import subprocess
import sys

FOLDERS = ("", "docs", "docs/vi")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.M)
ANCHOR = re.compile(r'<a (?:id|name)="([^"]+)"')
BLOCK = re.compile(r"^```.*?^```", re.M | re.S)
FILE = re.compile(r"(?<![\w/.<-])((?:config|debian|docs|drivers|gateway|po|systemd|tests)/[\w./-]*\w\.(?:c|h|js|md|pot?|py|sh|ya?ml|json))\b(?!\.\w)")
# What is code: a span between `, a line of a fenced block, an indented line.
SPAN = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:^|sudo |\$ |&& )fieldgate ([a-z]+)(?![\w:.,])([^|#;&]*)")
TARGET = re.compile(r"(?:^|sudo |&& )make ((?:[a-z][a-z-]* ?)+)")
OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")
CODE = re.compile(r"(?<![\w-])FG(?:-[A-Z0-9]+)+(?![\w*-])")
NO_CODES = {"CHANGELOG.md"}  # it may tell of codes that were


def documents(tree):
    return sorted(path for folder in FOLDERS for path in (tree / folder).glob("*.md"))


def slug(heading):
    """The anchor that a heading gets on the usual forges."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(path, seen):
    if path not in seen:
        text = path.read_text(encoding="utf-8")
        count = {}
        seen[path] = set(ANCHOR.findall(text))
        for heading in HEADING.findall(BLOCK.sub("", text)):
            name = slug(heading)
            seen[path].add(f"{name}-{count[name]}" if name in count else name)
            count[name] = count.get(name, 0) + 1
    return seen[path]


def check_links(tree, path, text, seen, bad):
    for target in LINK.findall(SPAN.sub("", BLOCK.sub("", text))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        if not there.exists():
            bad(f"{path.relative_to(tree)}: the link {target} leads nowhere")
        elif anchor and there.suffix == ".md" and anchor not in anchors(there, seen):
            bad(f"{path.relative_to(tree)}: {name or 'this page'} has no heading for #{anchor}")


def check_files(tree, path, text, bad):
    for name in sorted(set(FILE.findall(text))):
        if "NAME" not in name and not (tree / name).exists():
            bad(f"{path.relative_to(tree)}: there is no file {name}")


def code_of(text):
    """(line number, code) of everything that is code."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield number, line.strip()
        else:
            yield from ((number, span) for span in SPAN.findall(line))


def known_commands(program):
    """{command: its options}, from the program's own help."""
    env = {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "en"}

    def said(*argv):
        return subprocess.run([program, *argv], env=env, text=True, check=False, capture_output=True, timeout=60).stdout

    names = re.findall(r"^  ([a-z]+) ", said("--help"), re.M)
    return {name: set(OPTION.findall(said(name, "--help").replace("[", " "))) | {"--help"} for name in names}


def check_code(tree, path, text, commands, targets, bad):
    for number, code in code_of(text):
        where = f"{path.relative_to(tree)}:{number}"
        for name, rest in COMMAND.findall(code):
            if name not in commands:
                bad(f"{where}: fieldgate has no command {name}")
                continue
            for option in OPTION.findall(rest):
                if option not in commands[name]:
                    bad(f"{where}: fieldgate {name} has no option {option}")
        for words in TARGET.findall(code):
            for target in words.split():
                if target not in targets:
                    bad(f"{where}: the Makefile has no target {target}")


def check_codes(tree, path, text, bad):
    explained = set(re.findall(r"^### (FG\S+)", (tree / "docs" / "MESSAGES.md").read_text(encoding="utf-8"), re.M))
    for code in sorted(set(CODE.findall(text)) - explained):
        if not any(other.startswith(code + "-") for other in explained):  # FG-BUS: all of them
            bad(f"{path.relative_to(tree)}: docs/MESSAGES.md does not explain {code}")


def main(argv):
    tree = pathlib.Path(argv[1] if len(argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    commands = known_commands(os.environ.get("FIELDGATE") or tree / "build" / "release" / "fieldgate")
    targets = set(re.findall(r"^([a-z][a-z-]*):", (tree / "Makefile").read_text(encoding="utf-8"), re.M))
    problems, seen = [], {}
    for path in documents(tree):
        text = path.read_text(encoding="utf-8")
        check_links(tree, path, text, seen, problems.append)
        check_files(tree, path, text, problems.append)
        check_code(tree, path, text, commands, targets, problems.append)
        if path.name not in NO_CODES:
            check_codes(tree, path, text, problems.append)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    print(f"links, files, codes, commands and options of {len(documents(tree))} documents exist")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
