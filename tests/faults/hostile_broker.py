# SPDX-License-Identifier: Apache-2.0
"""hostile_broker - takes connections and answers with what no broker would say, at random from a seed.

It never acknowledges a message as MQTT has it: whoever takes a record of it for delivered has been fooled.

Threads: one accepts, one for each connection; every method may be called from any other.
"""

import json
import random
import selectors
import socket
import struct
import threading
import time

CONNACK = {5: b"\x20\x03\x00\x00\x00", 4: b"\x20\x02\x00\x00"}
LONGEST = b"\xff\xff\xff\x7f"  # 256 MiB, the largest remaining length there is
COMMAND_TOPIC, REPLY_TOPIC = b"fieldgate/v1/test-gw/command", b"fieldgate/v1/test-gw/reply"
HOLD_S = 0.4                   # how long a connection is left standing after the last word


def packet(kind, body):
    size, length = len(body), b""
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (128 if size else 0)])
        if not size:
            return bytes([kind]) + length + body


def publish(random_, topic, payload, qos, version):
    body = struct.pack(">H", len(topic)) + topic + (struct.pack(">H", random_.randrange(1, 65536)) if qos else b"")
    return packet(0x30 | qos << 1, body + (b"\x00" if version == 5 else b"") + payload)


class HostileBroker:
    """On one port of many loopback addresses, so that a gateway that is given them all tries them without a pause."""

    ADDRESSES = ["127.0.0.%d" % i for i in range(1, 31)]

    def __init__(self, port, seed):
        self.urls = ["mqtt://%s:%d" % (address, port) for address in self.ADDRESSES]
        self._seed = seed
        self._lock = threading.Lock()
        self._played = {}  # how often each script was, from beginning to end
        self._stop = threading.Event()
        self._threads = []
        self._doors = selectors.DefaultSelector()
        for address in self.ADDRESSES:
            self._doors.register(socket.create_server((address, port), backlog=16), selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def played(self):
        """{name of the script: how often}, the whole of it or until the gateway went"""
        with self._lock:
            return dict(self._played)

    def stop(self):
        """Nobody listens on the port any more and no connection is left."""
        self._stop.set()
        self._thread.join()
        for key in list(self._doors.get_map().values()):
            key.fileobj.close()
        self._doors.close()
        for one in self._threads:
            one.join()

    def _accept(self):
        # The first who comes has not been flooded yet: every kind of command is answered.
        order = random.Random(self._seed).sample(SCRIPTS, len(SCRIPTS)) + [every_kind_of_command]
        while not self._stop.is_set():
            for key, _ in self._doors.select(0.1):
                number = len(self._threads)
                if not order:  # each script once before any comes again
                    order = random.Random(self._seed + number).sample(SCRIPTS, len(SCRIPTS))
                thread = threading.Thread(target=self._serve, args=(key.fileobj.accept()[0], order.pop(), number),
                                          daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client, script, number):
        client.settimeout(2)
        try:
            with client:
                version = 4 if b"MQTT\x04" in client.recv(4096) else 5
                script(client, random.Random(self._seed * 100003 + number), version)
                self._stop.wait(HOLD_S)
        except OSError:
            pass  # the daemon went first
        with self._lock:
            self._played[script.__name__] = self._played.get(script.__name__, 0) + 1


# ---- what it does to those who come: each takes (socket, random, version)

def truncated(s, r, v):
    s.sendall(CONNACK[v][:r.randrange(1, len(CONNACK[v]))])
    if r.random() < 0.5:
        s.shutdown(socket.SHUT_WR)


def garbage(s, r, v):
    s.sendall(r.randbytes(r.randrange(1, 3000)))


def garbage_after_a_good_beginning(s, r, v):
    s.sendall(CONNACK[v] + r.randbytes(r.randrange(1, 3000)))


def endless_length(s, r, v):
    s.sendall(CONNACK[v] + bytes([r.choice([0x30, 0x32, 0x40, 0x90, 0xe0])]) + b"\xff" * 10)


def oversize(s, r, v):
    s.sendall(CONNACK[v] + b"\x32" + LONGEST + struct.pack(">H", 20) + b"t" * 20)
    for _ in range(20):
        s.sendall(bytes(8192))


def oversize_without_a_connack(s, r, v):
    s.sendall(b"\x20" + LONGEST + bytes(4096))


def out_of_order(s, r, v):
    words = [b"\xd0\x00", b"\x90\x04\x75\x31\x00\x00", b"\x40\x02\x75\x30", publish(r, b"a/b", b"x", 1, v), CONNACK[v],
             CONNACK[v]]
    r.shuffle(words)
    s.sendall(b"".join(words))


def wrong_type(s, r, v):
    kinds = [0x00, 0x0f, 0x10, 0x82, 0xa2, 0xc0, 0xf0, 0x62]
    s.sendall(CONNACK[v] + b"".join(packet(k, r.randbytes(r.randrange(12))) for k in r.sample(kinds, 5)))


def bad_properties(s, r, v):
    body = b"\x00\x00" + bytes([r.randrange(1, 60)]) + r.randbytes(r.randrange(60))
    s.sendall(packet(0x20, body))


def wild_acknowledgements(s, r, v):
    """Of messages that nobody sent. Not of ours by the words of other exchanges: the MQTT library looks at the number
    only and takes them for the acknowledgement, which such a broker could as well send."""
    s.sendall(CONNACK[v])
    for _ in range(200):
        s.sendall(packet(0x40, struct.pack(">H", r.randrange(20000, 65536))))
        s.sendall(packet(r.choice([0x50, 0x70, 0x90, 0xb0]), struct.pack(">H", r.randrange(20000, 65536))))
        time.sleep(0.002)


def command(r, word, **more):
    """As a platform would send it, with an id of its own."""
    return json.dumps({"v": 1, "id": "h-%016x" % r.getrandbits(64), "command": word,
                       "sent": time.time_ns() // 1000000, **more}).encode()


def commands(r):
    """[(what the gateway must count it as, one such command)]"""
    good = command(r, r.choice(["rebirth", "status"]))
    stale = time.time_ns() // 1000000 + r.choice([-1, 1]) * r.randrange(301000, 1 << 40)
    return [("done", good), ("repeated", good), ("stale", command(r, "rebirth", sent=stale)),
            ("malformed", command(r, "poll", device=["counter-1"])), ("malformed", good[:r.randrange(1, len(good))]),
            ("oversize", command(r, "rebirth") + b" " * 20000), ("unknown", command(r, "reboot")),
            ("not_allowed", command(r, "pause", bus="line", for_ms=60000))]


COMMAND_WORDS = {word for word, _ in commands(random.Random(0))}


def every_kind_of_command(s, r, v):
    """Not more than the gateway answers at once, and long enough for it to do so."""
    s.sendall(CONNACK[v] + b"".join(publish(r, COMMAND_TOPIC, text, 1, v) for _, text in commands(r)))
    heard, more = b"", b"-"
    while more and heard.count(REPLY_TOPIC) < 8:
        more = s.recv(65536)
        heard += more


def flood_of_commands(s, r, v):
    """Thousands that could be carried out, and every kind that cannot, as fast as they are taken."""
    s.sendall(CONNACK[v])
    until = time.monotonic() + 1
    while time.monotonic() < until:
        words = [text for _, text in commands(r)] + [command(r, "poll", device="counter-1") for _ in range(20)]
        words += [command(r, "resend", **{"from": 1, "to": 1 << 50}), command(r, "rebirth"), command(r, "status")]
        r.shuffle(words)
        s.sendall(b"".join(publish(r, COMMAND_TOPIC, text, r.choice([0, 1]), v) for text in words))


def flood(s, r, v):
    """Anything, to anybody, as fast as it is taken."""
    s.sendall(CONNACK[v])
    until = time.monotonic() + 1
    while time.monotonic() < until:
        topic = r.choice([COMMAND_TOPIC, b"a", b"x" * 3000, b"", b"bad\x00topic", b"\xff\xfe"])
        s.sendall(b"".join(publish(r, topic, r.randbytes(r.randrange(900)), r.choice([0, 1, 2, 3]), v) for _ in range(50)))


def large_messages(s, r, v):
    s.sendall(CONNACK[v])
    for _ in range(10):
        s.sendall(publish(r, COMMAND_TOPIC, bytes(300000), 1, v))


def slow(s, r, v):
    for byte in CONNACK[v] + publish(r, b"a/b", b"slowly", 1, v):
        s.sendall(bytes([byte]))
        time.sleep(0.05)


def silence(s, r, v):
    s.recv(4096)


def goodbye_and_more(s, r, v):
    s.sendall(CONNACK[v] + packet(0xe0, b"\x8b") * 3 + publish(r, b"a/b", b"late", 0, v))


SCRIPTS = [truncated, garbage, garbage_after_a_good_beginning, endless_length, oversize, oversize_without_a_connack,
           out_of_order, wrong_type, bad_properties, wild_acknowledgements, every_kind_of_command, flood_of_commands,
           flood, large_messages, slow, silence, goodbye_and_more]
