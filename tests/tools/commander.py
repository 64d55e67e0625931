# SPDX-License-Identifier: Apache-2.0
"""commander - an outside client that gives commands over MQTT.

Threads: paho's thread sends; the methods are for one thread.
"""

import json
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


class Commander:
    """Publishes on <topic>/command. version: 5 or 311. user: None or (name, password)."""

    def __init__(self, port, topic="fieldgate/v1/test-gw", version=5, user=None):
        self.topic = topic + "/command"
        self._five = version == 5
        self._count = 0
        self._client = mqtt.Client(client_id="commander", protocol=mqtt.MQTTv5 if self._five else mqtt.MQTTv311)
        self._client.max_queued_messages_set(0)  # as many as the test likes
        self._client.max_inflight_messages_set(20)
        if user:
            self._client.username_pw_set(*user)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def stop(self):
        self._client.disconnect()
        self._client.loop_stop()

    def new(self, command, **more):
        """A command as it should be: with an id of its own and the time."""
        self._count += 1
        return {"id": "c-%d" % self._count, "command": command, "sent": time.time_ns() // 1000000, **more}

    def send(self, payload, retain=False, response=None, correlation=None, expiry=None, wait=True):
        """payload: bytes, or what becomes JSON. Returns when the broker has it, unless told not to wait."""
        properties = None
        if self._five:
            properties = Properties(PacketTypes.PUBLISH)
            for name, value in (("ResponseTopic", response), ("CorrelationData", correlation),
                                ("MessageExpiryInterval", expiry)):
                if value is not None:
                    setattr(properties, name, value)
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        info = self._client.publish(self.topic, data, qos=1, retain=retain, properties=properties)
        if wait:
            info.wait_for_publish(10)
            assert info.is_published(), "the broker did not take the command"
        return info

    def ask(self, subscriber, payload, **how):
        """Sends, and waits for the next reply that anybody gets: (its JSON, the message)."""
        before = len(subscriber)
        self.send(payload, **how)
        seen = lambda: [m for m in subscriber.messages("reply", since=before)]
        subscriber.wait_until(seen, 10, "the reply to %.200r" % (payload,))
        return seen()[0].json, seen()[0]
