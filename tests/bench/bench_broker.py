# SPDX-License-Identifier: Apache-2.0
"""bench_broker - what one mosquitto carries, for the arithmetic of docs/PROVINCE.md: connections, messages, queues.

Many light connections (light_clients.c) instead of gateways; the broker's own processor time and memory are what
counts, so that the clients beside it do not matter. bench.py runs it, docs/BENCHMARKS.md explains every line.
"""

import json
import os
import subprocess

from broker import Broker
from certs import Authority
from proc import memory_kib
from table import RUNS, in_folder, say
from wire_line import program

GATEWAYS = 10000  # of the province that docs/PROVINCE.md works out
SPREAD_S = 30  # in which they come back
BYTES = 500  # of a message: a live one
RATE = 1000  # messages a second, where they are paced


class Node:
    """A broker that is watched. Its memory is saved only at its end."""

    def __init__(self, folder, tls=False, kind=None):
        self.ca_file = None
        certificate = None
        if tls:
            authority = Authority(os.path.join(folder, "ca"))
            self.ca_file, certificate = authority.ca_file, authority.issue("broker", kind=kind)
            certificate = (authority.ca_file, *certificate)
        self._broker = Broker(os.path.join(folder, "broker"), tls=certificate, extra=["autosave_interval 86400"])

    @property
    def port(self):
        return self._broker.port

    def used_s(self):
        """Processor seconds so far; it has one thread."""
        with open("/proc/%d/schedstat" % self._broker.pid, encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9

    def anonymous(self):
        """Bytes."""
        return memory_kib(self._broker.pid).anonymous * 1024

    def __enter__(self):
        self._broker.start()
        return self

    def __exit__(self, *_):
        self._broker.kill()


class Clients:
    """Connected when it is entered."""

    def __init__(self, node, connections, octets=BYTES, messages=0, rate=0, receiver=False, retained=False):
        flags = [*(["-t", node.ca_file] if node.ca_file else []), *(["-s"] if receiver else []),
                 *(["-r"] if retained else [])]
        self._argv = [program("bench", "light_clients"), *flags, *map(str, (node.port, connections, octets, messages, rate))]
        self._child = None

    def publish(self):
        """All messages; seconds until the last was acknowledged and received."""
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return json.loads(self._child.stdout.readline())["seconds"]

    def __enter__(self):
        self._child = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self._child.stdout.readline()
        assert line, "light_clients ended before all were connected"
        return self

    def __exit__(self, *_):
        self._child.stdin.close()
        self._child.stdout.close()
        self._child.wait()


# -- the cases


def connections(folder, tls, kind=None, count=500):
    """Processor seconds and bytes of memory that the broker takes for one."""
    with Node(folder, tls, kind) as node:
        with Clients(node, 20):  # what is only done once
            pass
        used, before = node.used_s(), node.anonymous()
        with Clients(node, count):
            return (node.used_s() - used) / count, (node.anonymous() - before) / count


def messages(folder, tls, count, rate=0):
    """Messages a second from 500 connections to one receiver with a persistent session, and processor seconds each."""
    with Node(folder, tls) as node, Clients(node, 500, messages=count, rate=rate, receiver=True) as clients:
        used = node.used_s()
        took = clients.publish()
        return count / took, (node.used_s() - used) / count


def subscribe_and_leave(node):
    subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(node.port), "-i", "warehouse", "-c", "-q", "1",
                    "-t", "bench/#", "-E"], check=True)


def queued(folder, count=20000):
    """Bytes of memory for a message that waits for an absent receiver."""
    with Node(folder) as node:
        subscribe_and_leave(node)
        with Clients(node, 100, messages=count) as clients:
            before = node.anonymous()
            clients.publish()
            return (node.anonymous() - before) / count


def retained(folder, count=5000):
    """Bytes of memory for a retained message on a topic of its own."""
    with Node(folder) as node, Clients(node, 100, messages=count, retained=True) as clients:
        before = node.anonymous()
        clients.publish()
        return (node.anonymous() - before) / count


# -- the group


def bench_connections(table):
    say("broker: connections to one mosquitto")
    plain, ec, rsa = [], [], []
    for _ in range(RUNS):
        plain.append(in_folder(connections, False))
        ec.append(in_folder(connections, True))
        rsa.append(in_folder(connections, True, "rsa:2048"))
    share = SPREAD_S / GATEWAYS
    name = "broker: processor for a %s connection, of what 10,000 in 30 s leave"
    for what, runs in (("TCP", plain), ("TLS", ec), ("TLS with RSA", rsa)):
        table.add(name % what, "s", [(used, share) for used, _ in runs], 1, at_most=True)
    for what, runs in (("TCP", plain), ("TLS", ec)):
        table.add("broker: memory for a %s connection, of 100 KiB" % what, "B", [(size, 102400) for _, size in runs], 1,
                  at_most=True)


def bench_messages(table):
    say("broker: messages of %d bytes with QoS 1 through one mosquitto to one receiver" % BYTES)
    for what, tls in (("TCP", False), ("TLS", True)):
        full = [in_folder(messages, tls, 40000) for _ in range(RUNS)]
        paced = [in_folder(messages, tls, 5 * RATE, RATE) for _ in range(RUNS)]
        table.add("broker: %s, messages a second, of %d" % (what, RATE), "/s", [(speed, RATE) for speed, _ in full], 1)
        table.add("broker: %s, processor for a message at full speed, of 1 ms" % what, "s",
                  [(used, 1 / RATE) for _, used in full], 1, at_most=True)
        table.add("broker: %s, processor for a message at %d a second, of 1 ms" % (what, RATE), "s",
                  [(used, 1 / RATE) for _, used in paced], 1, at_most=True)


def bench_kept(table):
    say("broker: what it keeps in memory")
    table.add("broker: memory for a message that waits, of its %d bytes" % BYTES, "B",
              [(in_folder(queued), BYTES) for _ in range(RUNS)], 4, at_most=True)
    table.add("broker: memory for a retained message, of its %d bytes" % BYTES, "B",
              [(in_folder(retained), BYTES) for _ in range(RUNS)], 8, at_most=True)


GROUPS = [("connections", bench_connections), ("messages", bench_messages), ("kept", bench_kept)]
