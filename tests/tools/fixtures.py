# SPDX-License-Identifier: Apache-2.0
"""fixtures - what pytest hands to the tests: a stage in a folder that is gone afterwards."""

import json
import os
import shutil
import tempfile

import jsonschema
import pytest

from daemon import ROOT, default_binary
from stage import Stage


def load_schema(kind):
    with open(os.path.join(ROOT, "config", "schema", kind + ".json"), encoding="utf-8") as file:
        return json.load(file)


def validate_messages(messages):
    """Holds every message against its published schema; of commands those that the gateway carried out."""
    kinds = ("data", "birth", "state", "reply", "command")
    validators = {kind: jsonschema.Draft202012Validator(load_schema(kind)) for kind in kinds}
    carried_out = {m.json["id"] for m in messages if m.kind == "reply" and m.json["ok"]}
    for message in messages:
        if message.kind == "command" and not is_one_of(message, carried_out):
            continue
        if message.kind in validators:
            problems = [error.message for error in validators[message.kind].iter_errors(message.json)]
            assert not problems, "%s does not follow its schema: %s\n%s" % (message.topic, problems, message.payload)


def is_one_of(command, ids):
    """Whether it has one of these ids; what nobody can read has none."""
    try:
        return command.json["id"] in ids
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        return False


def refuse_sanitizer_reports(log):
    """With FIELDGATE set to an asan or tsan build, a report fails the test whatever else it proved."""
    for mark in ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:"):
        assert mark not in log, log[max(0, log.index(mark) - 200):][:6000]


@pytest.fixture
def folder():
    """A short path (Unix sockets allow 107 bytes), removed afterwards."""
    path = tempfile.mkdtemp(prefix="fg-test-")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def stage(folder):
    """An empty stage. Whatever the test was about, every message it saw must follow its schema."""
    if not os.access(default_binary(), os.X_OK):
        pytest.fail("%s: not built; run `make` first, or set FIELDGATE" % default_binary())
    with Stage(folder) as one:
        yield one
        if one.daemon:
            refuse_sanitizer_reports(one.daemon.log())
        if one.subscriber:
            validate_messages(one.subscriber.messages())
