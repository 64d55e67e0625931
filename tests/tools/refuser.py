# SPDX-License-Identifier: Apache-2.0
"""refuser - stands before a broker and refuses what it is told to, with the reason it is told, as no mosquitto would.

    with Refuser(broker.port) as refuser:
        refuser.judge = lambda message: 153 if 20 in message.seqs else 0

A PUBLISH (MQTT 5, QoS 1) that is judged 0 goes on to the broker, as does everything else; the others are answered with
that reason and never reach it.

Threads: one accepts, two for each connection; every method may be called from any other. judge() is called from those.
"""

import json
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Offer:
    """A data message as the daemon offered it, and what it was told."""

    lane: str
    seqs: tuple
    reason: int
    at: float  # time.monotonic()


def _number(data, at):
    """(a variable byte integer, where it ends); None when it is not all there."""
    value = 0
    for count in range(4):
        if at + count >= len(data):
            return None
        value |= (data[at + count] & 127) << 7 * count
        if data[at + count] < 128:
            return value, at + count + 1
    raise ValueError("no length")


def _packets(data):
    """Takes the whole packets out of a bytearray: (the packet, where its body begins)."""
    while data:
        length = _number(data, 1)
        if length is None or len(data) < sum(length):
            return
        packet = bytes(data[:sum(length)])
        del data[:sum(length)]
        yield packet, length[1]


class Refuser:
    """A port of its own before 127.0.0.1:target. A context manager."""

    def __init__(self, target):
        self.target = target
        self.judge = lambda message: 0
        self._offers = []
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = "mqtt://127.0.0.1:%d" % self.port
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def offers(self):
        """Every data message so far, in order."""
        with self._news:
            return list(self._offers)

    def wait_for(self, condition, seconds, what):
        """Until condition(offers) is true; returns them."""
        with self._news:
            if not self._news.wait_for(lambda: condition(self._offers), seconds):
                raise AssertionError("%s did not come within %.0f s: %s" % (what, seconds, self._offers[-30:]))
            return list(self._offers)

    def _accept(self):
        self._listener.settimeout(0.1)
        while not self._stop.is_set():
            try:
                near, _ = self._listener.accept()
            except socket.timeout:
                continue
            thread = threading.Thread(target=self._serve, args=(near,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, near):
        data = bytearray()
        try:
            with near, socket.create_connection(("127.0.0.1", self.target)) as far, selectors.DefaultSelector() as both:
                both.register(near, selectors.EVENT_READ)
                both.register(far, selectors.EVENT_READ)
                while not self._stop.is_set():
                    for key, _ in both.select(0.1):
                        more = key.fileobj.recv(65536)
                        if not more:
                            return
                        if key.fileobj is far:
                            near.sendall(more)
                            continue
                        data += more
                        for packet, body in _packets(data):
                            self._pass_on(packet, body, near, far)
        except OSError:
            pass  # one side went, or nobody listens there now

    def _pass_on(self, packet, body, near, far):
        reason = 0
        if packet[0] & 0xf6 == 0x32:
            size = struct.unpack_from(">H", packet, body)[0]
            topic = packet[body + 2:body + 2 + size].decode()
            number = packet[body + 2 + size:body + 4 + size]
            properties, at = _number(packet, body + 4 + size)
            if "/data/" in topic:
                reason = self._offered(topic.rsplit("/", 1)[1], json.loads(packet[at + properties:]))
        if reason:
            near.sendall(b"\x40\x03" + number + bytes([reason]))
        else:
            far.sendall(packet)

    def _offered(self, lane, message):
        seqs = tuple(sorted(one["seq"] for kind in ("samples", "events") for one in message.get(kind, ())))
        reason = self.judge(Offer(lane, seqs, 0, time.monotonic()))
        with self._news:
            self._offers.append(Offer(lane, seqs, reason, time.monotonic()))
            self._news.notify_all()
        return reason

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()
