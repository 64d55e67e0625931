#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds documents to what machines can check: the examples of docs/MQTT.md and config/asyncapi.yaml are valid messages
by config/schema/, the quality words and the codes of replies there are those of the sources, the tests named in
docs/PAINS.md and docs/SECURITY.md exist, and the man pages are clean.

Usage: check_docs.py [tree]        Exit 0 when all is well, 1 with one line per problem. A missing mandoc is a SKIP.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys

import jsonschema
import yaml

EXAMPLES = ["data", "data", "birth", "state", "command", "reply"]  # in the order in which docs/MQTT.md shows them
UNPUBLISHED = {"good", "not_due"}      # a good value has no word, and a point that was not due is absent
DONE = {"done"}                        # what was done has no code
HANDLERS = {"not_found", "not_now"}    # two words for what a handler refused, beside failed
PROVISIONS = [5, 3, 16, 4, 8, 9, 2, 3, 3, 1, 4, 3, 1]  # of ETSI EN 303 645, 5.1 to 5.13
TEST_NAME = re.compile(r"`(test_\w+\.(?:c|py)): (\w+)`")
PAINS = 25                             # rows of docs/PAINS.md


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


def check_asyncapi(tree, bad):
    folder = tree / "config"
    described = yaml.safe_load((folder / "asyncapi.yaml").read_text(encoding="utf-8"))
    for name, message in described["components"]["messages"].items():
        schema = json.loads((folder / message["payload"]["$ref"]).read_text(encoding="utf-8"))
        for example in message.get("examples", ()):
            for error in jsonschema.Draft202012Validator(schema).iter_errors(example["payload"]):
                bad(f"config/asyncapi.yaml: example {name} {example['name']}: {error.message}")


def check_reply_codes(tree, text, bad):
    header = (tree / "gateway" / "command.h").read_text(encoding="utf-8")
    body = re.search(r"enum command_result \{(.*?)COMMAND_RESULTS", header, re.S).group(1)
    words = ({w.lower() for w in re.findall(r"^\s+COMMAND_([A-Z_]+)", body, re.M)} | HANDLERS) - DONE
    section = re.search(r"^### Replies$(.*?)^#", text, re.M | re.S)
    rows = re.findall(r"^\| (`.*?) \|", section.group(1), re.M) if section else []
    said = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    for word in sorted(words ^ said):
        bad(f"docs/MQTT.md: the code {word} is only {'in the sources' if word in words else 'there'}")


def check_quality_words(tree, text, bad):
    header = (tree / "gateway" / "sample.h").read_text(encoding="utf-8")
    words = {word.lower() for word in re.findall(r"\bQUALITY_([A-Z_]+),", header)} - UNPUBLISHED
    section = re.search(r"^#### Quality words$(.*?)^#", text, re.M | re.S)
    said = set(re.findall(r"^\| `(\w+)` \|", section.group(1), re.M)) if section else set()
    for word in sorted(words - said):
        bad(f"docs/MQTT.md: the quality word {word} of gateway/sample.h is not explained")
    for word in sorted(said - words):
        bad(f"docs/MQTT.md: gateway/sample.h has no quality word {word}")

# Why a provision has no test of ours.
UNTESTED = ("not applicable", "not met here", "the integrator's", "apt's own", "a text:", "nothing to try", "`make check`:")


def check_pains(tree, bad):
    """Each row names tests, and each of them exists in the file that is named."""
    rows = re.findall(r"^\| (\d+) \|(.*)$", (tree / "docs" / "PAINS.md").read_text(encoding="utf-8"), re.M)
    if [int(number) for number, _ in rows] != list(range(1, PAINS + 1)):
        bad(f"docs/PAINS.md: the rows are not numbered 1 to {PAINS}")
    for number, row in rows:
        if not TEST_NAME.search(row):
            bad(f"docs/PAINS.md: row {number} names no test")
    check_test_names(tree, "PAINS.md", bad)


def check_test_names(tree, page, bad):
    files = {path.name: path for folder in ("unit", "integration", "faults", "system") for path in (tree / "tests" / folder).iterdir()}
    for file, name in TEST_NAME.findall((tree / "docs" / page).read_text(encoding="utf-8")):
        text = files[file].read_text(encoding="utf-8") if file in files else ""
        if not re.search(rf"^(?:static void|def) {name}\(", text, re.M):
            bad(f"docs/{page}: there is no test {name} in {file}")


def check_provisions(tree, bad):
    """ETSI EN 303 645, V2.1.1: each provision has its row, in order, and each row says which test shows it or why none."""
    rows = re.findall(r"^\| (5\.\d+-\d+|6-\d+) .*\| ([^|]*)\|$", (tree / "docs" / "SECURITY.md").read_text(encoding="utf-8"), re.M)
    told = [provision for provision, _ in rows]
    for provision, shown in rows:
        if not TEST_NAME.search(shown) and not shown.startswith(UNTESTED):
            bad(f"docs/SECURITY.md: {provision} names no test and does not say why there is none")
    due = [f"5.{i}-{k}" for i, count in enumerate(PROVISIONS, 1) for k in range(1, count + 1)]
    due += [f"6-{k}" for k in range(1, 6)]
    if told != due:
        bad(f"docs/SECURITY.md: the provisions are not told one by one: {sorted(set(told) ^ set(due)) or 'wrong order'}")
    check_test_names(tree, "SECURITY.md", bad)


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
    check_asyncapi(tree, problems.append)
    check_quality_words(tree, text, problems.append)
    check_reply_codes(tree, text, problems.append)
    check_pains(tree, problems.append)
    check_provisions(tree, problems.append)
    check_man_pages(tree, problems.append)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    print("docs: examples, words, codes, named tests and man pages agree")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
