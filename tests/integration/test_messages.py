# SPDX-License-Identifier: Apache-2.0
"""What is published besides values: birth, state, the will, lanes and topics; all as the schemas say."""

import copy
import time

import jsonschema
import pytest

import settings as config_file
from fixtures import load_schema
from subscriber import Subscriber

TOPIC = "fieldgate/v1/test-gw"


def last_state(subscriber):
    states = subscriber.messages("state")
    return states[-1].json if states else None


def test_birth_tells_models_points_units_and_devices(stage):
    stage.standard_farm()
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="300ms")
    settings["gateway"].update(name="HTX thanh long Hàm Thuận Nam", latitude=10.8412, longitude=107.879,
                               labels={"growing_area": "VN-BTH-0042"})
    settings["devices"][0]["labels"] = {"plot": "A1", "depth_cm": "20"}
    stage.configure(settings)
    stage.start_daemon()
    sample = stage.subscriber.sample("soil-a1")
    birth = stage.subscriber.wait_for(lambda m: m.kind == "birth", 5).json
    assert birth["gateway"] == "test-gw" and birth["name"] == "HTX thanh long Hàm Thuận Nam"
    assert birth["labels"] == {"growing_area": "VN-BTH-0042"} and birth["uplink"] == "province"
    layout = next(l for l in birth["layouts"] if l["layout"] == birth["layout"])
    device = next(d for d in layout["devices"] if d["name"] == "soil-a1")
    assert device["labels"] == {"plot": "A1", "depth_cm": "20"}
    points = {p["name"]: p for p in layout["models"][device["model"]]["points"]}
    assert points["soil_temperature"]["unit"] == "Cel" and points["soil_ec"]["unit"] == "uS/cm"
    assert set(sample["values"]) == set(points)


def test_birth_and_state_are_retained_and_data_is_not(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    stage.subscriber.sample("counter-1")
    with Subscriber(stage.broker.port, name="latecomer") as late:
        kinds = {late.wait_for(lambda m, k=kind: m.kind == k, 5).retained for kind in ("birth", "state")}
        assert kinds == {True}
        late.wait_for(lambda m: m.kind == "data", 5)
        assert not any(m.retained for m in late.messages("data"))


def test_only_the_documented_topics_are_used(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    stage.subscriber.sample("counter-1")
    topics = {m.topic for m in stage.subscriber.messages()}
    assert topics <= {TOPIC + t for t in ("/data/live", "/data/backlog", "/birth", "/state")}


def test_state_is_online_while_running_and_offline_after_a_clean_stop(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    stage.subscriber.wait_for(lambda m: m.kind == "state" and m.json["online"], 10)
    code, _ = stage.daemon.stop()
    assert code == 0
    stage.subscriber.wait_until(lambda: last_state(stage.subscriber)["online"] is False, 5, "the offline state")


def test_the_will_says_offline_after_kill_and_carries_the_connection(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    first = stage.subscriber.wait_for(lambda m: m.kind == "state" and m.json["online"], 10).json
    stage.daemon.kill()
    will = stage.subscriber.wait_for(lambda m: m.kind == "state" and not m.json["online"], 5).json
    assert will["connection"] == first["connection"]
    stage.start_daemon()
    second = stage.subscriber.wait_for(lambda m: m.kind == "state" and m.json["online"]
                                       and m.json["connection"] != first["connection"], 10).json
    assert second["connection"] > first["connection"]


def test_state_accounts_for_every_record_and_says_which_stream(stage):
    stage.counter_farm(1)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    state = last_state(stage.subscriber)
    assert state["config"] == "current" and state["stream"] == stage.subscriber.messages("data")[-1].json["stream"]
    stage.broker.stop()
    stage.farm.ledger.wait_for(lambda book, n=stage.farm.ledger.count(): book.count() >= n + 20, 20)
    stage.broker.start()
    stage.subscriber.wait_for(lambda m: m.kind == "state" and m.json["online"] and m.json["waiting"] >= 15
                              and m.json["delivered"] > 0, 20, "a state that tells of the outage")
    stage.wait_balanced()
    assert stage.daemon.stop()[0] == 0
    stage.subscriber.wait_until(lambda: last_state(stage.subscriber)["online"] is False, 5, "the offline state")
    for state in (m.json for m in stage.subscriber.messages("state")):
        assert state["accepted"] == state["delivered"] + state["waiting"] + state["dropped"], state
    received = {record.seq for record in stage.ledger.records.values()}
    assert 20 < last_state(stage.subscriber)["delivered"] <= len(received)


def test_after_an_outage_live_leaves_first_and_the_backlog_follows_in_order(stage):
    stage.counter_farm(2)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    stage.broker.stop()
    stage.farm.ledger.wait_for(lambda book, n=stage.farm.ledger.count(): book.count() >= n + 60, 20)
    before, back_ms = len(stage.subscriber), int(time.time() * 1000)
    stage.broker.start()
    stage.subscriber.wait_for(lambda m: m.lane == "backlog", 10, "the backlog")
    stage.wait_balanced()
    # What the broker had taken before it stopped, and hands on now, says nothing.
    after = [m for m in stage.subscriber.messages(since=before) if m.lane and m.json["sent"] >= back_ms]
    assert after[0].lane == "live", [(m.lane, m.ms) for m in after]
    first_seq = lambda m: min(r["seq"] for r in m.json.get("samples", []) + m.json.get("events", []))
    assert first_seq(after[0]) > first_seq(next(m for m in after if m.lane == "backlog"))
    for lane in ("live", "backlog"):
        starts = [first_seq(m) for m in after if m.lane == lane]
        assert starts == sorted(starts), lane


def test_oldest_first_sends_in_one_order(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    uplink = config_file.uplink(stage.broker.url, backlog={"order": "oldest_first"})
    stage.configure(uplinks=[uplink], every="100ms")
    stage.start_daemon()
    stage.subscriber.sample("counter-1")
    stage.broker.stop()
    stage.farm.ledger.wait_for(lambda book, n=stage.farm.ledger.count(): book.count() >= n + 20, 20)
    stage.broker.start()
    stage.wait_balanced()
    arrived = sorted((r for r in stage.ledger.records.values()), key=lambda r: r.arrived_ms)
    seqs = [r.seq for r in arrived]
    assert seqs == sorted(seqs)


def test_gzip_messages_say_so_and_hold_the_same(stage):
    stage.standard_farm()
    stage.start_broker()
    stage.subscribe()
    stage.configure(uplinks=[config_file.uplink(stage.broker.url, compress="gzip")], every="200ms")
    stage.start_daemon()
    stage.farm.ledger.wait_for(lambda book: book.count() >= 10, 10)
    stage.wait_balanced()
    data = stage.subscriber.messages("data")
    assert any(m.encoding == "gzip" and m.payload[:2] == b"\x1f\x8b" for m in data)
    assert {m.content_type for m in data} == {"application/json"}


def test_two_uplinks_carry_everything_each_and_one_may_be_dead(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    dead = config_file.uplink("mqtt://127.0.0.1:1", name="dead")
    alive = config_file.uplink(stage.broker.url)
    stage.configure(uplinks=[dead, alive], every="200ms")
    stage.start_daemon()
    stage.farm.ledger.wait_for(lambda book: book.count() >= 8, 10)
    stage.wait_balanced()
    status = stage.daemon.wait_for_status(lambda s: s["uplinks"][1]["waiting"] == 0)
    assert status["uplinks"][0]["delivered"] == 0 and status["uplinks"][0]["waiting"] >= 8


def test_a_new_uplink_that_starts_now_gets_nothing_old(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    stage.subscriber.sample("counter-1")
    stage.daemon.stop()
    settings = stage.settings(every="200ms", uplinks=[
        config_file.uplink(stage.broker.url),
        config_file.uplink(stage.broker.url, name="second", topic="second", start="now")])
    stage.configure(settings)
    served = stage.farm.ledger.count()
    stage.start_daemon()
    message = stage.subscriber.wait_for(lambda m: m.topic.startswith("second/data/") and "samples" in m.json, 10)
    assert message.json["samples"][0]["values"]["count"] >= served


def test_the_schemas_refuse_what_is_not_in_the_contract(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    stage.subscriber.sample("counter-1")
    for kind in ("data", "birth", "state"):
        good = next(m for m in stage.subscriber.messages(kind) if kind != "data" or "samples" in m.json).json
        validator = jsonschema.Draft202012Validator(load_schema(kind))
        validator.validate(good)
        for key in ("v", "gateway", "stream"):
            bad = copy.deepcopy(good)
            del bad[key]
            assert not validator.is_valid(bad), "%s without %s is accepted" % (kind, key)
    bad = copy.deepcopy(next(m for m in stage.subscriber.messages("data") if "samples" in m.json).json)
    bad["samples"][0]["values"] = {"count": "12"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(load_schema("data")).validate(bad)
