# SPDX-License-Identifier: Apache-2.0
"""readme - what README.md tells a newcomer to type, and what it says that he will see, for the tests that replay it."""

import pathlib
import re
from dataclasses import dataclass

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


@dataclass(frozen=True)
class Minutes:
    """commands: line by line, as they stand there. search: the whole of what `init` prints."""

    commands: list
    search: str


def first_minutes():
    """The section that leads from the package to data at a broker."""
    part = README.read_text(encoding="utf-8").split("## From a sensor to the broker", 1)[1].split("\n## ", 1)[0]
    commands = re.search(r"```sh\n(.*?)```", part, re.S)
    search = re.search(r"```\n(Looking for devices.*?)```", part, re.S)
    return Minutes(commands[1].strip().splitlines(), search[1])
