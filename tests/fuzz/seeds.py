#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the fuzzers' seeds from the golden files: seeds.py TREE FOLDER makes FOLDER/fuzz_frame and
FOLDER/fuzz_profile."""
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


def main(tree, target):
    tree, target = pathlib.Path(tree), pathlib.Path(target)
    golden = tree / "tests" / "golden"
    for path in [*sorted((golden / "dialogues").glob("*.txt")), golden / "misprinted_frames.txt"]:
        for seed in frames(path):
            save(target / "fuzz_frame", seed)
            mbap = b"\0\x01\0\0" + (len(seed) - 10).to_bytes(2, "big")  # the same answer, as Modbus TCP has it
            save(target / "fuzz_frame", seed[:8] + mbap + seed[8:-2])
    for folder in (golden / "config", golden / "config" / "profiles", tree / "config" / "profiles", tree / "config"):
        for path in sorted(folder.glob("*.yaml")):
            save(target / "fuzz_profile", path.read_bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
