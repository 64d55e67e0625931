# SPDX-License-Identifier: Apache-2.0
"""English and Vietnamese: which one is chosen, and that codes and keys are the same in both."""

import os
import re
import subprocess

import pytest

from daemon import default_binary

LOCALE_DIR = os.path.join(os.path.dirname(default_binary()), "locale")
ENGLISH, VIETNAMESE = "there is no command", "không có lệnh"


def run(*argv, **variables):
    env = {k: v for k, v in os.environ.items() if k not in ("LANGUAGE", "LANG") and not k.startswith("LC_")}
    env.update(variables, FIELDGATE_LOCALE_DIR=LOCALE_DIR)
    return subprocess.run([default_binary(), *argv], env=env, capture_output=True, text=True, timeout=60, check=False)


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
