# SPDX-License-Identifier: Apache-2.0
"""What tests/tools/check_texts.py refuses: a translation that lags behind the sources, or changes what must stay."""
import pathlib
import shutil
import subprocess
import sys

import polib
import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
SILENT = "%s tries=%u: no answer; %s"
NO_COMMAND = 'fieldgate: there is no command "%s"\n'
TELLS_MORE = "`fieldgate COMMAND --help` tells more"


@pytest.fixture
def tree(tmp_path):
    """The sources, the translations and the tool, to be spoiled."""
    for folder in ("gateway", "drivers", "po"):
        shutil.copytree(TREE / folder, tmp_path / folder)
    (tmp_path / "tests/tools").mkdir(parents=True)
    shutil.copy(TREE / "tests/tools/check_texts.py", tmp_path / "tests/tools")
    return tmp_path


def check(tree):
    done = subprocess.run([sys.executable, str(tree / "tests/tools/check_texts.py")], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def retold(tree, text, change):
    """Changes the translation of the text that begins so."""
    path = tree / "po/vi.po"
    texts = polib.pofile(str(path), wrapwidth=0)
    entry = [e for e in texts if e.msgid.strip().startswith(text.strip())][0]
    entry.msgstr = change(entry.msgstr)
    texts.save(str(path))


def rewritten(tree, name, old, new):
    path = tree / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_shipped_translations_are_complete(tree):
    assert check(tree) == (0, "")


@pytest.mark.parametrize("text, change, said", [
    (SILENT, lambda said: "", "is not translated"),
    (SILENT, lambda said: said.replace("tries=", "số lần="), "must keep tries="),
    (NO_COMMAND, lambda said: said.replace("%s", "%d"), "are not the same"),
    (NO_COMMAND, lambda said: said.rstrip("\n"), r"do not both end with '\n'"),
    (TELLS_MORE, lambda said: said.replace("COMMAND", "LỆNH"), "must keep `fieldgate COMMAND --help`"),
])
def test_a_translation_that_is_missing_or_changes_what_must_stay_is_refused(tree, text, change, said):
    retold(tree, text, change)
    code, output = check(tree)
    assert code == 1 and said in output, output


def test_a_new_text_and_one_that_is_no_longer_said_are_refused(tree):
    rewritten(tree, "gateway/poller_watch.c", SILENT, "%s tries=%u: nothing heard; %s")
    code, output = check(tree)
    assert code == 1
    assert "'%s tries=%u: nothing heard; %s' of gateway/poller_watch.c is missing; run `make texts`" in output
    assert f"'{SILENT}' is no longer said; run `make texts`" in output


def test_make_texts_brings_in_what_is_new_and_it_still_waits_to_be_translated(tree):
    rewritten(tree, "gateway/poller_watch.c", SILENT, "%s tries=%u: nothing heard; %s")
    subprocess.run([tree / "po/texts.sh", "write"], check=True, timeout=60)
    code, output = check(tree)
    assert code == 1
    assert output.splitlines() == [line for line in output.splitlines() if "is not translated" in line] != []
