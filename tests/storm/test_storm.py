# SPDX-License-Identifier: Apache-2.0
"""A fleet on one broker that restarts: real gateways with their own waiting times, counted at a door before the broker.

The door takes each connection, and ends it with RST while there is no broker behind it.
"""

import os
import time
from collections import Counter

import settings as config_file
from daemon import default_binary
from ledger import Ledger
from proc import Child, memory_kib, wait_until
from proxy import Proxy
from subscriber import Subscriber

GATEWAYS = int(os.environ.get("FG_GATEWAYS", "300"))
UNITS = 150  # on one simulated line
# What a restarting broker needs, and where attempts would crowd most if only the first were spread.
AWAY_S = 3


class Fleet:
    """Gateways gw-1, gw-2 ..., each with one device that counts."""

    def __init__(self, stage, url):
        self._stage = stage
        self._url = url
        self._children = {}
        self._env = {k: v for k, v in os.environ.items()
                     if k not in ("JOURNAL_STREAM", "NOTIFY_SOCKET", "STATE_DIRECTORY", "FG_FIRST_RETRY_MAX_MS")}
        for n in range(GATEWAYS):
            line = "line-%d" % (n // UNITS + 1)
            if n % UNITS == 0:
                stage.farm.add_tcp(line)
            stage.farm.add_device("counter-%d" % (n + 1), line, n % UNITS + 1, "counter")
        stage.farm.start()

    def launch(self):
        for n in range(1, GATEWAYS + 1):
            self._children[n] = self._gateway(n)
            self._stage.ends.callback(self._children[n].kill)
            self._children[n].launch(self._env)

    def _gateway(self, n):
        folder = self._stage.path("gw-%d" % n)
        os.makedirs(folder)
        name = "counter-%d" % n
        one = config_file.settings(self._stage.farm, os.path.join(folder, "buffer.db"), every="10s", gateway="gw-%d" % n,
                                   devices=[name],
                                   uplinks=[config_file.uplink(self._url, keepalive="60s")])
        line = self._stage.farm.devices[name].bus
        # A machine that 300 of them crowd is no silent sensor.
        one["buses"] = [config_file.bus(self._stage.farm, line, timeout="30s")]
        one["store"]["commit_every"] = "1s"
        config_file.write(os.path.join(folder, "fieldgate.yaml"), one)
        return Child([default_binary(), "run", "--config", os.path.join(folder, "fieldgate.yaml"), "--runtime-dir", folder,
                      "--state-dir", folder], os.path.join(folder, "log"))

    def kib(self):
        return sum(memory_kib(child.pid).resident for child in self._children.values())

    def stop(self):
        for child in self._children.values():
            child.signal(15)
        codes = [child.wait(60) for child in self._children.values()]
        assert codes == [0] * GATEWAYS, codes


def wait_online(subscriber, since, seconds, what):
    """Each gateway has said that it is online, in a message behind the first `since`."""
    online = set()
    seen = since

    def all_are():
        nonlocal seen
        new = subscriber.messages(since=seen)
        seen += len(new)
        online.update(m.json["gateway"] for m in new if m.kind == "state" and m.json["online"] and not m.retained)
        return len(online) == GATEWAYS

    wait_until(all_are, seconds, lambda: "%s: %d of %d" % (what, len(online), GATEWAYS))


def test_no_second_carries_a_tenth_of_the_attempts_all_recover_and_nothing_is_lost(stage):
    stage.watch_machine()
    stage.start_broker()
    door = stage.ends.enter_context(Proxy(stage.broker.port))
    subscriber = stage.subscriber = Subscriber(stage.broker.port)  # not through the door
    stage.ends.callback(subscriber.stop)
    subscriber.start()
    fleet = Fleet(stage, door.url)
    begin = time.monotonic()
    fleet.launch()
    wait_online(subscriber, 0, 120, "gateways online")
    print("%d gateways run after %.0f s, %d KiB resident in all" % (GATEWAYS, time.monotonic() - begin, fleet.kib()))

    since, lost = len(subscriber), time.time()
    stage.broker.stop()
    time.sleep(AWAY_S)  # the broker's restart takes so long
    stage.broker.start()
    wait_online(subscriber, since, 180, "gateways back")
    seconds = Counter(int(at - lost) for at in door.arrivals() if at >= lost)
    total, most = sum(seconds.values()), max(seconds.values())
    print("back after %.0f s; attempts by second: %s" % (
        time.time() - lost, " ".join(str(seconds[s]) for s in range(max(seconds) + 1))))
    print("%d attempts, at most %d in one second: %.1f %%" % (total, most, 100 * most / total))
    assert total >= GATEWAYS
    for second, count in seconds.items():
        # What a machine that stands still holds back comes all at once.
        end_ms = (lost + second + 1) * 1000
        held_s = stage.witness.held_ms(end_ms - 4000, end_ms) / 1000
        assert count * 10 <= total * (1 + held_s), (second, count, total, held_s)

    stage.farm.mute()
    ledger = Ledger.of_farm(stage.farm)
    wait_until(lambda: ledger.take(subscriber).report().balanced, 90, lambda: ledger.report().text())
    print(ledger.report().text())
    assert len(ledger.gateways) == GATEWAYS
    fleet.stop()
