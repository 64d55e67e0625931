# SPDX-License-Identifier: Apache-2.0
"""What bash offers after a Tab, asked of bash itself with the shipped completion and the real program."""
import os
import pathlib
import re
import shlex
import subprocess

import pytest

from daemon import default_binary

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = pathlib.Path("/usr/share/bash-completion/bash_completion")

CONFIGURATION = """
buses:
  - {name: field, protocol: rtu, port: /dev/ttyUSB0}
  - {name: pumphouse, protocol: tcp, host: 192.168.1.20}
devices:
  - {name: soil-a1, bus: field, unit: 1, profile: cwt-soil-npk-s, every: 60s}
  - {name: pump, bus: pumphouse, unit: 1, points: [{name: running, register: coil, address: 0}]}
uplinks:
  - {name: province, url: "mqtts://mqtt.example:8883"}
"""


@pytest.fixture
def farm(tmp_path):
    """Options that name a configuration with two buses and two devices."""
    if not LIBRARY.exists():
        pytest.skip("bash-completion is not installed")
    (tmp_path / "farm.yaml").write_text(CONFIGURATION)
    return f"--config {tmp_path}/farm.yaml --profiles {ROOT}/config/profiles"


def offered(line, **variables):
    """The words that Tab at the end of the line offers, as a sorted list."""
    line = line.replace("fieldgate ", default_binary() + " ", 1)
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    script = f"""
        source {LIBRARY}
        source {ROOT}/completion/fieldgate
        COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}
        COMP_WORDS=({" ".join(shlex.quote(w) for w in words)}) COMP_CWORD={len(words) - 1}
        _fieldgate
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60, env=dict(os.environ, LC_ALL="C.UTF-8", **variables))
    assert done.stderr == ""
    return sorted(done.stdout.split())


def helped(*command):
    return subprocess.run([default_binary(), *command, "--help"], stdout=subprocess.PIPE, text=True, timeout=60).stdout


COMMANDS = sorted(re.findall(r"^  ([a-z]+) ", helped(), re.MULTILINE)) if os.path.exists(default_binary()) else []


def test_every_command_is_offered(farm):
    assert offered("fieldgate ") == COMMANDS
    assert offered("fieldgate pro") == ["probe", "profiles"]


def test_what_is_offered_does_not_depend_on_the_language(farm):
    locale = os.path.join(os.path.dirname(default_binary()), "locale")
    assert offered("fieldgate ", LANGUAGE="vi", FIELDGATE_LOCALE_DIR=locale) == COMMANDS
    assert offered("fieldgate check --", LANGUAGE="vi", FIELDGATE_LOCALE_DIR=locale) == offered("fieldgate check --")


def test_every_option_that_the_help_of_a_command_names_is_offered_and_no_other(farm):
    for command in COMMANDS:
        named = set(re.findall(r"--[a-z][a-z-]*", helped(command))) | {"--help"}
        assert offered(f"fieldgate {command} --") == sorted(named), command


def test_every_option_with_a_value_is_known_so_that_the_value_is_not_taken_for_a_device(farm):
    """`export --from TIME`: the help writes the value in capital letters."""
    for command in COMMANDS:
        for option in set(re.findall(r"(--[a-z][a-z-]*) [A-Z]", helped(command))):
            assert "soil-a1" in offered(f"fieldgate probe {option} x {farm} "), option


@pytest.mark.parametrize("line, words", [
    ("fieldgate probe {farm} ", ["pump", "soil-a1"]),
    ("fieldgate poll {farm} so", ["soil-a1"]),
    ("fieldgate probe {farm} pump ", []),
    ("fieldgate pause {farm} ", ["field", "pumphouse"]),
    ("fieldgate pause {farm} field 5", ["5min"]),
    ("fieldgate resume {farm} pump", ["pumphouse"]),
    ("fieldgate scan {farm} f", ["field"]),
    ("fieldgate scan --format 8E", ["8E1"]),
    ("fieldgate export --format ", ["csv", "jsonl"]),
    ("fieldgate export {farm} --device ", ["pump", "soil-a1"]),
    ("fieldgate profiles {farm} cwt-soil-n", ["cwt-soil-npk-s"]),
])
def test_names_come_from_the_configuration_and_the_profiles(farm, line, words):
    assert offered(line.format(farm=farm)) == words


def test_a_file_is_offered_where_a_file_may_stand(farm):
    path = farm.split()[1]
    assert offered(f"fieldgate check --config {path[:-4]}") == [path]


def test_a_broken_configuration_offers_nothing_and_says_nothing(farm):
    path = farm.split()[1]
    pathlib.Path(path).write_text("buses: [")
    assert offered(f"fieldgate probe --config {path} ") == []
