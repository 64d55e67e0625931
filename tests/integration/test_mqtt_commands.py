# SPDX-License-Identifier: Apache-2.0
"""Commands that a broker gives: what each does, what is refused and how, and that none of it costs a reading."""

import json
import os
import re
import subprocess
import time

import pytest

import settings as config_file
from commander import Commander
from daemon import ROOT
from proc import memory_kib

TOPIC = "fieldgate/v1/test-gw"
ALL = ["status", "rebirth", "resend", "poll"]


def up(stage, commands=None, every="200ms", units=1, version=5, **uplink):
    """A stage that takes commands, and somebody who gives them."""
    stage.counter_farm(units)
    stage.start_broker()
    stage.subscribe()
    uplinks = [config_file.uplink(stage.broker.url, commands=ALL if commands is None else commands, version=version,
                                  **uplink)]
    settings = stage.settings(uplinks=uplinks, every=every)
    settings["buses"][0]["timeout"] = "5s"  # the sensors share this process with whoever sends ten thousand commands
    stage.configure(settings)
    stage.start_daemon()
    stage.subscriber.sample("counter-1", 20)
    commander = Commander(stage.broker.port, version=5)
    stage.ends.callback(commander.stop)
    return commander


def counts(stage, uplink=0):
    """What the gateway has counted, asked over the local socket: at this moment."""
    return stage.daemon.ask(command="status")["status"]["uplinks"][uplink]["commands"]


def wait_counts(stage, predicate, seconds=10):
    deadline = time.monotonic() + seconds
    while not predicate(counts(stage)):
        assert time.monotonic() < deadline, counts(stage)
        time.sleep(0.02)
    return counts(stage)


def test_status_over_mqtt_is_what_the_control_socket_says(stage):
    commander = up(stage, every="1h")
    reply, message = commander.ask(stage.subscriber, commander.new("status"))
    assert reply["ok"] and reply["gateway"] == "test-gw" and reply["uplink"] == "province"
    assert message.topic == TOPIC + "/reply" and message.content_type == "application/json" and not message.retained
    local = stage.daemon.ask(command="status")["status"]
    assert json.loads(message.payload)["status"].keys() == local.keys()
    for key in ("gateway", "pid", "started_ts", "config", "config_path"):
        assert reply["status"][key] == local[key]
    assert [d["name"] for d in reply["status"]["devices"]] == [d["name"] for d in local["devices"]]


def test_rebirth_publishes_birth_and_state_again(stage):
    commander = up(stage, every="1h")
    stage.subscriber.wait_for(lambda m: m.kind == "birth", 5)
    before = len(stage.subscriber)
    reply, _ = commander.ask(stage.subscriber, commander.new("rebirth"))
    assert reply["ok"]
    seen = lambda: {m.kind for m in stage.subscriber.messages(since=before)}
    stage.subscriber.wait_until(lambda: seen() >= {"birth", "state"}, 5, "birth and state")
    births = stage.subscriber.messages("birth")
    assert {**births[0].json, "ts": 0} == {**births[-1].json, "ts": 0}


def test_resend_brings_records_again_on_the_backlog_lane_and_no_others(stage):
    commander = up(stage, every="100ms")
    stage.subscriber.wait_until(lambda: stage.report().delivered >= 15, 20)
    stage.wait_balanced()
    before = len(stage.subscriber)
    reply, _ = commander.ask(stage.subscriber, commander.new("resend", **{"from": 3, "to": 12}))
    assert reply["ok"] and reply["count"] == 10
    stage.subscriber.wait_until(lambda: stage.report().duplicates >= 10, 20)
    report = stage.report()
    assert not report.errors and report.duplicates == 10, report.text()
    again = [m for m in stage.subscriber.messages("data", since=before)
             if any(3 <= r["seq"] <= 12 for r in m.json.get("samples", []) + m.json.get("events", []))]
    assert {m.lane for m in again} == {"backlog"}
    reply, _ = commander.ask(stage.subscriber, commander.new("resend", **{"from": 900000, "to": 900001}))
    assert reply["ok"] and reply["count"] == 0


def test_poll_takes_a_sample_now(stage):
    commander = up(stage, every="1h")
    first = stage.subscriber.sample("counter-1")
    reply, _ = commander.ask(stage.subscriber, commander.new("poll", device="counter-1"))
    assert reply["ok"]
    stage.subscriber.sample("counter-1", 5, since_ms=first["ts"] + 1)


@pytest.mark.parametrize("version", [5, "3.1.1"])
def test_every_refusal_is_answered_counted_and_not_carried_out(stage, version):
    """One after the other, so that the pace is not what refuses."""
    commander = up(stage, commands=["poll", "resend"], every="1h", version=version)
    new = lambda **more: {**commander.new("poll", device="counter-1"), **more}
    done = new()
    served = stage.farm.ledger.count()
    without = lambda key: {k: v for k, v in new().items() if k != key}
    now = time.time_ns() // 1000000
    cases = [
        (b"", "malformed"), (b"poll counter-1", "malformed"), (b'{"id":1,"command":"poll"', "malformed"),
        (b"\xff\xfe\x00", "malformed"), (b"[]", "malformed"), (without("id"), "malformed"), (new(id=""), "malformed"),
        (new(id=1.5), "malformed"), (new(command=7), "malformed"), (without("device"), "malformed"),
        (new(device=["counter-1"]), "malformed"), (new(unit=1), "malformed"), (new(sent="now"), "malformed"),
        (commander.new("resend", **{"from": "1", "to": 2}), "malformed"),
        (commander.new("resend", **{"from": 2, "to": 1}), "malformed"),
        (new(command="reboot"), "unknown"), (new(command="Poll"), "unknown"),
        (commander.new("status"), "not_allowed"), (commander.new("rebirth"), "not_allowed"),
        ({**commander.new("pause", bus="line", for_ms=60000)}, "not_allowed"),
        (commander.new("resend", uplink="another", **{"from": 1, "to": 2}), "not_allowed"),
        (new(sent=now - 301000), "stale"), (new(sent=now + 3600000), "stale"), (without("sent"), "stale"),
        (new(pad="x" * 20000), "oversize"), (b" " * 100000, "oversize"),
        (new(device="counter-9"), "not_found"),
    ][::1 if version == 5 else 4]
    expected = {"done": 1, "repeated": 1}
    for i, (payload, code) in enumerate(cases):
        if i >= 18:
            time.sleep(0.5)  # the pace at which commands are read once the first burst is over
        reply, _ = commander.ask(stage.subscriber, payload)
        assert reply["ok"] is False and reply["code"] == code, (payload, reply)
        if isinstance(payload, dict) and code not in ("malformed", "oversize"):
            assert reply["id"] == payload["id"]
        expected[code] = expected.get(code, 0) + 1
    assert stage.farm.ledger.count() == served
    time.sleep(1)
    assert commander.ask(stage.subscriber, done)[0]["ok"]
    reply, _ = commander.ask(stage.subscriber, done)
    assert reply["code"] == "repeated" and reply["id"] == done["id"]
    stage.farm.ledger.wait_for(lambda book: book.count() == served + 1, 5)
    told = counts(stage)
    expected["failed"] = expected.pop("not_found", 0)
    assert {word: told[word] for word in expected} == expected
    assert told["received"] == sum(n for word, n in told.items() if word not in ("received", "replies_lost"))
    assert told["unanswered"] == 0 and told["replies_lost"] == 0
    assert len(stage.daemon.lines("FG-COMMAND-REFUSED")) == 1, "one line a minute"
    assert len(stage.daemon.lines("FG-COMMAND")) == 1
    with open(stage.daemon.runtime + "/metrics.prom", encoding="utf-8") as file:
        assert 'fieldgate_uplink_commands_total{uplink="province",result="malformed"}' in file.read()


def test_a_retained_command_is_refused_now_and_at_each_connect(stage):
    commander = up(stage, every="1h")
    served = stage.farm.ledger.count()
    reply, _ = commander.ask(stage.subscriber, commander.new("poll", device="counter-1"), retain=True, expiry=600)
    assert reply["code"] == "retained"
    before = len(stage.subscriber)
    stage.daemon.stop()
    stage.start_daemon()
    stage.subscriber.wait_until(lambda: stage.subscriber.messages("reply", since=before), 20, "the second reply")
    assert stage.subscriber.messages("reply", since=before)[0].json["code"] == "retained"
    stage.farm.ledger.wait_for(lambda book: book.count() > served, 10)  # the first poll after the start
    assert counts(stage)["done"] == 0


def test_response_topic_and_correlation_data_come_back(stage):
    commander = up(stage, every="1h")
    data = bytes(range(256)) * 4
    reply, message = commander.ask(stage.subscriber, commander.new("rebirth"), response=TOPIC + "/reply/ops-1",
                                   correlation=data)
    assert reply["ok"] and message.topic == TOPIC + "/reply/ops-1" and message.correlation == data
    # Nobody makes us write elsewhere: the refusal goes to the usual place.
    for bad in (TOPIC + "/data/live", TOPIC + "/command", TOPIC + "/replyx", "other/place", TOPIC + "/reply/" + "x" * 600):
        reply, message = commander.ask(stage.subscriber, commander.new("rebirth"), response=bad, correlation=b"7")
        assert reply["code"] == "malformed" and "response topic" in reply["error"]
        assert message.topic == TOPIC + "/reply" and message.correlation == b"7"
    reply, message = commander.ask(stage.subscriber, commander.new("rebirth"), correlation=b"x" * 1025)
    assert reply["code"] == "malformed" and message.correlation == b""
    assert counts(stage)["done"] == 1


def test_with_3_1_1_replies_go_to_the_reply_topic(stage):
    commander = up(stage, every="1h", version="3.1.1")
    reply, message = commander.ask(stage.subscriber, commander.new("rebirth"), response=TOPIC + "/reply/ops-1",
                                   correlation=b"1")
    assert reply["ok"] and message.topic == TOPIC + "/reply" and message.correlation == b""


def test_without_commands_nothing_is_subscribed(stage):
    commander = up(stage, commands=[], every="1h")
    commander.send(commander.new("status"))
    commander.send(commander.new("poll", device="counter-1"))
    # What was published before is handled before: the broker keeps the order.
    reply = stage.daemon.ask(command="rebirth", uplink="province")
    assert reply["ok"]
    stage.subscriber.wait_until(lambda: len(stage.subscriber.messages("birth")) >= 2, 10)
    assert not stage.subscriber.messages("reply")
    assert "commands" not in stage.daemon.ask(command="status")["status"]["uplinks"][0]


def test_while_the_clock_is_not_trusted_only_a_message_expiry_proves_that_a_command_is_fresh(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="1h", uplinks=[config_file.uplink(stage.broker.url, commands=ALL)])
    settings["clock"] = {"trust": "ntp", "hold": "100ms"}
    stage.configure(settings)
    stage.start_daemon()
    state = stage.subscriber.wait_for(lambda m: m.json.get("online") is True, 20, "the state")
    if "clock" not in state.json:
        pytest.skip("the kernel says that this machine's clock is synchronised")
    commander = Commander(stage.broker.port)
    stage.ends.callback(commander.stop)
    reply, _ = commander.ask(stage.subscriber, commander.new("rebirth"))
    assert reply["code"] == "stale" and "does not know the time" in reply["error"]
    reply, _ = commander.ask(stage.subscriber, {"id": 1, "command": "rebirth"}, expiry=60)
    assert reply["ok"], reply


def documented_examples():
    """The shell commands under "Try it out" of docs/MQTT.md's commands."""
    with open(os.path.join(ROOT, "docs", "MQTT.md"), encoding="utf-8") as file:
        section = file.read().split("## Commands", 1)[1].split("### Try it out", 1)[1].split("\n## ", 1)[0]
    return ["\n".join(line[4:] for line in block.splitlines())
            for block in re.findall(r"(?:^    .*\n)+", section, re.M)]


def test_the_documented_examples_work(stage):
    up(stage, every="1h")
    examples = documented_examples()
    assert len(examples) == 3
    for example in examples:
        here = example.replace("-h mqtt.province.example -p 8883 --capath /etc/ssl/certs "
                               '-u operations-centre -P "$PASSWORD"', "-h 127.0.0.1 -p %d" % stage.broker.port)
        here = here.replace("htn-thanhlong-01", "test-gw").replace("soil-a1", "counter-1")
        assert here != example
        before = len(stage.subscriber)
        done = subprocess.run(["bash", "-c", here], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, (here, done)
        stage.subscriber.wait_until(lambda: stage.subscriber.messages("reply", since=before), 10, "a reply")
        reply = stage.subscriber.messages("reply", since=before)[0]
        assert reply.json["ok"], (here, reply)
        if "mosquitto_rr" in here:
            assert json.loads(done.stdout)["id"] == reply.json["id"]
            assert reply.topic == TOPIC + "/reply/operations-centre"


def test_ten_thousand_commands_cost_no_reading_and_no_memory(stage):
    commander = up(stage, every="100ms")
    reply, _ = commander.ask(stage.subscriber, commander.new("status"))
    assert reply["ok"]
    before = memory_kib(stage.daemon.pid).anonymous
    begun = time.monotonic()
    for i in range(10000):
        last = commander.send(commander.new("poll", device="counter-%d" % (i % 3)), wait=False)
    last.wait_for_publish(60)
    told = wait_counts(stage, lambda c: c["received"] >= 10001, 60)
    took = time.monotonic() - begun
    assert told["received"] == sum(n for word, n in told.items() if word not in ("received", "replies_lost"))
    # Twenty at once, and two a second.
    assert told["unanswered"] >= 10001 - 21 - 2 * (took + 1)
    after = memory_kib(stage.daemon.pid).anonymous
    if "release" in stage.daemon.binary:
        assert after - before < 2048, "from %d to %d KiB" % (before, after)
    report = stage.wait_balanced(30)
    assert report.dropped == 0
    status = stage.daemon.ask(command="status")["status"]
    # Ten a second; a busy machine may cost some, but had it waited for commands there would be hardly any.
    assert status["devices"][0]["missed"] <= 2 + 10 * took / 3, "the poller was held up"
    assert len(stage.daemon.lines("FG-COMMAND-REFUSED")) <= 2
    time.sleep(0.6)
    reply, _ = commander.ask(stage.subscriber, commander.new("rebirth"))
    assert reply["ok"], "it hears again"


def test_replies_hold_no_secret_and_an_account_without_the_topic_is_told_once(stage):
    stage.counter_farm(1)
    acl = ["user gw", "topic write %s/data/live" % TOPIC, "topic write %s/data/backlog" % TOPIC,
           "topic write %s/birth" % TOPIC, "topic write %s/state" % TOPIC, "topic read %s/command" % TOPIC,
           "user ops", "topic readwrite #"]
    stage.start_broker(users={"gw": "geheim-1234", "ops": "x"}, acl=acl)
    stage.subscribe(user=("ops", "x"))
    password = stage.path("password")
    with open(password, "w", encoding="utf-8") as file:
        file.write("geheim-1234")
    os.chmod(password, 0o600)
    stage.configure(uplinks=[config_file.uplink(stage.broker.url, commands=ALL, username="gw",
                                                password_file=password)], every="1h")
    stage.start_daemon()
    stage.subscriber.sample("counter-1", 20)
    commander = Commander(stage.broker.port, user=("ops", "x"))
    stage.ends.callback(commander.stop)
    commander.send(commander.new("status"))
    commander.send(commander.new("rebirth"))
    line = stage.daemon.wait_for_log("FG-COMMAND-DEAF")
    assert "/reply" in line and "allow this account to write" in line
    wait_counts(stage, lambda c: c["replies_lost"] == 2)
    assert len(stage.daemon.lines("FG-COMMAND-DEAF")) == 1
    stage.broker.allow_everything()
    stage.broker.stop()
    stage.broker.start()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connects"] >= 2, 20)
    stage.subscriber.wait_subscribed(2, 20)
    reply, message = commander.ask(stage.subscriber, commander.new("status"))
    assert reply["ok"] and b"geheim" not in message.payload
    for word in ("password", "username", "credential"):
        assert word.encode() not in message.payload
