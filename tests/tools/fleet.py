# SPDX-License-Identifier: Apache-2.0
"""fleet - many real gateways on one broker that restarts, counted at a door before the broker.

    stage.start_broker()
    fleet = Fleet(stage, gateways=300)
    fleet.launch()
    loss = fleet.lose_broker(away_s=3)
    fleet.stop()

The door takes each connection, and ends it with RST while there is no broker behind it.
"""

import os
import time
from collections import Counter
from dataclasses import dataclass

import settings as config_file
from daemon import default_binary
from proc import Child, listens, memory_kib, wait_until
from proxy import Proxy
from subscriber import Subscriber

UNITS = 150  # on one simulated line
PATIENCE_S = 180


@dataclass
class Loss:
    """A broker that was away: when the loss began (wall clock, s), after how many seconds it was there again and all
    gateways were back, and the connection attempts of each second from the loss on."""

    lost: float
    away_s: float
    back_s: float
    seconds: Counter

    @property
    def attempts(self):
        return sum(self.seconds.values())

    @property
    def peak(self):
        """The most in one second from the broker's return on."""
        return max(count for second, count in self.seconds.items() if second >= int(self.away_s))


class Fleet:
    """Gateways gw-1, gw-2 ..., each with one device that counts, and the subscriber that sees them all. ca_file: who
    signed the broker's certificate, for one with TLS; plain_port: its listener for the subscriber, whose library's
    thread may end with an exception when a broker with TLS ends."""

    def __init__(self, stage, gateways, ca_file=None, plain_port=None):
        self.gateways = gateways
        self._stage = stage
        self._door = stage.ends.enter_context(Proxy(stage.broker.port))
        self._uplink = {"ca_file": ca_file} if ca_file else {}
        self._url = self._door.url.replace("mqtt:", "mqtts:") if ca_file else self._door.url
        # Not through the door. A broker opens its listeners one after the other.
        wait_until(lambda: listens(plain_port or stage.broker.port), 5, "the broker's listener")
        self.subscriber = stage.subscriber = Subscriber(plain_port or stage.broker.port)
        stage.ends.callback(self.subscriber.stop)
        self.subscriber.start()
        self._children = {}
        self._env = {k: v for k, v in os.environ.items()
                     if k not in ("JOURNAL_STREAM", "NOTIFY_SOCKET", "STATE_DIRECTORY", "FG_FIRST_RETRY_MAX_MS")}
        for n in range(gateways):
            line = "line-%d" % (n // UNITS + 1)
            if n % UNITS == 0:
                stage.farm.add_tcp(line)
            stage.farm.add_device("counter-%d" % (n + 1), line, n % UNITS + 1, "counter")
        stage.farm.start()

    def launch(self):
        """Returns when all are online; how long it took."""
        begin = time.monotonic()
        for n in range(1, self.gateways + 1):
            self._children[n] = self._gateway(n)
            self._stage.ends.callback(self._children[n].kill)
            self._children[n].launch(self._env)
        self._wait_online(0, "gateways online")
        return time.monotonic() - begin

    def _gateway(self, n):
        folder = self._stage.path("gw-%d" % n)
        os.makedirs(folder)
        name = "counter-%d" % n
        one = config_file.settings(self._stage.farm, os.path.join(folder, "buffer.db"), every="10s", gateway="gw-%d" % n,
                                   devices=[name],
                                   uplinks=[config_file.uplink(self._url, keepalive="60s", **self._uplink)])
        line = self._stage.farm.devices[name].bus
        # A machine that 300 of them crowd is no silent sensor.
        one["buses"] = [config_file.bus(self._stage.farm, line, timeout="30s")]
        one["store"]["commit_every"] = "1s"
        config_file.write(os.path.join(folder, "fieldgate.yaml"), one)
        return Child([default_binary(), "run", "--config", os.path.join(folder, "fieldgate.yaml"), "--runtime-dir", folder,
                      "--state-dir", folder], os.path.join(folder, "log"))

    def _wait_online(self, since, what):
        """Each gateway has said that it is online, in a message behind the first `since`."""
        online = set()
        seen = since

        def all_are():
            nonlocal seen
            new = self.subscriber.messages(since=seen)
            seen += len(new)
            online.update(m.json["gateway"] for m in new if m.kind == "state" and m.json["online"] and not m.retained)
            return len(online) == self.gateways

        wait_until(all_are, PATIENCE_S, lambda: "%s: %d of %d" % (what, len(online), self.gateways))

    def lose_broker(self, away_s):
        """The broker ends, and is started again so much later. Returns the Loss when all gateways are back."""
        since, lost = len(self.subscriber), time.time()
        self._stage.broker.stop()
        time.sleep(away_s)
        self._stage.broker.start()
        away_s = time.time() - lost
        self._wait_online(since, "gateways back")
        return Loss(lost, away_s, time.time() - lost,
                    Counter(int(at - lost) for at in self._door.arrivals() if at >= lost))

    def kib(self):
        """Resident in all."""
        return sum(memory_kib(child.pid).resident for child in self._children.values())

    def stop(self):
        for child in self._children.values():
            child.signal(15)
        codes = [child.wait(60) for child in self._children.values()]
        assert codes == [0] * self.gateways, codes
