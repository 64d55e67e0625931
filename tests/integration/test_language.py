# SPDX-License-Identifier: Apache-2.0
"""English and Vietnamese: which one is chosen, and that codes and keys are the same in both."""

import json
import os
import re
import subprocess

import pytest

import settings as config_file
from daemon import default_binary

LOCALE_DIR = os.path.join(os.path.dirname(default_binary()), "locale")
ENGLISH, VIETNAMESE = "there is no command", "không có lệnh"
# A line of status that has nothing but names, numbers and units: "  counter-1 10 ms  count 8 1".
READINGS = r" +(?:counter-\d|count)(?: +(?:\w+|-?[\d.]+|-))*"
# Words that no Vietnamese line has, unless a part of it was left in English.
ENGLISH_WORDS = re.compile(r"(?<![-\w])(?:the|is|are|of|and|or|must|which|not|has|with|this|that|it)(?![-\w:])")


def run(*argv, **variables):
    env = {k: v for k, v in os.environ.items() if k not in ("LANGUAGE", "LANG") and not k.startswith("LC_")}
    env.update(variables, FIELDGATE_LOCALE_DIR=LOCALE_DIR)
    return subprocess.run([default_binary(), *argv], env=env, capture_output=True, text=True, timeout=60, check=False)


def in_both(*argv):
    """What a command says in English and in Vietnamese, stdout before stderr, line by line."""
    answers = [run(*argv, LANGUAGE=language) for language in ("en", "vi")]
    assert answers[0].returncode == answers[1].returncode
    return [(done.stdout + done.stderr).splitlines() for done in answers]


def assert_translated(english, vietnamese, identical=r"(?!)"):
    """Every line differs from its English one, but for those that are the same for a reason."""
    same = [line for line in vietnamese if line.strip() and line in english and not re.fullmatch(identical, line)]
    assert not same, "English only:\n" + "\n".join(same)
    mixed = [line for line in vietnamese if ENGLISH_WORDS.search(line)]
    assert not mixed, "partly English:\n" + "\n".join(mixed)


def commands():
    return re.findall(r"^  ([a-z]+) ", run("--help", LANGUAGE="en").stdout, re.MULTILINE)


@pytest.mark.parametrize("variables", [
    {"LANG": "vi_VN.UTF-8"},  # on a box on which nobody has generated this locale
    {"LANG": "en_US.UTF-8", "LC_ALL": "vi_VN"},
    {"LANG": "C.UTF-8", "LANGUAGE": "vi"},
    {"LANGUAGE": "vi:en"},
])
def test_the_environment_can_ask_for_vietnamese(variables):
    assert VIETNAMESE in run("nothing", **variables).stderr


@pytest.mark.parametrize("variables", [{}, {"LANG": "C"}, {"LANG": "en_US.UTF-8"}, {"LANG": "xx_YY.UTF-8"},
                                       {"LANG": "vi_VN.UTF-8", "LANGUAGE": "en"}])
def test_english_is_what_remains(variables):
    assert ENGLISH in run("nothing", **variables).stderr


def test_the_file_comes_before_the_environment_but_not_before_what_was_asked_for_by_hand(tmp_path):
    path = tmp_path / "fieldgate.yaml"
    path.write_text("language: vi\nbuses: 1\n", encoding="utf-8")
    place = f"{path}:2:8: "
    said = run("check", "--config", str(path), LANG="en_US.UTF-8").stderr
    by_hand = run("check", "--config", str(path), LANG="vi_VN.UTF-8", LANGUAGE="en").stderr
    assert place in said and place in by_hand
    assert said.isascii() is False and by_hand.isascii(), (said, by_hand)


def test_the_log_speaks_the_language_of_the_file_and_keeps_its_codes_and_keys(stage):
    stage.counter_farm(1)
    stage.start_broker()
    settings = stage.settings()
    stage.configure(settings)
    english = start_and_stop(stage)
    stage.configure({"language": "vi", **settings})
    vietnamese = start_and_stop(stage)
    for line, other in zip(english, vietnamese, strict=True):
        assert re.findall(r"FG-[A-Z-]+|\b[a-z_]+=", line) == re.findall(r"FG-[A-Z-]+|\b[a-z_]+=", other)
        assert line.isascii() and not other.isascii(), (line, other)


def start_and_stop(stage):
    """The first and the last line of a run."""
    mark = 0 if stage.daemon is None else stage.daemon.mark()
    stage.start_daemon()
    stage.daemon.stop()
    return stage.daemon.lines("FG-START", mark)[:1] + stage.daemon.lines("FG-STOP", mark)[-1:]


@pytest.mark.parametrize("command", ["", *commands()] if os.path.exists(default_binary()) else [])
def test_the_help_of_every_command_is_translated_and_has_the_same_options(command):
    english, vietnamese = in_both(*command.split(), "--help")
    assert_translated(english, vietnamese)
    assert options_of(english) == options_of(vietnamese)


@pytest.mark.parametrize("command", ["", *commands()] if os.path.exists(default_binary()) else [])
def test_every_command_takes_help_says_how_it_is_used_and_does_nothing_else(command):
    for option in ("--help", "-h"):
        done = run(*command.split(), option, LANGUAGE="en")
        assert done.returncode == 0 and done.stderr == "", done
        assert done.stdout.startswith("usage: fieldgate "), done
        assert f"fieldgate {command}".rstrip() in done.stdout, done


def options_of(lines):
    return sorted(set(re.findall(r"--[a-z][a-z-]*|^  [a-z]+ (?= )", "\n".join(lines), re.MULTILINE)))


@pytest.mark.parametrize("argv", [
    ["status", "--nothing"], ["check", "-x"], ["show", "--config"], ["profiles", "--help=1"], ["scan", "/dev/a", "/dev/b"], ["scan", "nothere", "--config", "/nowhere/fieldgate.yaml"],
    ["export", "--from", "yesterday"], ["pause", "field", "soon"], ["probe"], ["profiles", "no such device"],
    ["check", "--config", "/nowhere/fieldgate.yaml"], ["export", "--config", "/nowhere/fieldgate.yaml"], ["status", "--runtime-dir", "/nowhere"],
    ["statsu"], ["something"],
])
def test_a_mistake_on_the_command_line_is_explained_in_both_languages(argv):
    english, vietnamese = in_both(*argv)
    assert_translated(english[-1:] + english[:1], vietnamese[-1:] + vietnamese[:1])


def test_a_command_that_is_nearly_right_is_guessed():
    for typed, meant in (("statsu", ' "status"?'), ("sacn", ' "scan"?'), ("something", None)):
        first = in_both(typed)[0][0]
        assert meant in first if meant else "did you mean" not in first, first


# One mistake a line, or a key that is not there, from each family of messages.
BROKEN = """
language: auto
gateway: {id: Ao Ca, latitude: 10,5, labels: {plot: [1]}}
store: {path: buffer.db, max_size: 1GB, commit_every: 5}
clock: {trust: maybe}
buses:
  - {name: field, protocol: rtu, baudrate: 9600, host: x}
  - {name: field, protocol: tcp, tcp_port: 70000}
  - {name: spare, protocol: rtu, port: /dev/ttyUSB0, baud: 9601, format: 8X1, timeout: 1s 5}
devices:
  - {name: soil, bus: feild, unit: 1, profile: cwt-soil-npk, every: 60}
  - {name: pump, bus: field, unit: 300, points: [{name: v, register: input, address: 0, bits: 9-20, scale: 0}]}
  - {bus: field, unit: 2, points: [{name: v, reference: 20001}, {name: w, register: coil, address: 1, type: int16}]}
uplinks:
  - {name: province, url: "http://mqtt.example", topic: "a/#", password: secret}
  - {name: second, url: "mqtts://u:p@mqtt.example", topic: "{label.plott}", format: jsonn, username: a}
"""


def test_every_error_in_a_configuration_is_told_in_both_languages_at_the_same_place(tmp_path):
    path = tmp_path / "fieldgate.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    english, vietnamese = in_both("check", "--config", str(path))
    assert len(english) > 20
    assert_translated(english, vietnamese)
    place = re.compile(r"^\S+: (?:error: |lỗi: |warning: |cảnh báo: )?(?:[a-z_]+(?:\[\d+\])?[.:])*")
    for line, other in zip(english[1:], vietnamese[1:], strict=True):
        said = [re.sub(r"(error|lỗi|warning|cảnh báo): ", "", place.match(text)[0]) for text in (line, other)]
        assert said[0] == said[1] and not other.isascii(), (line, other)


@pytest.mark.parametrize("text", ["buses:\n\t- x\n", "buses: [\n", "a: b: c\n", 'a: "b\n', "- a\nb: c\n", "a: &x 1\n", ""])
def test_a_file_that_is_no_yaml_is_explained_in_both_languages(tmp_path, text):
    path = tmp_path / "fieldgate.yaml"
    path.write_text(text, encoding="utf-8")
    assert_translated(*in_both("check", "--config", str(path)))


def test_a_dead_sensor_and_a_dead_broker_are_told_without_a_line_of_english(stage):
    stage.counter_farm(2)
    stage.farm.fault("counter-2", silent=True)
    stage.configure({"language": "vi", **stage.settings(every="200ms", uplinks=[
        config_file.uplink("mqtt://127.0.0.1:1")])})
    stage.start_daemon()
    for code in ("FG-BUS-SILENT", "FG-LINK-FAILED"):
        stage.daemon.wait_for_log(code, 20)
    status = stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["reason"] and any(
        d["state"] == "silent" for d in s["devices"]), 20)
    for options in ([], ["--all"]):
        english, vietnamese = in_both("status", *options, "--runtime-dir", stage.daemon.runtime)
        assert_translated(english, vietnamese, identical=READINGS)
    assert "kiểm tra" in "\n".join(vietnamese) and not status["uplinks"][0]["reason"].isascii()
    check_columns(stage, status)
    probed = in_both("probe", "counter-1", "--config", stage.config_path, "--runtime-dir", stage.daemon.runtime)
    head, row = probed[1][1], probed[1][2]
    assert probed[0][1].index("register") == head.index("thanh ghi") == row.index(row.split()[1]), (head, row)
    assert_translated(probed[0][:2], probed[1][:2])
    stage.daemon.stop()
    said = stage.daemon.log().splitlines()
    assert len(said) >= 4 and not [line for line in said if line.isascii() or ENGLISH_WORDS.search(line)], said


def check_columns(stage, status):
    """Words of several bytes a letter stand under the numbers."""
    status["devices"][0]["readings"] = [{"name": "level", "value": 23.4, "unit": "m", "quality": "good"},
                                        {"name": "running", "value": True, "unit": "", "quality": "good"}]
    status["devices"][1]["failed_with"] = "strange"  # a word of a later version, for which there is no advice
    os.makedirs(stage.path("shown"))
    with open(stage.path("shown", "status.json"), "w", encoding="utf-8") as file:
        json.dump(status, file)
    for lines, word in zip(in_both("status", "--all", "--runtime-dir", stage.path("shown")), ("on", "bật"), strict=True):
        assert not [line for line in lines if "Project-Id" in line], lines  # gettext's answer to the empty text
        level, running = ([line for line in lines if line.startswith("    " + name)][0] for name in ("level", "running"))
        assert level.index("23.4 m") == running.index(word), (level, running)
        assert re.sub(".* ", "", level) == re.sub(".* ", "", running), (level, running)
        ages = [re.match(r"(.*?)\d+ (?:m?s|min|h|d)$", line)[1] for line in (level, running)]
        assert len(ages[0]) == len(ages[1]), (level, running)
