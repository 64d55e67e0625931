# SPDX-License-Identifier: Apache-2.0
"""A backlog of a day on a link that takes seconds for it: restarts in the middle, and what is said about it.

The day is put into the store by tests/tools/fill_store.c; `make month` has the long way.
"""

import time

import pytest

import settings as config_file
from filled import Filled
from proxy import Proxy
from witness import now_ms

FIRST_TS = 1790000000000
LINK = 40000  # bytes/s: the day takes about ten seconds
IN_FLIGHT = LINK * 1.5 / 80  # records at most: what such a link carries in the time that the pace allows


class Backlog:
    """A farm of three counters with a day behind it that is on its way through a slow link."""

    def __init__(self, stage, **options):
        self.stage, self._taken = stage, 0
        stage.counter_farm(3)
        stage.start_broker()
        stage.subscribe()
        self.link = stage.ends.enter_context(Proxy(stage.broker.port))
        self.link.rate(LINK)
        stage.configure(uplinks=[config_file.uplink(self.link.url, **options)], every="500ms")
        self.day = Filled(stage.config_path, FIRST_TS, 1, 60).fill()
        stage.start_daemon()

    def wait(self, share, seconds=30):
        """Until so much of the day has arrived."""
        end = time.monotonic() + seconds
        while self.day.share < share:
            assert time.monotonic() < end, "only %.0f %% of the day arrived" % (self.day.share * 100)
            seen = len(self.stage.subscriber)
            self.look()
            if self.day.share < share:
                self.stage.subscriber.wait_until(lambda n=seen: len(self.stage.subscriber) > n, 10)

    def look(self):
        for message in self.stage.subscriber.messages(since=self._taken):
            self._taken += 1
            if message.lane:
                self.day.take(message.json)

    def finish(self):
        self.link.clear()
        self.wait(1)
        return self.day.report().check()


def uplink_of(stage):
    return stage.daemon.status()["uplinks"][0]


def test_progress_survives_restarts_in_mid_drain(stage):
    backlog = Backlog(stage)
    backlog.wait(0.4)
    assert stage.daemon.stop()[0] == 0
    backlog.look()
    so_far = backlog.day.share
    stage.start_daemon()
    backlog.wait(0.6)
    assert backlog.day.report().duplicates < IN_FLIGHT, "an orderly end sends only again what was in flight"
    stage.daemon.kill()
    backlog.look()
    again = backlog.day.share - so_far  # progress is written every 10 s, so all of this may come again
    stage.start_daemon()
    report = backlog.finish()
    assert report.duplicates < 2 * IN_FLIGHT + again * report.polls, report


def test_status_tells_when_the_backlog_will_be_gone(stage):
    stage.watch_machine()
    backlog = Backlog(stage)
    backlog.wait(0.3)
    told_s, at = uplink_of(stage)["drain_ms"] / 1000, now_ms()
    text = stage.daemon.command("status", "--runtime-dir", stage.daemon.runtime).stdout
    backlog.wait(1)
    took_s = (now_ms() - at) / 1000
    held_s = stage.witness.held_ms(at, now_ms()) / 1000
    assert "empty in about" in text, text
    assert abs(told_s - took_s) < 0.5 * took_s + 2 + held_s, "told %.1f s, took %.1f s" % (told_s, took_s)
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["drain_ms"] == 0)


@pytest.mark.parametrize("rate", ["8KiB/s", "1MiB/s"])
def test_max_rate_is_only_a_ceiling(stage, rate):
    stage.watch_machine()
    backlog = Backlog(stage, backlog={"max_rate": rate})
    backlog.wait(0.05)
    begin = len(stage.subscriber)
    at = now_ms()
    backlog.wait(0.2 if rate == "8KiB/s" else 0.8)
    sent = sum(len(m.payload) for m in stage.subscriber.messages(since=begin) if m.lane == "backlog")
    took = (now_ms() - at) / 1000
    held = stage.witness.held_ms(at, now_ms()) / 1000
    if rate == "8KiB/s":
        assert sent / took < 8192 * 1.25, (sent, took)
    else:
        assert 0.7 * LINK < sent / (took - held) and sent / took < 1.1 * LINK, (sent, took, held)
    backlog.link.clear()
