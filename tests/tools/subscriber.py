# SPDX-License-Identifier: Apache-2.0
"""subscriber - an outside receiver: what it has seen is what was delivered.

A persistent QoS 1 session, so that the broker keeps for it what is published while it is away.

Threads: paho's thread records; every method may be called from any thread.
"""

import gzip
import json
import threading
import time
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


@dataclass(frozen=True)
class Message:
    """One publication as it arrived. `ms`: wall clock."""

    ms: int
    topic: str
    payload: bytes
    retained: bool
    content_type: str
    encoding: str
    correlation: bytes = b""

    @cached_property
    def json(self):
        """Numbers as exact Decimals: 23.4 is not 23.400000000000002."""
        data = gzip.decompress(self.payload) if self.encoding == "gzip" else self.payload
        return json.loads(data, parse_float=Decimal, parse_constant=self._refuse)

    @staticmethod
    def _refuse(word):
        raise ValueError("not JSON: " + word)

    @property
    def lane(self):
        """"live", "backlog", or "" for what is not data."""
        parts = self.topic.rsplit("/", 2)
        return parts[2] if len(parts) == 3 and parts[1] == "data" else ""

    @property
    def kind(self):
        """"data", "birth", "state", "command", "reply"."""
        if self.lane:
            return "data"
        return "reply" if "/reply/" in self.topic else self.topic.rsplit("/", 1)[1]


class Subscriber:
    """Records every message. tls: None or (ca_file, cert_file, key_file); user: None or (name, password)."""

    def __init__(self, port, topic="#", name="warehouse", tls=None, user=None):
        self._changed = threading.Condition()
        self._messages = []
        self._subscribed = 0
        self._topic = topic
        self._port = port
        self._client = mqtt.Client(client_id=name, protocol=mqtt.MQTTv5)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(min_delay=0.05, max_delay=0.2)
        if user:
            self._client.username_pw_set(*user)
        if tls:
            self._client.tls_set(*tls)

    def start(self, seconds=5):
        """Returns when the subscription stands."""
        lasting = Properties(PacketTypes.CONNECT)
        lasting.SessionExpiryInterval = 0xFFFFFFFF
        self._client.connect("127.0.0.1", self._port, keepalive=60, clean_start=False, properties=lasting)
        self._client.loop_start()
        self.wait_subscribed(1, seconds)
        return self

    def stop(self):
        """Goes away; the session stays with the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def wait_subscribed(self, times, seconds):
        self._wait(lambda: self._subscribed >= times, seconds, "subscription")

    @property
    def subscriptions(self):
        """How often the subscription was (re)made: rises when we are back after the broker was away."""
        with self._changed:
            return self._subscribed

    def messages(self, kind=None, since=0):
        """A copy of messages[since:], only of a kind ("data", "birth", "state", ...) when one is given."""
        with self._changed:
            return [m for m in self._messages[since:] if kind is None or m.kind == kind]

    def __len__(self):
        with self._changed:
            return len(self._messages)

    def wait_for(self, predicate, seconds, what="the expected message"):
        """Waits until predicate(message) holds for a message, old or new, and returns it."""
        seen = 0
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for message in self._messages[seen:]:
                    if predicate(message):
                        return message
                seen = len(self._messages)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError("%s: not within %.1f s (%d messages seen)" % (what, seconds, seen))
                self._changed.wait(left)

    def wait_until(self, condition, seconds, what="the expected messages"):
        """Waits until condition() is true, asking again at each message."""
        self._wait(condition, seconds, what)

    def sample(self, device, seconds=10, since_ms=0, where=lambda sample: True):
        """The first sample of a device that was taken at or after since_ms."""
        found = []

        def look(message):
            if message.kind == "data":
                found.extend(s for s in message.json.get("samples", ())
                             if s["device"] == device and s["ts"] >= since_ms and where(s))
            return bool(found)

        self.wait_for(look, seconds, "a sample of " + device)
        return found[0]

    def _wait(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError("%s: not within %.1f s" % (what() if callable(what) else what, seconds))
                self._changed.wait(min(left, 0.25))

    def _on_connect(self, client, *_):
        client.subscribe(self._topic, qos=1)

    def _on_subscribe(self, *_):
        with self._changed:
            self._subscribed += 1
            self._changed.notify_all()

    def _on_message(self, _client, _userdata, message):
        properties = getattr(message, "properties", None)
        user = dict(getattr(properties, "UserProperty", None) or [])
        one = Message(time.time_ns() // 1000000, message.topic, message.payload, message.retain,
                      getattr(properties, "ContentType", "") or "", user.get("content-encoding", ""),
                      getattr(properties, "CorrelationData", b"") or b"")
        with self._changed:
            self._messages.append(one)
            self._changed.notify_all()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
