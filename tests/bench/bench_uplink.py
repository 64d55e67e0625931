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
from broker import Broker
from certs import Authority
from daemon import Daemon
from farm import Farm
from filled import Filled
from models import MODELS
from proc import wait_until
from proxy import DOWN, UP, Proxy
from subscriber import Subscriber
from table import LONG, RUNS, in_folder, say
from wire_line import program

FIRST_TS = 1790000000000
SOURCES = [("soil-%d" % n, n, "cwt-soil-npk-s") for n in range(1, 5)] + [("air-%d" % n, n, "xy-md02") for n in (5, 6)]
ROUND = sum(len(MODELS[model].fields) for _, _, model in SOURCES)  # readings
TOPIC = "fieldgate/v1/bench/data/backlog"
LINK = 10000000 // 8  # bytes/s


class World:
    """A broker, a filled store and a daemon between them. `farm`: real polls of it beside the backlog, too."""

    def __init__(self, folder, days, period_s, link=False, tls=False, farm=None, every="1h", uplink=None, batch=None):
        self.folder = folder
        authority = Authority(os.path.join(folder, "ca")) if tls else None
        certificate = (authority.ca_file, *authority.issue("broker")) if tls else None
        self.broker = Broker(os.path.join(folder, "broker"), tls=certificate, extra=["sys_interval 1"]).start()
        self.ca_file = authority and authority.ca_file
        self.link = Proxy(self.broker.port) if link else None
        scheme = "mqtts" if tls else "mqtt"
        url = "%s://127.0.0.1:%d" % (scheme, (self.link or self.broker).port)
        options = {**({"ca_file": self.ca_file} if tls else {}), **({"batch": batch} if batch else {}), **(uplink or {})}
        self.path = os.path.join(folder, "fieldgate.yaml")
        bus = {"name": "line", "protocol": "tcp", "host": "127.0.0.1", "tcp_port": 1}
        if farm:
            bus.update(farm.buses["line"].place())
        devices = [{"name": name, "bus": "line", "unit": unit, "every": every,
                    "points": [field.as_point() for field in MODELS[model].fields]} for name, unit, model in SOURCES]
        state = os.path.join(folder, "state")
        os.makedirs(state)
        config_file.write(self.path, {
            "gateway": {"id": "bench"}, "store": {"path": os.path.join(state, "buffer.db"), "max_size": "4GiB"},
            "clock": {"trust": "always"}, "buses": [bus], "devices": devices,
            "uplinks": [config_file.uplink(url, **options)]})
        self.filled = Filled(self.path, FIRST_TS, days, period_s)
        if days:
            self.filled.fill()
        self.daemon = Daemon(folder, self.path, state_dir=state)

    def uplink(self):
        """The daemon's word, and when it wrote it."""
        try:
            at = os.stat(os.path.join(self.daemon.runtime, "status.json")).st_mtime
            status = self.daemon.status()
            return (at, status["uplinks"][0]) if status else (at, None)
        except FileNotFoundError:
            return 0, None

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


# -- how fast


def received(port):
    """Messages that the broker says it was sent, once it says the same twice."""
    def ask():
        argv = ["mosquitto_sub", "-p", str(port), "-t", "$SYS/broker/publish/messages/received", "-C", "1", "-W", "5"]
        return int(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout or 0)

    before = -1
    while True:
        now = ask()
        if now == before:
            return now
        before = now
        time.sleep(1.2)


def drained(folder, days, gzip):
    """Readings a second, between the first and the last second's word in which the backlog was on its way."""
    with World(folder, days, 10, uplink={"compress": "gzip" if gzip else "none"}) as world:
        world.daemon.start()
        told = world.wait_drained()
        count = received(world.broker.port)
        assert count >= told[-1][1]["messages"], "%d of %d messages" % (count, told[-1][1]["messages"])
        per_record = world.filled.readings / world.filled.polls
        going = [(at, u["delivered"]) for at, u in told if u["delivered"] > 0 and u["waiting"] > 0]
        assert len(going) > 1, "too short to be measured: give it more days"
        (begin, first), (end, last) = going[0], going[-1]
        return (last - first) * per_record / (end - begin)


def messages_of(folder, gzip):
    """The messages of one day's backlog as they were published, each behind its length; and how many readings."""
    with World(folder, 1, 10, uplink={"compress": "gzip" if gzip else "none"}) as world:
        with Subscriber(world.broker.port, TOPIC) as subscriber:
            world.daemon.start()
            world.wait_drained()
            bodies = [m.payload for m in subscriber.messages() if m.lane == "backlog"]
        return bodies, world.filled.readings


def bare(folder, bodies, readings, times):
    """Readings a second of bare Paho, and of mosquitto_pub -l where lines are enough."""
    path = os.path.join(folder, "messages")
    with open(path, "wb") as file:
        file.writelines(struct.pack("=I", len(body)) + body for body in bodies)
    with Broker(os.path.join(folder, "bare")) as broker:
        argv = [program("bench", "bare_paho"), str(broker.port), TOPIC, path, str(times)]
        told = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)
        paho = readings * times / told["seconds"]
        if bodies[0][:1] != b"{":
            return paho, None
        with open(path, "wb") as file:
            file.writelines(body + b"\n" for body in bodies)
        begin = time.monotonic()
        with open(path, "rb") as file:
            subprocess.run(["mosquitto_pub", "-p", str(broker.port), "-t", TOPIC, "-q", "1", "-V", "5", "-l"],
                           stdin=file, check=True)
        return paho, readings / (time.monotonic() - begin)


def bench_drain(table):
    for name, gzip, target, days in (("JSON", False, 1000000, 30), ("gzip", True, 300000, 20)):
        say("drain: a backlog of %d days, 40 readings in 10 s, %s, to a local mosquitto" % (days, name))
        bodies, readings = in_folder(messages_of, gzip)
        ours, paho, pub = [], [], []
        for _ in range(RUNS):
            ours.append(in_folder(drained, days, gzip))
            one = in_folder(bare, bodies, readings, 40 if gzip else 10)
            paho.append(one[0])
            pub.append(one[1])
        table.add("drain: %s, readings a second, of %d" % (name, target), "/s", [(o, target) for o in ours], 1)
        table.add("drain: %s, of bare Paho with the same messages" % name, "/s", list(zip(ours, paho)), 0.05)
        if not gzip:
            table.add("drain: %s, of mosquitto_pub -l" % name, "/s", list(zip(ours, pub)), 1)


# -- a shaped link


def shaped(folder, gzip, seconds):
    with World(folder, 10, 10, link=True, uplink={"compress": "gzip" if gzip else "none"}) as world:
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
    say("shaped: a link of 10 Mbit/s")
    runs = [(in_folder(shaped, False, 8), bulk(4)) for _ in range(RUNS)]
    table.add("shaped: bytes a second, of what a bare socket gets", "B/s", runs, 0.9)
    table.add("shaped: bytes a second, of 10 Mbit/s", "B/s", [(ours, LINK) for ours, _ in runs], 0.9)


# -- bytes on the link


def link_bytes(folder, gzip, tls, samples):
    """Bytes that a reading of a day's backlog takes, out and back; without the heads of TCP and IP."""
    with World(folder, 1, 60, link=True, tls=tls, uplink={"compress": "gzip" if gzip else "none"},
               batch={"max_samples": samples}) as world:
        world.daemon.start()
        world.wait_drained()
        return world.link.carried(UP) / world.filled.readings, world.link.carried(DOWN) / world.filled.readings


def bench_bytes(table):
    say("bytes: on the link, of a reading in a day's backlog")
    out = {}
    for samples, gzip, tls in itertools.product((10, 100, 500), (False, True), (False, True)):
        up, down = in_folder(link_bytes, gzip, tls, samples)
        out[samples, gzip, tls] = up
        say("    %s %s %3d samples: %6.2f B out, %5.3f B back"
            % ("gzip" if gzip else "JSON", "TLS" if tls else "TCP", samples, up, down))
    table.add("bytes: gzip over TLS, of JSON over TCP", "B", [(out[100, True, True], out[100, False, False])], 0.2,
              at_most=True)


# -- how long live readings need


def ages(folder, days, seconds):
    """Milliseconds from the last byte of a sensor's answer to the subscriber, of each sample in that time."""
    with Farm() as farm:
        farm.add_tcp("line")
        for name, unit, model in SOURCES:
            farm.add_device(name, "line", unit, model)
        farm.start()
        with World(folder, days, 10, farm=farm, every="200ms", batch={"max_delay": "0s"}) as world:
            with Subscriber(world.broker.port, "fieldgate/v1/bench/data/live") as subscriber:
                world.daemon.start()
                subscriber.wait_for(lambda m: m.lane, 20)
                begin_ms, end = time.time() * 1000, time.monotonic() + seconds
                while time.monotonic() < end and (not days or world.uplink()[1]["waiting"] > 100):
                    time.sleep(0.02)
                return sorted(m.ms - s["ts"] for m in subscriber.messages() for s in m.json.get("samples", ())
                              if s["ts"] >= begin_ms)


def bench_latency(table):
    for name, days in (("idle", 0), ("beside a drain at full speed", 60 if LONG else 30)):
        say("latency: %s" % name)
        p50, p99 = [], []
        for _ in range(RUNS):
            one = in_folder(ages, days, 5)
            p50.append(one[len(one) // 2])
            p99.append(one[len(one) * 99 // 100])
        table.add("latency: %s, p50, of the promised 5 s" % name, "ms", [(max(p, 1), 5000) for p in p50], 0.3, at_most=True)
        table.add("latency: %s, p99, of the promised 5 s" % name, "ms", [(max(p, 1), 5000) for p in p99], 0.6,
                  at_most=True)


GROUPS = [("drain", bench_drain), ("shaped", bench_shaped), ("bytes", bench_bytes), ("latency", bench_latency)]
