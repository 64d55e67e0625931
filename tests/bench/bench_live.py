# SPDX-License-Identifier: Apache-2.0
"""bench_live - bytes and messages of live readings on the link, each way that an uplink can send them.

Six sensors with 40 readings, asked in turn; one daemon with an uplink for each way. bench.py runs it,
docs/BENCHMARKS.md explains every line.
"""

import os
import time
from contextlib import ExitStack

import settings as config_file
from bench_uplink import CHOICES, SOURCES
from broker import Broker
from certs import Authority
from daemon import Daemon
from farm import Farm
from proxy import UP, Proxy
from subscriber import Subscriber
from table import RUNS, in_folder, say, side_by_side

PERIOD_S, CALM_S = 12, 60  # between two polls of a sensor
ROUNDS = 3
CALM = [CHOICES[0], CHOICES[-1]]  # the reference, and what a farm with little data takes


def delays(period_s):
    """The default, and as long as a round takes."""
    return "1s", "%ds" % period_s


class Way:
    """One of the uplinks, and what went by on its link since begin()."""

    def __init__(self, number, choice, delay, broker):
        self.name = "%s, max_delay %s" % (choice, delay)
        self.prefix = "way%d/bench" % number
        self.link = Proxy(broker.port)
        self._choice, self._delay, self._number, self._before = choice, delay, number, 0

    def uplink(self, ca_file):
        url = "%s://127.0.0.1:%d" % ("mqtts" if self._choice.tls else "mqtt", self.link.port)
        more = {"ca_file": ca_file} if self._choice.tls else {}
        return config_file.uplink(url, name="way%d" % self._number, topic=self.prefix, keepalive="120s",
                                  batch={"max_delay": self._delay}, client_id="way%d" % self._number,
                                  compress="gzip" if self._choice.gzip else "none", **more)

    def begin(self):
        self._before = self.link.carried(UP)

    def carried(self):
        return self.link.carried(UP) - self._before


def watch(ways, subscribers, seconds):
    """{way: (bytes of a reading, messages for a poll)} of the next seconds."""
    since = [len(s) for s in subscribers]
    for way in ways:
        way.begin()
    time.sleep(seconds)
    carried = {way: way.carried() for way in ways}
    messages = [m for s, count in zip(subscribers, since) for m in s.messages(kind="data", since=count)]
    told = {}
    for way in ways:
        mine = [m.json for m in messages if m.topic.startswith(way.prefix + "/")]
        samples = [sample for m in mine for sample in m.get("samples", ())]
        told[way.name] = carried[way] / sum(len(s["values"]) for s in samples), len(mine) / len(samples)
    return told


def live(folder, choices, period_s):
    authority = Authority(os.path.join(folder, "ca"))
    with ExitStack() as ends:
        brokers = [ends.enter_context(Broker(os.path.join(folder, "plain"))),
                   ends.enter_context(Broker(os.path.join(folder, "tls"),
                                             tls=(authority.ca_file, *authority.issue("broker"))))]
        subscribers = [ends.enter_context(Subscriber(broker.port, tls=(authority.ca_file,) if i else None))
                       for i, broker in enumerate(brokers)]
        farm = ends.enter_context(Farm())
        farm.add_tcp("line")
        for name, unit, model in SOURCES:
            farm.add_device(name, "line", unit, model)
        farm.start()
        ways = [Way(2 * i + j, choice, delay, brokers[choice.tls])
                for i, choice in enumerate(choices) for j, delay in enumerate(delays(period_s))]
        for way in ways:
            ends.enter_context(way.link)
        path = os.path.join(folder, "fieldgate.yaml")
        state = os.path.join(folder, "state")
        os.makedirs(state)
        one = config_file.settings(farm, os.path.join(state, "buffer.db"), [way.uplink(authority.ca_file) for way in ways],
                                   every="%ds" % period_s)
        one["store"]["commit_every"] = "1s"
        config_file.write(path, one)
        daemon = ends.enter_context(Daemon(folder, path, state_dir=state))
        daemon.start()
        daemon.wait_for_status(lambda s: all(u["connected"] and u["delivered"] > 0 for u in s["uplinks"]), 60 + period_s,
                               "all uplinks send")
        time.sleep(2 * period_s)
        told = watch(ways, subscribers, period_s * ROUNDS)
        retained = {m.topic: len(m.payload) for m in subscribers[0].messages() if m.topic.startswith(ways[0].prefix + "/")
                    and m.kind in ("birth", "state")}
        daemon.stop(10)
        return told, sum(retained.values())


def add_bytes(table, what, runs):
    """Each way against the first of the same runs."""
    first = next(iter(runs[0]))
    for name in runs[0]:
        if name != first:
            table.add("%s: %s, of JSON over TCP at 1s" % (what, name), "B",
                      [(run[name][0], run[first][0]) for run in runs], 1.1, at_most=True)


def bench_live(table):
    say("live: what live readings take on the link, %d s" % (PERIOD_S * ROUNDS))
    runs, retained = zip(*side_by_side([lambda: in_folder(live, CHOICES, PERIOD_S)] * RUNS))
    add_bytes(table, "live", runs)
    for delay in delays(PERIOD_S):
        name = "%s, max_delay %s" % (CHOICES[-1], delay)
        table.add("live: max_delay %s, messages for a poll" % delay, "", [(run[name][1], 1) for run in runs], 1.01,
                  at_most=True)
    table.add("live: bytes of birth and state together, of 16 KiB", "B", [(size, 16384) for size in retained], 1, at_most=True)


def bench_calm(table):
    say("calm: the same with a poll a minute, %d s" % (CALM_S * ROUNDS))
    runs, _ = zip(*side_by_side([lambda: in_folder(live, CALM, CALM_S)] * RUNS))
    add_bytes(table, "calm", runs)


GROUPS = [("live", bench_live), ("calm", bench_calm)]
