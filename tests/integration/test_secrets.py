# SPDX-License-Identifier: Apache-2.0
"""Secrets stand wherever a secret can stand, and come out nowhere: logs, status, metrics, what the commands print and the
control socket answers, what is published, exported or bundled for support, and every file that the gateway writes."""

import gzip
import json
import os

import pytest

import settings as config_file
from certs import Authority

PASSWORD = "pl4nted-p4ssw0rd-of-the-uplink"
WRONG = "wr0ng-p4ssw0rd-of-the-uplink"


def put(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o600)


def key_lines(path):
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file if not line.startswith("-")]


def written_files(stage):
    for folder in (stage.state_dir, stage.daemon.runtime):
        for root, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(root, name)
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        yield path, file.read()


def told(stage, *commands):
    """What each command prints. (A command that fails shows nothing.)"""
    for command in commands:
        done = stage.daemon.command(*command, seconds=40)
        assert done.returncode == 0, done
        yield " ".join(command[:2]), (done.stdout + done.stderr).encode()


def answered(stage):
    """What the control socket says to every command, and to what is none."""
    for request in ({"command": "status"}, {"command": "rebirth", "uplink": "province"}, {"command": "poll", "device": "counter-1"},
                    {"command": "probe", "device": "counter-1"}, {"command": "pause", "bus": "line", "for_ms": 100},
                    {"command": "resume", "bus": "line"},
                    {"command": "resend", "uplink": "province", "from": 1, "to": 3}):
        answer = stage.daemon.ask(**request)
        assert answer["ok"], answer
        yield "control: " + request["command"], json.dumps(answer).encode()
    for request in ({"command": "credentials"}, {"command": "rebirth", "uplink": "second", "password": 1}, {}):
        yield "control: refused", json.dumps(stage.daemon.ask(**request)).encode()


def outputs(stage, *commands):
    """(what it is, bytes) of all that leaves the gateway."""
    yield from told(stage, *commands)
    yield from answered(stage)
    yield "journal", stage.daemon.log().encode()
    for message in stage.subscriber.messages():
        yield message.topic, message.payload
    yield from written_files(stage)
    with open(stage.path("bundle.tar.gz"), "rb") as file:
        yield "bundle", gzip.decompress(file.read())
    with open("/proc/%d/cmdline" % stage.daemon.pid, "rb") as file:
        yield "command line", file.read()


def test_no_secret_comes_out_anywhere(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    certificate, key = authority.issue("gateway")
    stage.start_broker(tls=(authority.ca_file, *authority.issue("broker")), client_certificates=True, users={"gw": PASSWORD})
    stage.subscribe(tls=(authority.ca_file, certificate, key), user=("gw", PASSWORD))
    os.chmod(key, 0o600)
    credentials = stage.path("credentials")
    os.makedirs(credentials)
    put(os.path.join(credentials, "credentials_province-password"), PASSWORD + "\n")
    put(stage.path("password"), WRONG + "\n")
    files = {"ca_file": authority.ca_file, "cert_file": certificate, "key_file": key, "username": "gw"}
    stage.configure(every="200ms", uplinks=[
        config_file.uplink(stage.broker.url, credential="province-password", **files),
        config_file.uplink(stage.broker.url, "second", password_file=stage.path("password"), **files)])
    stage.start_daemon(env={"CREDENTIALS_DIRECTORY": credentials})
    stage.subscriber.sample("counter-1", 15)
    stage.daemon.wait_for_log("FG-LINK-FAILED", 15, text="uplink=second")  # the wrong one is refused, in words
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 3)
    config, runtime = ("--config", stage.config_path), ("--runtime-dir", stage.daemon.runtime)
    secrets = [PASSWORD, WRONG, *key_lines(key)]
    seen = {}
    for what, data in outputs(
            stage, ("check", *config), ("show", *config), ("status", *runtime), ("status", "--all", *runtime),
            ("status", "--json", *runtime), ("export", *config), ("export", "--format", "jsonl", *config),
            ("probe", "counter-1", *config, *runtime), ("poll", "counter-1", *runtime), ("version",),
            ("bundle", "--output", stage.path("bundle.tar.gz"), "--state-dir", stage.state_dir, *config, *runtime)):
        seen[what] = data
        for secret in secrets:
            assert secret.encode() not in data, "%s shows a secret" % what
    for part in ("birth", "state", "data/live", "buffer.db", "status.json", "metrics.prom", "last-good", "control: status"):
        assert any(part in what and data for what, data in seen.items()), (part, list(seen))
    for name in (b"effective.yaml", b"status.json", b"log.txt", b"metrics.prom"):
        assert name in seen["bundle"]


@pytest.mark.parametrize("where", [{"password": PASSWORD}, {"url": "mqtts://gw:%s@broker.example" % PASSWORD},
                                   {"credential": PASSWORD + "/x"}, {"password_file": PASSWORD}])
def test_a_secret_in_the_configuration_file_is_refused_and_not_repeated(stage, where):
    stage.counter_farm(1)
    stage.configure(uplinks=[{**config_file.uplink("mqtts://broker.example"), "username": "gw", **where}])
    daemon = stage.start_daemon(wait=False)
    assert daemon.wait_exit(10) == 78
    said = daemon.log() + "".join(d.stdout + d.stderr for d in (daemon.command(c, "--config", stage.config_path)
                                                               for c in ("check", "show")))
    assert "error" in said and PASSWORD not in said


@pytest.mark.parametrize("which", ["password_file", "key_file"])
def test_a_secret_that_everybody_can_read_is_refused(stage, which):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    certificate, key = authority.issue("gateway")
    os.chmod(key, 0o600)
    put(stage.path("password"), PASSWORD)
    os.chmod({"password_file": stage.path("password"), "key_file": key}[which], 0o644)
    stage.configure(uplinks=[config_file.uplink("mqtts://127.0.0.1", username="gw", password_file=stage.path("password"),
                                                cert_file=certificate, key_file=key)])
    daemon = stage.start_daemon(wait=False)
    assert daemon.wait_exit(10) == 78
    assert "%s: everybody on this machine can read the file; run chmod 600" % which in daemon.log()
