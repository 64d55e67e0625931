#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds documents to what machines can check: the examples of docs/MQTT.md are valid messages by config/schema/,
the quality words there are those of the sources, and the man pages are clean.

Usage: check_docs.py [tree]        Exit 0 when all is well, 1 with one line per problem. A missing mandoc is a SKIP.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys

import jsonschema

EXAMPLES = ["data", "data", "birth", "state"]  # in the order in which docs/MQTT.md shows them
UNPUBLISHED = {"good", "not_due"}      # a good value has no word, and a point that was not due is absent


def check_examples(tree, text, bad):
    blocks = re.findall(r"```json\n(.*?)```", text, re.S)
    if len(blocks) != len(EXAMPLES):
        bad(f"docs/MQTT.md: {len(blocks)} JSON examples, expected {', '.join(EXAMPLES)}")
        return
    for name, block in zip(EXAMPLES, blocks):
        try:
            message = json.loads(block)
            schema = json.loads((tree / "config" / "schema" / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as e:
            bad(f"docs/MQTT.md: example {name}: {e}")
            continue
        for error in jsonschema.Draft202012Validator(schema).iter_errors(message):
            bad(f"docs/MQTT.md: example {name}: {'/'.join(map(str, error.path))}: {error.message}")


def check_quality_words(tree, text, bad):
    header = (tree / "gateway" / "sample.h").read_text(encoding="utf-8")
    words = {word.lower() for word in re.findall(r"\bQUALITY_([A-Z_]+),", header)} - UNPUBLISHED
    section = re.search(r"^#### Quality words$(.*?)^#", text, re.M | re.S)
    said = set(re.findall(r"^\| `(\w+)` \|", section.group(1), re.M)) if section else set()
    for word in sorted(words - said):
        bad(f"docs/MQTT.md: the quality word {word} of gateway/sample.h is not explained")
    for word in sorted(said - words):
        bad(f"docs/MQTT.md: gateway/sample.h has no quality word {word}")


def check_man_pages(tree, bad):
    if shutil.which("mandoc") is None:
        print("SKIP: man pages: mandoc is not installed")
        return
    for page in sorted((tree / "docs").glob("*.[1-9]")):
        # Style hints are left out: mandoc looks for referenced manuals among the installed ones.
        result = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page.name], cwd=page.parent, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
        for line in result.stdout.splitlines():
            bad(f"docs/{line.replace('mandoc: ', '')}")


def main(argv):
    tree = pathlib.Path(argv[1] if len(argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    problems = []
    text = (tree / "docs" / "MQTT.md").read_text(encoding="utf-8")
    check_examples(tree, text, problems.append)
    check_quality_words(tree, text, problems.append)
    check_man_pages(tree, problems.append)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    print("docs: examples, quality words and man pages agree")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
