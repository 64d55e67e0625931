#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the translations to the sources: every text is there, translated, and keeps what must not be translated.

Usage: check_texts.py [po ...]        Exit 0 when all is well, 1 with one line per problem.

Codes, keys, commands and options are the same in every language, since people search for them and paste them.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import polib

TREE = pathlib.Path(__file__).parents[2]
# What a translation takes over letter by letter: codes, `key=` of a log line, `commands`, options, paths.
KEPT = re.compile(r"FG(?:-[A-Z0-9]+)+|\b[a-z_]+=(?=%)|`[^`]+`|(?<![\w-])--[a-z][a-z-]+|/(?:etc|run|dev|usr|var)/[\w/.-]+")
# A usage line says the same words to a machine; its placeholders (FILE, DIR) may be translated.
SHOWN_MAX = 70


def template():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts.pot"
        subprocess.run([TREE / "po/texts.sh", "extract", path], check=True)
        return polib.pofile(str(path))


def short(text):
    return repr(text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "...")


def problems(path, texts):
    language = polib.pofile(str(path))
    known = {entry.msgid: entry for entry in language if not entry.obsolete}
    for text in texts:
        entry = known.pop(text.msgid, None)
        if entry is None:
            yield f"{path.name}: {short(text.msgid)} of {text.occurrences[0][0]} is missing; run `make texts`"
        elif "fuzzy" in entry.flags or not (entry.msgstr or all(entry.msgstr_plural.values() or [""])):
            yield f"{path.name}:{entry.linenum}: {short(text.msgid)} is not translated"
        else:
            for said in [entry.msgstr] if entry.msgstr else entry.msgstr_plural.values():
                lost = sorted(set(KEPT.findall(text.msgid)) - set(KEPT.findall(said)))
                if lost:
                    yield f"{path.name}:{entry.linenum}: {short(text.msgid)} must keep {', '.join(lost)}"
    for entry in known.values():
        yield f"{path.name}:{entry.linenum}: {short(entry.msgid)} is no longer said; run `make texts`"


def main(argv):
    texts = template()
    found = 0
    for path in [pathlib.Path(a) for a in argv[1:]] or sorted((TREE / "po").glob("*.po")):
        for problem in problems(path, texts):
            print(problem)
            found += 1
        # Places for numbers and names must fit, and a text ends its line where the other does.
        found += subprocess.run(["msgfmt", "--check-format", "-o", "/dev/null", path]).returncode
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
