# SPDX-License-Identifier: Apache-2.0
"""Receivers that are not ours rebuild the ledger: mosquitto_sub, MQTT.js, and three that share a subscription."""

import pytest

import settings as config_file
from judge import records, settle
from outside import mosquitto_sub, mqtt_js

# A single record a message, so that many messages go round.
SINGLE = {"max_samples": 1}


def begin(stage, **options):
    stage.counter_farm()
    stage.start_broker()
    uplink = config_file.uplink(stage.broker.url, **options)
    stage.configure(uplinks=[uplink], every="100ms")


def outage(stage, seen):
    """The broker goes away in order and comes back, with a backlog to be sent."""
    stage.broker.stop()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] > 20, 20)
    stage.broker.start()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] < 10 and s["uplinks"][0]["connected"], 30)
    assert len(seen) > 0


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_mqtt_js_rebuilds_the_ledger_through_an_outage_and_its_own_death(stage, compress):
    begin(stage, compress=compress)
    receiver = mqtt_js(stage, stage.broker.url).launch().wait_subscribed()
    stage.start_daemon()
    receiver.wait_for(5)
    receiver.kill()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 60, 20)
    receiver.launch().wait_subscribed(2)
    outage(stage, receiver)
    settle(stage, [receiver])
    book = receiver.book()
    assert book["records"] == len(records(receiver)) > 60
    assert not book["holes"] and not book["changed"], book
    assert (book["packed"] > 0) == (compress == "gzip"), book


def test_mosquitto_sub_rebuilds_the_ledger_through_an_outage_and_its_own_absence(stage):
    begin(stage)
    receiver = mosquitto_sub(stage, stage.broker.port).launch()
    stage.start_daemon()
    receiver.wait_for(5)
    receiver.stop()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 60, 20)
    receiver.launch()
    outage(stage, receiver)
    settle(stage, [receiver])


def test_three_that_share_a_subscription_have_everything_together_though_one_is_killed(stage):
    """No restart of the broker here: mosquitto 2.0.11 forgets shared subscriptions then (docs/MQTT.md)."""
    begin(stage, batch=SINGLE)
    names = ["share-1", "share-2", "share-3"]
    three = [mqtt_js(stage, stage.broker.url, name, topic="$share/warehouse/fieldgate/v1/+/data/#").launch().wait_subscribed()
             for name in names]
    stage.start_daemon()
    for one in three:
        one.wait_for(5)
    three[1].kill()
    had = len(three[1])
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 150, 30)
    assert len(three[1]) == had and len(three[0]) > had < len(three[2]), "the others go on"
    three[1].launch().wait_subscribed(2)  # what the broker had given to it is not given to others: it must come back
    settle(stage, three)
    shares = [records(one) for one in three]
    assert all(len(share) > 20 for share in shares)
    assert len(shares[0] & shares[2]) <= 25, "a share is a share: only what was sent again may be in two"
