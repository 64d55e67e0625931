# SPDX-License-Identifier: Apache-2.0
"""The ledger under faults: whatever happens to the daemon and to the broker, what was committed arrives.

Every value the sensors gave is known. The broker goes away and comes back, freezes and dies; the daemon is killed
at random moments, with and without a broker, and is stopped and started while the broker is away. At the end an
outside subscriber's book must agree with the sensors': no hole in the numbers, duplicates only with equal
content, and nothing missing but what a kill -9 may cost: what was read within the last commit_every, and the poll
in progress.

About two minutes. The random moments come from FG_SEED (printed; a fresh one when it is not set).
"""

import os
import random
import time

import settings as config_file
from witness import now_ms

COMMIT_MS = 500
# Beside commit_every: one poll in progress, and the flush of a commit on a busy disk.
IN_PROGRESS_MS = 600
KILLS = 10
KEEPALIVE_S = 5


class Trial:
    """The stage, the kills so far, and the steps of the story."""

    def __init__(self, stage, dice):
        self.stage = stage
        stage.watch_machine()
        self.dice = dice
        self.kills = []

    def run(self, seconds):
        """Lets the world run; what is waited for is time itself."""
        time.sleep(seconds)

    def kill_daemon(self):
        before = now_ms()
        self.stage.daemon.kill()
        self.stage.farm.sync()
        self.kills.append((before, now_ms(), self.stage.witness.held_ms(before - 5000, before)))

    def excused(self, poll):
        """Whether a kill may have cost this poll."""
        return any(begin - COMMIT_MS - IN_PROGRESS_MS - held_ms <= poll.ts <= end for begin, end, held_ms in self.kills)

    def settled(self, report):
        return not report.errors and not report.holes and all(self.excused(poll) for _, poll in report.missing)

    def wait_settled(self, seconds):
        self.stage.farm.mute()
        deadline = time.monotonic() + seconds
        while True:
            report = self.stage.report()
            if self.settled(report):
                return report
            assert time.monotonic() < deadline, "%s\nkills: %s\n%s" % (
                "\n".join([report.text()] + ["not excused: %s %s" % (d, p.ts) for d, p in report.missing
                                             if not self.excused(p)][:20]),
                self.kills, self.stage.daemon.log()[-3000:])
            time.sleep(0.25)


def make_farm(stage):
    """All transports, single and several requests a poll."""
    stage.standard_farm()
    stage.farm.add_device("grid", "pumphouse", 2, "eastron-sdm120")
    for unit in (2, 3):
        stage.farm.add_device("field-%d" % unit, "field", unit, "counter")
        stage.farm.add_device("house-%d" % unit, "greenhouse", unit, "counter")


def test_whatever_happens_what_was_committed_arrives(stage):
    seed = int(os.environ.get("FG_SEED") or random.SystemRandom().randrange(1 << 32))
    print("FG_SEED=%d" % seed)
    trial = Trial(stage, random.Random(seed))
    make_farm(stage)
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="200ms", uplinks=[
        config_file.uplink(stage.broker.url, keepalive="%ds" % KEEPALIVE_S, batch={"max_delay": "200ms"})])
    settings["store"]["commit_every"] = "%dms" % COMMIT_MS
    stage.configure(settings)
    stage.start_daemon()
    stage.subscriber.sample("grid", 15)

    broker_goes_and_comes(trial)
    daemon_is_killed_again_and_again(trial)
    broker_freezes_and_dies(trial)
    daemon_stops_cleanly_while_the_broker_is_away(trial)

    report = trial.wait_settled(60)
    status = stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] == 0, 10, "nothing waits")
    assert status["uplinks"][0]["dropped"] == 0
    assert report.dropped == 0 and len(stage.ledger.streams) == 1
    assert 1 <= len(stage.ledger.events("restarted")) <= KILLS
    assert report.delivered > 1000, report.text()
    code, seconds = stage.daemon.stop()
    assert code == 0 and seconds < 5
    print(report.text())


def broker_goes_and_comes(trial):
    trial.run(2)
    trial.stage.broker.stop()
    trial.run(4)
    trial.stage.broker.start()
    trial.stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"], 20, "connected again")


def daemon_is_killed_again_and_again(trial):
    """Ten times, at random moments; for four of them the broker is away."""
    away = set(trial.dice.sample(range(KILLS), 4))
    for number in range(KILLS):
        if number in away:
            trial.stage.broker.stop()
        trial.run(trial.dice.uniform(0.05, 3.0))
        trial.kill_daemon()
        if number in away:
            trial.stage.broker.start()
        trial.stage.start_daemon()
    trial.stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"], 20, "connected after the kills")


def broker_freezes_and_dies(trial):
    """Longer than the keepalive, so that the daemon has to notice by itself; then the broker is killed."""
    trial.run(1)
    mark = trial.stage.daemon.mark()
    trial.stage.broker.freeze()
    trial.stage.daemon.wait_for_log("FG-LINK-DOWN", KEEPALIVE_S * 4 + 35, after=mark)
    trial.run(2)
    trial.stage.broker.kill()
    trial.run(1)
    trial.stage.broker.start()
    trial.stage.daemon.wait_for_log("FG-LINK-UP", 40, after=mark)


def daemon_stops_cleanly_while_the_broker_is_away(trial):
    trial.run(1)
    trial.stage.broker.stop()
    trial.run(2)
    code, seconds = trial.stage.daemon.stop()
    assert code == 0 and seconds < 5
    trial.stage.start_daemon()
    trial.run(2)
    trial.stage.broker.start()
    trial.stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"], 40, "connected after the stop")
    trial.run(2)
