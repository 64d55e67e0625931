# SPDX-License-Identifier: Apache-2.0
"""schedule - a random sequence of faults, made before anything runs, so that a seed always gives the same one.

A plan is a list of steps in time. Every fault is a step that begins it and one that ends it; each of the things
that can be at fault (a link, a broker, the daemon, the disk, the configuration, the clock, the name server) has at most
one at a time, but several of them are often at fault together. The kinds are dealt from a shuffled deck: a plan of
WHOLE_S has all of them, a shorter one nearly all.
"""

import heapq
import random
from dataclasses import dataclass, field

SITES = ("province-a", "province-b", "market")
LINK_KINDS = ("refuse", "hold", "hold_up", "hold_down", "delay", "rate", "reset", "half_close")
BROKER_KINDS = ("freeze", "restart", "kill", "forget")
DAEMON_KINDS = ("kill", "kill", "kill", "stop")
DISK_KINDS = ("full", "full", "read_only")
EDITS = ("address", "topic", "client_id", "credentials")
# Each further than a run is long: a time then tells under which of them it was read.
CLOCK_STEPS_MS = (-3600000, -900000, 900000, 3600000)
RESOLVER_HANGS = 2
INSTANT = ("reset", "half_close")
WHOLE_S = 60


@dataclass(order=True)
class Step:
    """What happens when. `at`: seconds from the beginning."""

    at: float
    number: int
    target: str = field(compare=False)  # a site's link or broker, "daemon", "disk", "config", "sensor", "clock", "resolver"
    action: str = field(compare=False)
    site: str = field(compare=False, default="")  # or the sensor
    value: object = field(compare=False, default=None)

    def text(self):
        words = [self.site, self.target, self.action] + ([] if self.value is None else [str(self.value)])
        return "%7.2f s  %s" % (self.at, " ".join(w for w in words if w))


class Plan:
    """steps: in the order of time. longest: of one fault, in seconds. restarts: the daemon is ended and started too.
    sensors: names of those that fall silent. clock: it is stepped, to and fro. resolver: it hangs, for one uplink."""

    def __init__(self, seed, seconds, with_disk, longest=6.0, gap=1.1, restarts=True, sensors=(), clock=False,
                 resolver=False):
        self._dice = random.Random(seed)
        self._with_disk = with_disk
        self._restarts = restarts
        self._sensors = sensors
        self._clock = clock
        self._resolver = resolver
        self._longest = longest
        self._make(seconds, gap)
        while seconds >= WHOLE_S and not set(self._cards()) <= self._played:
            self._make(seconds, gap)
        self.steps = [heapq.heappop(self._heap) for _ in range(len(self._heap))]

    def kinds(self):
        """Target and action of all faults in it, each once."""
        return {(step.target, step.action) for step in self.steps}

    def _make(self, seconds, gap):
        self._busy = {}
        self._heap = []
        self._deck = []
        self._played = set()
        self._site = "province-a"  # where the uplink "province" is sent to
        at = 1.0
        if self._resolver:
            self._play_resolver(at, "hang")
            self._busy["daemon"] = at + 2  # there is somebody to ask it
        while at < seconds:
            self._deal(at)
            at += self._dice.expovariate(1 / gap)

    def _cards(self):
        deck = [("link", kind) for kind in LINK_KINDS] + [("broker", kind) for kind in BROKER_KINDS]
        if self._restarts:
            deck += [("daemon", kind) for kind in DAEMON_KINDS] + [("config", kind) for kind in EDITS]
        if self._with_disk:
            deck += [("disk", kind) for kind in DISK_KINDS if self._restarts or kind != "read_only"]
        deck += [("sensor", name) for name in self._sensors]
        if self._clock:
            deck += [("clock", ms) for ms in CLOCK_STEPS_MS]
        if self._resolver:
            deck += [("resolver", "hang")] * RESOLVER_HANGS
        return deck

    def _new_deck(self):
        deck = self._cards()
        self._dice.shuffle(deck)
        return deck

    def _deal(self, at):
        """The first card of the deck that can be played now."""
        if not self._deck:
            self._deck = self._new_deck()
        for card in self._deck:
            if getattr(self, "_play_" + card[0])(at, card[1]):
                self._deck.remove(card)
                self._played.add(card)
                return
        self._deck += self._new_deck()

    def _add(self, at, target, action, site="", value=None):
        heapq.heappush(self._heap, Step(at, len(self._heap), target, action, site, value))

    def _free(self, target, at):
        return self._busy.get(target, 0) <= at

    def _length(self):
        """Many short ones, some long ones."""
        return self._dice.uniform(0.3, self._longest) * self._dice.choice((0.3, 0.6, 1))

    def _free_site(self, part, at):
        sites = [site for site in SITES if self._free(site + part, at)]
        # The sites in use are where faults matter.
        used = [site for site in sites if site in (self._site, "market")]
        pick = used if used and self._dice.random() < 0.85 else sites
        return self._dice.choice(pick) if pick else None

    def _play_link(self, at, kind):
        site = self._free_site("link", at)
        if site is None:
            return False
        value = None
        if kind == "delay":
            value = self._dice.randint(20, 600)
        elif kind == "rate":
            value = self._dice.choice((1500, 4000, 12000))
        elif kind == "half_close":
            value = self._dice.choice(("up", "down"))
        self._add(at, "link", kind, site, value)
        if kind not in INSTANT:
            end = at + self._length()
            self._busy[site + "link"] = end
            # A link that stood still goes on, or the path is another one now and nobody knows the connection.
            self._add(end, "link", "clear", site, self._dice.choice(("as before", "after reset")))
        return True

    def _play_broker(self, at, kind):
        site = self._free_site("broker", at)
        if site is None:
            return False
        end = at + self._length()
        self._busy[site + "broker"] = end + 0.5
        self._add(at, "broker", kind, site)
        self._add(end, "broker", "thaw" if kind == "freeze" else "start", site)
        return True

    def _play_daemon(self, at, kind):
        if not self._free("daemon", at):
            return False
        end = at + self._dice.choice((0.05, 0.05, self._dice.uniform(0.05, 2)))
        self._busy["daemon"] = end + 0.05
        self._add(at, "daemon", kind)
        self._add(end, "daemon", "start")
        return True

    def _play_disk(self, at, kind):
        if not self._free("disk", at) or (kind == "read_only" and not self._free("daemon", at)):
            return False
        end = at + self._length()
        self._busy["disk"] = end + 1
        if kind == "read_only":  # the kernel refuses it while a file is open for writing: found so at the start
            self._add(at, "daemon", self._dice.choice(("kill", "stop")))
            self._add(at + 0.05, "disk", kind)
            self._add(at + 0.1, "daemon", "start")
            self._busy["daemon"] = at + 0.5
        else:
            self._add(at, "disk", kind, value=self._dice.choice((0, 1, 5, 30)))  # pages left
        self._add(end, "disk", "heal")
        return True

    def _play_sensor(self, at, name):
        if not self._free(name, at):
            return False
        end = self._busy[name] = at + self._length()
        self._add(at, "sensor", "silent", name)
        self._add(end, "sensor", "heal", name)
        return True

    def _play_clock(self, at, by_ms):
        """For so long that a daemon which is down at first reads something meanwhile."""
        if not self._free("clock", at):
            return False
        end = at + 3 + self._length()
        self._busy["clock"] = end + 0.5
        self._add(at, "clock", "step", value=by_ms)
        self._add(end, "clock", "step back", value=0)
        return True

    def _play_resolver(self, at, kind):
        """It is asked when a connection is made: the present one ends."""
        sites = [site for site in (self._site, "market") if self._free(site + "resolver", at)]
        if not sites:
            return False
        site = self._dice.choice(sites)
        end = at + 2 + self._length()
        self._busy[site + "resolver"] = end + 0.5
        self._add(at, "resolver", kind, site)
        self._add(end, "resolver", "answer", site)
        return True

    def _play_config(self, at, edit):
        """In mid-outage; where there is none, one begins."""
        if not self._free("daemon", at):
            return False
        if self._free(self._site + "link", at) and self._free(self._site + "broker", at):
            self._play_outage(at)
            at += 0.2
        if edit == "address":
            self._site = "province-b" if self._site == "province-a" else "province-a"
        self._add(at, "config", edit)
        self._busy["daemon"] = at + 0.5
        return True

    def _play_outage(self, at):
        end = at + 0.5 + self._length()
        self._busy[self._site + "link"] = end
        self._add(at, "link", self._dice.choice(("refuse", "hold", "hold_down")), self._site)
        self._add(end, "link", "clear", self._site, "after reset")
