# SPDX-License-Identifier: Apache-2.0
"""A gateway that was offline for a month, on a link that a modem of the last century would have carried.

FG_DAYS days (default 30) at 40 values a minute are put into a real store by tests/tools/fill_store.c: each day another
process on its own clock, and each ends like a power cut. Then the real daemon drains it with gzip through a link of
50 kbit/s while it polls a farm every five seconds, twelve times what the month was measured with, so that there is
something to be late. The subscriber is the judge. Run with -s, the test prints its figures.
"""

import os
import statistics
import time

import settings as config_file
from filled import Filled
from ledger import Ledger
from proc import wait_until
from proxy import UP, Proxy
from stage import Stage

DAYS = int(os.environ.get("FG_DAYS", "30"))
LINK = 50000 // 8  # bytes/s, counted without the heads of TCP and IP
AT_RISK = 2  # rounds of polls that the store had not confirmed when the power went
FIRST_TS = 1790000000000
LATE_MS = 5000  # the promise


def make_farm(stage):
    """40 values: four soil probes of nine and two air sensors of two."""
    stage.farm.add_tcp("line")
    for unit in range(1, 5):
        stage.farm.add_device("soil-%d" % unit, "line", unit, "cwt-soil-npk-s")
    for unit in range(5, 7):
        stage.farm.add_device("air-%d" % unit, "line", unit, "xy-md02")
    stage.farm.start()


class Fresh:
    """A subscriber of what was measured after the month, for the ledger: the month has another judge."""

    def __init__(self, subscriber, days):
        self._subscriber, self._days = subscriber, days

    def messages(self, since=0):
        return [FreshMessage(m, self._days) for m in self._subscriber.messages(since=since)]


class FreshMessage:
    def __init__(self, message, days):
        self.ms, self.topic, self.lane = message.ms, message.topic, message.lane
        if self.lane:
            self.json = dict(message.json)
            for kind in ("samples", "events"):
                self.json[kind] = [r for r in message.json.get(kind, ()) if not days.is_mine(r["ts"])]


class Drain:
    """Watches the month arrive."""

    def __init__(self, stage, days):
        self.stage, self.days = stage, days
        self.ages = []  # ms, of every reading taken while it went on
        self.estimates = []  # (when, share that had arrived, seconds left by the daemon's own word)
        self.messages = {"live": 0, "backlog": 0}
        self._taken = 0

    def look(self):
        for message in self.stage.subscriber.messages(since=self._taken):
            self._taken += 1
            if not message.lane:
                continue
            self.messages[message.lane] += 1
            self.days.take(message.json)
            self.ages += [message.ms - s["ts"] for s in message.json.get("samples", ())
                          if s["ts"] >= self.connected_ms]
            if message.lane == "backlog":
                vars(message).pop("json")  # a month of them, unpacked, would not fit into memory

    def run(self, seconds):
        self.connected_ms = self.stage.subscriber.wait_for(lambda m: m.lane, 30).ms
        begin = time.monotonic()
        while self.days.share < 1:
            assert time.monotonic() < begin + seconds, "%.1f %% in %d s" % (self.days.share * 100, seconds)
            seen = len(self.stage.subscriber)
            self.stage.subscriber.wait_until(lambda n=seen: len(self.stage.subscriber) > n, 60)
            self.look()
            if self.days.share >= 0.2 * (len(self.estimates) + 1) and len(self.estimates) < 4:
                told_ms = self.stage.daemon.status()["uplinks"][0]["drain_ms"]
                self.estimates.append((time.monotonic(), self.days.share, told_ms / 1000))
        return time.monotonic() - begin


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def print_figures(days, report, drain, seconds, link_bytes):
    print("\n%d days, %d readings in %d polls, a power cut each day (%d streams; %d polls at risk came, %d did not)"
          % (days.days, report.readings, report.polls, report.streams, report.at_risk, days.polls - report.polls))
    print("drained in %.0f s through %d bytes/s: %.1f %% of the link used, %.2f bytes a reading, %.0f readings/s"
          % (seconds, LINK, 100 * link_bytes / seconds / LINK, link_bytes / report.readings,
             report.readings / seconds))
    print("messages: %(backlog)d of backlog, %(live)d live" % drain.messages, end="; ")
    print("duplicates %d" % report.duplicates)
    print("live meanwhile: %d samples, age p50 %d ms, p99 %d ms, the oldest %d ms (promised: %d)"
          % (len(drain.ages), statistics.median(drain.ages), quantile(drain.ages, 0.99), max(drain.ages), LATE_MS))
    for at, share, told in drain.estimates:
        print("at %2.0f %% the daemon expected %.0f s more; it took %.0f s" % (100 * share, told, drain.end - at))


def test_a_month_offline_drains_through_a_slow_link_and_live_is_never_late(folder):
    with Stage(folder) as stage:
        make_farm(stage)
        stage.start_broker()
        stage.subscribe()
        link = stage.ends.enter_context(Proxy(stage.broker.port))
        link.rate(LINK)
        uplink = config_file.uplink(link.url, compress="gzip", keepalive="60s")
        stage.configure(uplinks=[uplink], every="60s")
        days = Filled(stage.config_path, FIRST_TS, DAYS, 60, AT_RISK).fill()
        stage.configure(uplinks=[uplink], every="5s")
        stage.start_daemon()

        drain = Drain(stage, days)
        seconds = drain.run(60 + DAYS * 60)
        drain.end = time.monotonic()
        link_bytes = link.carried(UP)
        stage.farm.mute()
        fresh = Ledger.of_farm(stage.farm)
        wait_until(lambda: fresh.take(Fresh(stage.subscriber, days)).report().balanced, 15,
                   lambda: fresh.report().text())
        drain.look()
        report = days.report().check()
        print_figures(days, report, drain, seconds, link_bytes)

        assert report.streams == DAYS
        assert len(drain.ages) > 10 and max(drain.ages) < LATE_MS
        assert link_bytes / seconds > 0.8 * LINK
        for at, share, told in drain.estimates[1:]:
            left = drain.end - at
            assert abs(told - left) < 0.4 * left + 5, "at %.0f %%: %.0f s, it was %.0f s" % (100 * share, told, left)
        assert stage.daemon.stop()[0] == 0
