# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ 3.10 with its MQTT plugin as the broker: one node, and two as a cluster."""

import os

import paho.mqtt.client as mqtt
import pytest

import settings as config_file
from judge import settle
from outside import mosquitto_sub, mqtt_js
from proc import wait_until
from rabbitmq import PASSWORD, USER, Cluster


@pytest.fixture
def rabbits(stage):
    with Cluster(stage.path("rabbitmq")) as cluster:
        yield cluster


def run(stage, urls):
    with open(stage.path("password"), "w", encoding="ascii") as file:
        file.write(PASSWORD + "\n")
    os.chmod(file.name, 0o600)
    stage.configure(every="100ms", uplinks=[config_file.uplink(urls, version="3.1.1", username=USER,
                                                               password_file=stage.path("password"))])
    stage.start_daemon()


def look(node, topic, wanted):
    """The first text on this very topic, retained or not, that is wanted."""
    found = []
    client = mqtt.Client(client_id="look", protocol=mqtt.MQTTv311)
    client.username_pw_set(USER, PASSWORD)
    client.on_connect = lambda *_: client.subscribe(topic, qos=1)
    client.on_message = lambda _client, _data, message: found.append(message.payload.decode())
    client.connect("127.0.0.1", node.port)
    client.loop_start()
    try:
        return wait_until(lambda: next((text for text in list(found) if wanted(text)), None), 20,
                          lambda: "%s; seen: %s" % (topic, found))
    finally:
        client.disconnect()
        client.loop_stop()


def test_one_node_serves_the_contract_and_outlives_a_kill(stage, rabbits):
    stage.counter_farm()
    node, = rabbits.launch()
    outside = mosquitto_sub(stage, node.port, version="mqttv311", user=(USER, PASSWORD)).launch()
    run(stage, node.url)
    outside.wait_for(5)
    look(node, "fieldgate/v1/test-gw/state", lambda text: '"online":true' in text)
    assert '"layouts"' in look(node, "fieldgate/v1/test-gw/birth", bool)
    outside.stop()
    node.kill()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] > 20, 20)
    node.start()
    outside.launch()
    settle(stage, [outside], 90)
    stage.daemon.kill()
    will = look(node, "fieldgate/v1/test-gw/state", lambda text: '"online":false' in text)
    assert '"gateway":"test-gw"' in will


def test_of_two_nodes_one_stops_and_the_other_takes_over_without_a_hole(stage, rabbits):
    stage.counter_farm()
    first, second = rabbits.launch(2)
    second.join(first)
    outside = mqtt_js(stage, second.url, version=4, user=(USER, PASSWORD)).launch().wait_subscribed()
    run(stage, [first.url, second.url])
    outside.wait_for(5)
    outside.kill()
    first.stop()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"] and s["uplinks"][0]["url"] == second.url, 40)
    outside.launch().wait_subscribed(2)
    settle(stage, [outside], 90)
    book = outside.book()
    assert not book["holes"] and not book["changed"], book
