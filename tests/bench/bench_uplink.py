# SPDX-License-Identifier: Apache-2.0
"""bench_uplink - how fast a backlog leaves, what it takes of the link, and how long live readings need meanwhile.

The store is filled by tests/tools/fill_store.c; 40 readings in six samples a round, as in `make month`. bench.py runs
it, docs/BENCHMARKS.md explains every line.
"""

import itertools
import json
import os
import select
import socket
import struct
import subprocess
import time

import settings as config_file
from bench_bus import percentile
from broker import Broker
from certs import Authority
from daemon import Daemon
from filled import Filled
from models import MODELS
from peer_ledger import Book
from proc import free_port, wait_until
from proxy import DOWN, UP, Proxy
from subscriber import Subscriber
from table import RUNS, in_folder, say
from wire_line import WireTcp, program

SOURCES = [("soil-%d" % n, n, "cwt-soil-npk-s") for n in range(1, 5)] + [("air-%d" % n, n, "xy-md02") for n in (5, 6)]
ROUND = sum(len(MODELS[model].fields) for _, _, model in SOURCES)  # readings
SOURCE_DEVICES = [{"name": name, "bus": "line", "unit": unit, "every": "1h",
                   "points": [field.as_point() for field in MODELS[model].fields]} for name, unit, model in SOURCES]
NOBODY = {"name": "line", "protocol": "tcp", "host": "127.0.0.1", "tcp_port": 1}
POLLED_UNITS, POLLED_POINTS = 6, 7  # of live readings beside a backlog
EVERY = "230ms"  # no whole number of these is a second: no poll falls into a commit each time
PROMISED_MS = 5000  # how old a live reading is at most
DRAINED_DAYS, LEAST_S = 90, 4  # of a backlog that live readings are sent beside, and how long it takes at least
TOPIC = "fieldgate/v1/bench/data/backlog"
LINK = 10000000 // 8  # bytes/s


def polled_devices():
    """Registers as they are, so that a published value tells which answer it came with."""
    points = [{"name": "r%d" % n, "register": "holding", "address": n} for n in range(POLLED_POINTS)]
    return [{"name": "u%d" % unit, "bus": "line", "unit": unit, "every": EVERY, "points": points}
            for unit in range(1, POLLED_UNITS + 1)]


def websockets(port, certificate):
    """Lines of mosquitto's configuration: one more listener."""
    tls = zip(("cafile", "certfile", "keyfile"), certificate or ())
    return ["listener %d 127.0.0.1" % port, "protocol websockets", *("%s %s" % item for item in tls)]


class World:
    """A broker, a filled store and a daemon between them. `endpoint`: its units are polled beside the backlog, and the
    backlog is theirs. `ws`: the daemon goes through a WebSocket."""

    def __init__(self, folder, days, period_s, link=False, tls=False, endpoint=None, uplink=None, batch=None, ws=False):
        self.folder = folder
        authority = Authority(os.path.join(folder, "ca")) if tls else None
        certificate = (authority.ca_file, *authority.issue("broker")) if tls else None
        door = free_port() if ws else None
        self.broker = Broker(os.path.join(folder, "broker"), tls=certificate,
                             extra=["sys_interval 1", *(websockets(door, certificate) if ws else [])]).start()
        self.ca_file = authority and authority.ca_file
        self.link = Proxy(door or self.broker.port) if link else None
        scheme = ("ws" if ws else "mqtt") + ("s" if tls else "")
        url = "%s://127.0.0.1:%d" % (scheme, self.link.port if link else door or self.broker.port)
        options = {**({"ca_file": self.ca_file} if tls else {}), **({"batch": batch} if batch else {}), **(uplink or {})}
        self.path = os.path.join(folder, "fieldgate.yaml")
        bus, devices = (endpoint.bus(), polled_devices()) if endpoint else (NOBODY, SOURCE_DEVICES)
        state = os.path.join(folder, "state")
        os.makedirs(state)
        config_file.write(self.path, {
            "gateway": {"id": "bench"}, "store": {"path": os.path.join(state, "buffer.db"), "max_size": "4GiB"},
            "clock": {"trust": "always"}, "buses": [bus], "devices": devices,
            "uplinks": [config_file.uplink(url, **options)]})
        self.filled = Filled.until_yesterday(self.path, days, period_s)
        if days:
            self.filled.fill()
        self.daemon = Daemon(folder, self.path, state_dir=state)

    def uplink(self):
        """The daemon's word, and when it wrote it."""
        at, status = self.daemon.status_written(), self.daemon.status()
        return at, status["uplinks"][0] if status else None

    def wait_drained(self, seconds=300):
        """What the daemon said on the way, second by second."""
        told = []

        def look():
            at, one = self.uplink()
            if one and (not told or told[-1][0] != at):
                told.append((at, one))
            return one and one["connected"] and one["waiting"] == 0 and one["delivered"] > 0

        wait_until(look, seconds, "the end of the backlog")
        return told

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.daemon.stop(10)
        self.daemon.close()
        if self.link:
            self.link.close()
        self.broker.kill()


# -- the references


class Choice:
    """How an uplink sends: compressed or not, with TLS or without, in which version, through a WebSocket or not."""

    def __init__(self, gzip, tls, batch=None, version="5", ws=False):
        self.gzip, self.tls, self._version, self._ws = gzip, tls, version, ws
        self.options = {"uplink": {"compress": "gzip" if gzip else "none", "version": version}, "tls": tls, "ws": ws,
                        "batch": batch}

    def __str__(self):
        way = {(False, False): "TCP", (True, False): "TLS", (False, True): "ws", (True, True): "wss"}[self.tls, self._ws]
        return "%s over %s%s" % ("gzip" if self.gzip else "JSON", way, "" if self._version == "5" else ", MQTT 3.1.1")


# Of messages with so many samples, against 100 with MQTT 5 and without a WebSocket: (JSON, gzip).
MOST_BYTES = {10: (1.1, 3), 100: (1.02, 1.02), 500: (1.0, 0.9)}
WAYS = [("5", False), ("3.1.1", False), ("5", True)]  # version, WebSocket
CHOICES = [Choice(gzip, tls) for gzip, tls in itertools.product((False, True), repeat=2)]


def bare_paho(folder, port, ca_file, bodies, times=1):
    """Seconds that bare Paho takes for the messages, so many times, without its connect."""
    path = os.path.join(folder, "messages")
    with open(path, "wb") as file:
        file.writelines(struct.pack("=I", len(body)) + body for body in bodies)
    argv = [program("bench", "bare_paho"), str(port), TOPIC, path, str(times), *([ca_file] if ca_file else [])]
    return json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)["seconds"]


def mosquitto_pub(folder, port, ca_file, bodies, times=1):
    """Seconds that it takes from its start to its end. Only for messages without a line feed."""
    path = os.path.join(folder, "lines")
    with open(path, "wb") as file:
        for _ in range(times):
            file.writelines(body + b"\n" for body in bodies)
    argv = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-t", TOPIC, "-q", "1", "-V", "5", "-l",
            *(["--cafile", ca_file] if ca_file else [])]
    begin = time.monotonic()
    with open(path, "rb") as file:
        subprocess.run(argv, stdin=file, check=True)
    return time.monotonic() - begin


# -- how fast


def heard(world):
    """Messages that the broker says it was sent, up to two seconds ago."""
    argv = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(world.broker.port), "-C", "1", "-W", "5",
            "-t", "$SYS/broker/publish/messages/received", *(["--cafile", world.ca_file] if world.ca_file else [])]
    return int(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout or 0)


def drained(folder, choice, days):
    """Readings a second, between the first and the last second's word in which the backlog was on its way."""
    with World(folder, days, 10, **choice.options) as world:
        world.daemon.start()
        told = world.wait_drained()
        wait_until(lambda: heard(world) >= told[-1][1]["messages"], 10, "the broker's own count of the messages")
        per_record = world.filled.readings / world.filled.polls
        going = [(at, u["delivered"]) for at, u in told if u["delivered"] > 0 and u["waiting"] > 0]
        assert len(going) > 1, "too short to be measured: give it more days"
        (begin, first), (end, last) = going[0], going[-1]
        return (last - first) * per_record / (end - begin)


def collected(world):
    """Drains the world's backlog; its messages as they were published."""
    with Subscriber(world.broker.port, TOPIC, tls=(world.ca_file,) if world.ca_file else None) as subscriber:
        world.daemon.start()
        world.wait_drained()
        return [m.payload for m in subscriber.messages() if m.lane == "backlog"]


def messages_of(folder, choice):
    """The messages of one day's backlog; and how many readings."""
    with World(folder, 1, 10, **choice.options) as world:
        return collected(world), world.filled.readings


def bare(folder, choice, bodies, readings, times):
    """Readings a second of bare Paho, and of mosquitto_pub -l where lines are enough."""
    authority = Authority(os.path.join(folder, "ca"))
    tls = (authority.ca_file, *authority.issue("broker")) if choice.tls else None
    ca_file = authority.ca_file if choice.tls else None
    with Broker(os.path.join(folder, "bare"), tls=tls) as broker:
        paho = readings * times / bare_paho(folder, broker.port, ca_file, bodies, times)
        if choice.gzip:
            return paho, None
        return paho, readings * times / mosquitto_pub(folder, broker.port, ca_file, bodies, times)


def bench_drain(table):
    for choice in CHOICES:
        target, days = (300000, 20) if choice.gzip else (1000000, 30)
        say("drain: a backlog of %d days, 40 readings in 10 s, %s, to a local mosquitto" % (days, choice))
        bodies, readings = in_folder(messages_of, choice)
        ours, paho, pub = [], [], []
        for _ in range(RUNS):
            ours.append(in_folder(drained, choice, days))
            one = in_folder(bare, choice, bodies, readings, 20 if choice.gzip else 10)
            paho.append(one[0])
            pub.append(one[1])
        table.add("drain: %s, readings a second, of %d" % (choice, target), "/s", [(o, target) for o in ours], 1)
        table.add("drain: %s, of bare Paho with the same messages" % choice, "/s", list(zip(ours, paho)),
                  0.07 if choice.gzip else 0.2)
        if not choice.gzip:
            table.add("drain: %s, of mosquitto_pub -l" % choice, "/s", list(zip(ours, pub)), 0.2)


# -- a shaped link


def shaped(folder, choice, seconds):
    with World(folder, 10, 10, link=True, **choice.options) as world:
        world.link.rate(LINK)
        world.daemon.start()
        wait_until(lambda: world.link.carried(UP) > LINK / 2, 30, "the backlog")
        begin, before = time.monotonic(), world.link.carried(UP)
        while time.monotonic() < begin + seconds and (world.uplink()[1] or {}).get("waiting", 1) > 0:
            time.sleep(0.05)
        speed = (world.link.carried(UP) - before) / (time.monotonic() - begin)
        assert world.uplink()[1]["waiting"] > 0, "drained too soon"
        return speed


def bulk(seconds):
    """Bytes a second of a plain socket through the same link: what the simulated link gives on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server, Proxy(server.getsockname()[1]) as link:
        link.rate(LINK)
        with socket.create_connection(("127.0.0.1", link.port)) as near, server.accept()[0] as far:
            near.setblocking(False)
            far.setblocking(False)
            begin, heard = time.monotonic(), 0
            while time.monotonic() < begin + seconds:
                readable, writable, _ = select.select([far], [near], [], 0.1)
                heard += len(far.recv(65536)) if readable else 0
                if writable:
                    near.send(bytes(4096))
            return heard / seconds


def bench_shaped(table):
    for choice in CHOICES[:2]:
        say("shaped: a link of 10 Mbit/s, %s" % choice)
        runs = [(in_folder(shaped, choice, 8), bulk(4)) for _ in range(RUNS)]
        table.add("shaped: %s, bytes a second, of what a bare socket gets" % choice, "B/s", runs, 0.9)
        table.add("shaped: %s, bytes a second, of 10 Mbit/s" % choice, "B/s", [(ours, LINK) for ours, _ in runs], 0.9)


# -- bytes on the link


def link_bytes(folder, choice, references=False):
    """Bytes that a reading of a day's backlog takes, out and back, without the heads of TCP and IP; the same of the
    references with the same messages, out."""
    with World(folder, 1, 60, link=True, **choice.options) as world:
        bodies, readings = collected(world), world.filled.readings
        told = [world.link.carried(UP) / readings, world.link.carried(DOWN) / readings]
        world.daemon.stop(10)
        for publish in [bare_paho, mosquitto_pub][:2 - choice.gzip] if references else []:
            before = world.link.carried(UP)
            publish(folder, world.link.port, world.ca_file, bodies)
            told.append((world.link.carried(UP) - before) / readings)
        return told


def bench_bytes(table):
    say("bytes: on the link, of a reading in a day's backlog")
    out = {}
    for choice in CHOICES:
        runs = [in_folder(link_bytes, choice, True) for _ in range(RUNS)]
        out[str(choice)] = [run[0] for run in runs]
        table.add("bytes: %s, of bare Paho with the same messages" % choice, "B", [(r[0], r[2]) for r in runs], 1.1,
                  at_most=True)
        if not choice.gzip:
            table.add("bytes: %s, of mosquitto_pub -l" % choice, "B", [(r[0], r[3]) for r in runs], 1.1, at_most=True)
    table.add("bytes: gzip over TLS, of JSON over TCP", "B", list(zip(out["gzip over TLS"], out["JSON over TCP"])), 0.2,
              at_most=True)
    for (version, ws), samples, one in itertools.product(WAYS, (10, 100, 500), CHOICES):
        if samples == 100 and (version, ws) == WAYS[0]:  # stands above
            continue
        choice = Choice(one.gzip, one.tls, {"max_samples": samples}, version, ws)
        runs = [in_folder(link_bytes, choice) for _ in range(RUNS)]
        table.add("bytes: %s, %d samples a message, of 100 with MQTT 5" % (choice, samples), "B",
                  [(run[0], base) for run, base in zip(runs, out[str(one)])], MOST_BYTES[samples][one.gzip], at_most=True)


# -- how long live readings need


def ages(folder, days, batch, seconds=15):
    """Milliseconds from the simulator's answer to the subscriber, of each answer in that time, of a backlog's drain at
    most."""
    with WireTcp("1-%d" % POLLED_UNITS, POLLED_POINTS) as endpoint, \
            World(folder, days, 10, endpoint=endpoint, batch=batch) as world, \
            Subscriber(world.broker.port, "fieldgate/v1/bench/data/live") as subscriber:
        started_ms = time.time() * 1000
        world.daemon.start()
        subscriber.wait_for(lambda m: m.lane, 20)
        begin_ms, before = time.time() * 1000, time.monotonic()
        end = before + seconds
        while time.monotonic() < end and (not days or world.uplink()[1]["waiting"] > 100):
            time.sleep(0.02)
        assert time.monotonic() - before > LEAST_S, "the backlog was gone too soon to see live readings beside it"
        end_ms = time.time() * 1000
        time.sleep(PROMISED_MS / 1000)  # the newest have come by then, or are lost
        book, found = Book(endpoint), {}
        for message in subscriber.messages():
            for sample in message.json.get("samples", ()):
                if sample["ts"] < started_ms:  # the newest of the backlog
                    continue
                answer = book.find(int(sample["device"][1:]), 0, int(sample["values"]["r0"]), sample["ts"])
                assert answer, "nobody gave this answer: %s" % sample
                found[answer[1][0]] = message.ms - answer[0]
        given = {key[0] for ts, key in book.served if begin_ms <= ts < end_ms}
        assert given <= found.keys(), "%d of %d answers did not arrive" % (len(given - found.keys()), len(given))
        return sorted(found[answer] for answer in given)


def bench_latency(table):
    for (how, batch, targets), (beside, days) in itertools.product(
            (("sent at once", {"max_delay": "0s"}, (0.2, 0.3, 1)), ("every setting at its default", None, (0.4, 0.6, 1))),
            (("idle", 0), ("beside a drain", DRAINED_DAYS))):
        say("latency: %s, %s" % (how, beside))
        runs = [in_folder(ages, days, batch) for _ in range(RUNS)]
        for what, share, target in zip(("p50", "p99", "oldest"), (0.5, 0.99, 1), targets):
            table.add("latency: %s, %s, %s, of the promised 5 s" % (how, beside, what), "ms",
                      [(max(percentile(run, share), 1), PROMISED_MS) for run in runs], target, at_most=True)


GROUPS = [("drain", bench_drain), ("shaped", bench_shaped), ("bytes", bench_bytes), ("latency", bench_latency)]
