# SPDX-License-Identifier: Apache-2.0
"""`fieldgate bundle`: what support needs in one file, and no secret in it, whatever state the gateway is in."""

import json
import os
import stat
import tarfile

import pytest

import settings as config_file
from certs import Authority

PASSWORD = "pl4nted-p4ssw0rd-of-the-uplink"
OTHER = "an0ther-planted-w0rd"
INLINE = "wr1tten-into-the-file"


def put(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def journal(stage, text):
    """A journalctl that says this; returns the environment in which it is found."""
    os.makedirs(stage.path("bin"), exist_ok=True)
    put(stage.path("said"), text)
    put(stage.path("bin", "journalctl"), "#!/bin/sh\necho \"$@\" >&2\ncat '%s'\n" % stage.path("said"), 0o755)
    return {"PATH": "%s:%s" % (stage.path("bin"), os.environ["PATH"])}


def bundle(stage, *options):
    """(what was printed, {name: text}) of a bundle made now."""
    target = stage.path("bundle.tar.gz")
    done = stage.daemon.command("bundle", "--config", stage.config_path, "--runtime-dir", stage.daemon.runtime,
                                "--state-dir", stage.state_dir, "--output", target, *options, seconds=40)
    assert done.returncode == 0, done
    assert target in done.stdout and stat.S_IMODE(os.stat(target).st_mode) == 0o600
    with tarfile.open(target) as tar:
        members = tar.getmembers()
        assert all(m.isfile() and m.mode == 0o600 and m.name.startswith("fieldgate-bundle/") for m in members)
        parts = {m.name.split("/", 1)[1]: tar.extractfile(m).read().decode() for m in members}
    for name in parts:
        assert name == "CONTENTS.txt" or name in parts["CONTENTS.txt"], name
        assert name in done.stdout
    return done.stdout, parts


def test_it_holds_what_support_asks_for_and_no_secret(stage):
    stage.counter_farm(2)
    authority = Authority(stage.path("ca"))
    certificate, key = authority.issue("gateway")
    os.chmod(key, 0o600)
    stage.start_broker(users={"gw": PASSWORD})
    stage.subscribe(user=("gw", PASSWORD))
    credentials = stage.path("credentials")
    os.makedirs(credentials)
    put(os.path.join(credentials, "credentials_province-password"), PASSWORD + "\n")
    put(stage.path("password"), OTHER + "\n")
    with open(key, encoding="utf-8") as file:
        key_text = file.read()
    env = journal(stage, "FG-START gateway=test-gw: running\nFG-LINK-FAILED url=mqtt://gw:%s@b.example: x\n"
                         "it said %s and token=abcdefgh\n%s\nthe last line\n" % (INLINE, PASSWORD, key_text))
    settings = stage.settings(every="200ms", uplinks=[
        config_file.uplink(stage.broker.url, credential="province-password", username="gw"),
        config_file.uplink("mqtts://127.0.0.1:9", "second", password_file=stage.path("password"), username="gw",
                           ca_file=authority.ca_file, cert_file=certificate, key_file=key)])
    settings["devices"][0]["labels"] = {"plot": "A1-label"}
    stage.configure(settings)
    stage.start_daemon(env={"CREDENTIALS_DIRECTORY": credentials, **env})
    stage.subscriber.sample("counter-1", 15)
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 3)
    said, parts = bundle(stage, "--log-lines", "77")
    for name, text in [("what is printed", said), *parts.items()]:
        for secret in (PASSWORD, OTHER, INLINE, "abcdefgh", *(l for l in key_text.splitlines() if not l.startswith("-"))):
            assert secret not in text, "%s shows %s" % (name, secret)
    assert "fieldgate 0." in parts["version.txt"]
    assert "A1-label" in parts["config/fieldgate.yaml"] and "province-password" in parts["config/fieldgate.yaml"]
    assert "counter-1" in parts["config/effective.yaml"] and "0 errors" in parts["config/check.txt"]
    assert json.loads(parts["status.json"])["gateway"] == "test-gw"
    assert "counter-2" in parts["status.txt"] and "100 %" not in parts["status.txt"]
    assert "fieldgate_device_requests_total" in parts["metrics.prom"]
    assert "records 1 to " in parts["store.txt"] and "buffer.db" in parts["store.txt"]
    assert "FG-START" in parts["log.txt"] and parts["log.txt"].endswith("the last line\n")
    assert "-n 77 -u fieldgate" in parts["log.txt"]
    assert parts["log.txt"].count("[removed]") >= 4


def test_it_works_when_nothing_runs_and_the_configuration_is_broken(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.configure()
    stage.start_daemon(env=journal(stage, "FG-STOP\n"))
    stage.daemon.wait_for_status(lambda s: s["store"]["records"] > 0)
    stage.daemon.stop()
    with open(stage.config_path, "a", encoding="utf-8") as file:
        file.write("uplinks_:\n  - password: %s\n    url: mqtts://gw:%s@b.example:8883/x\n  - secret: |\n      %s\n      %s\n"
                   "    credential: %s\n   broken: [\n" % (INLINE, INLINE, INLINE, OTHER, PASSWORD))
    said, parts = bundle(stage)
    for name, text in [("what is printed", said), *parts.items()]:
        for secret in (INLINE, OTHER, PASSWORD):
            assert secret not in text, "%s shows %s" % (name, secret)
    assert "mqtts://[removed]@b.example:8883/x" in parts["config/fieldgate.yaml"]
    assert "broken: [" in parts["config/fieldgate.yaml"]
    assert "0 errors" not in parts["config/check.txt"] and "error" in parts["config/check.txt"]
    assert "effective" not in str(list(parts)) and "counter-1" in parts["config/last-good.yaml"]
    assert "HAS ENDED" in parts["status.txt"] and "records 1 to " in parts["store.txt"]


def test_it_works_where_there_is_nothing_at_all(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.configure()
    stage.start_daemon()
    stage.daemon.stop()
    target = stage.path("empty.tar.gz")
    done = stage.daemon.command("bundle", "--config", stage.path("none.yaml"), "--runtime-dir", stage.path("none"),
                                "--state-dir", stage.path("none"), "--output", target)
    assert done.returncode == 0 and os.path.exists(target), done
    assert "no gateway runs" in done.stdout


@pytest.mark.parametrize("what", ["/dev/null/x", "folder"])
def test_a_bundle_that_cannot_be_written_says_so(stage, what):
    stage.counter_farm(1)
    stage.start_broker()
    stage.configure()
    stage.start_daemon()
    stage.daemon.stop()
    os.makedirs(stage.path("folder"), exist_ok=True)
    done = stage.daemon.command("bundle", "--config", stage.config_path, "--output",
                                stage.path(what) if what == "folder" else what)
    assert done.returncode == 1 and "--output" in done.stderr, done


def test_another_file_of_that_name_is_replaced_and_not_written_through(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.configure()
    stage.start_daemon()
    stage.daemon.stop()
    put(stage.path("precious"), "precious", 0o644)
    os.symlink(stage.path("precious"), stage.path("bundle.tar.gz"))
    bundle(stage)
    with open(stage.path("precious"), encoding="utf-8") as file:
        assert file.read() == "precious"
