# SPDX-License-Identifier: Apache-2.0
"""The tools around profiles: what tests/tools/check_profiles.py refuses, and that reviewed dialogues stay as they are."""
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    """The tools with profiles and dialogues of their own, to be spoiled."""
    for folder in ("config", "tests/golden", "tests/tools"):
        shutil.copytree(TREE / folder, tmp_path / folder)
    return tmp_path


def tool(tree, name, *arguments):
    done = subprocess.run([sys.executable, str(tree / "tests" / "tools" / name), *arguments], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def change(path, pattern, text, times=1):
    before = path.read_text()
    after, count = re.subn(pattern, text, before, count=times)
    assert count == times, f"{pattern} is not in {path}"
    path.write_text(after)


def test_the_shipped_profiles_are_accepted(tree):
    code, said = tool(tree, "check_profiles.py")
    assert code == 0, said


@pytest.mark.parametrize("pattern, text, said", [
    (r"max: 100\}", "max: 10000}", "soil_moisture: the register reaches 0..6553.5, the range asks for more"),
    (r"min: -40,", "min: -4000,", "soil_temperature: the register reaches -3276.8..3276.7, the range asks for more"),
    (r'"uS/cm"', '"mS/cm"', "soil_ec: unit 'mS/cm', but points.yaml says 'uS/cm'"),
    (r"name: soil_ph,", "name: soil_acid,", "soil_acid: is not registered in points.yaml"),
    (r"address: 0x0003", "address: 0x0002", "soil_ph: overlaps soil_ec at holding 0x0002"),
    (r"type: uint16, scale: 1,   unit: \"mg/L\"\}", 'type: uint32, scale: 1,   unit: "mg/L"}',
     "soil_salinity: say the order of its 2 registers"),
    (r"maturity: manual", "maturity: certain", "maturity must be manual or tested"),
])
def test_a_profile_that_contradicts_itself_or_the_registry_is_refused(tree, pattern, text, said):
    change(tree / "config" / "profiles" / "cwt-soil-npk-s.yaml", pattern, text)
    code, output = tool(tree, "check_profiles.py")
    assert code == 1
    assert f"cwt-soil-npk-s.yaml: {said}" in output


def test_a_profile_without_a_dialogue_is_refused_and_a_dialogue_without_a_profile(tree):
    dialogues = tree / "tests" / "golden" / "dialogues"
    (dialogues / "xy-md02.txt").rename(dialogues / "xy-md99.txt")
    code, output = tool(tree, "check_profiles.py")
    assert code == 1
    assert "xy-md02.yaml: has no golden dialogue xy-md02.txt" in output
    assert "xy-md99.txt: belongs to no profile" in output


def test_a_dialogue_must_show_each_point_and_signed_ones_negative(tree):
    dialogue = tree / "tests" / "golden" / "dialogues" / "xy-md02.txt"
    text = dialogue.read_text()
    dialogue.write_text(re.sub(r"(?m)^air_humidity .*good\n", "", text))
    assert "air_humidity is never read with a good value" in tool(tree, "check_profiles.py")[1]
    dialogue.write_text(re.sub(r"(?m)^air_temperature +-.*good\n", "", text))
    assert "air_temperature is signed, but never negative with a good value" in tool(tree, "check_profiles.py")[1]


def test_a_reviewed_dialogue_is_only_written_anew_by_force(tree):
    dialogue = tree / "tests" / "golden" / "dialogues" / "xy-md02.txt"
    text = dialogue.read_text()
    dialogue.write_text("reviewed\n")
    code, output = tool(tree, "make_dialogues.py", "xy-md02")
    assert (code, dialogue.read_text()) == (0, "reviewed\n"), output
    code, output = tool(tree, "make_dialogues.py", "--force", "xy-md02")
    assert (code, dialogue.read_text()) == (0, text), output


def test_a_printed_frame_with_a_wrong_check_sum_or_another_meaning_is_not_taken_over(tree):
    values = tree / "tests" / "golden" / "dialogue_values.yaml"
    text = values.read_text()
    values.write_text(text.replace("00 38 57 B6", "00 38 38 75"))
    code, output = tool(tree, "make_dialogues.py", "--force", "cwt-soil-thcph-s")
    assert code == 1 and "the check sum should be 57 B6" in output
    values.write_text(text.replace('soil_temperature: "-10.1"', 'soil_temperature: "6543.5"'))
    code, output = tool(tree, "make_dialogues.py", "--force", "cwt-soil-thcph-s")
    assert code == 1 and "soil_temperature reads -10.1, not 6543.5" in output
