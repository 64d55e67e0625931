# SPDX-License-Identifier: Apache-2.0
"""A fleet on one broker that restarts: real gateways with their own waiting times."""

from environment import whole
from fleet import Fleet
from ledger import Ledger
from proc import wait_until

GATEWAYS = whole("FG_GATEWAYS", 300)
# What a restarting broker needs, and where attempts would crowd most if only the first were spread.
AWAY_S = 3
# In a thousand games by these rules (tests/bench/province.py) one second had more than a tenth of the attempts of 50 gateways
# 321 times, of 100 52 times, of 200 6 times, of 300 once.
LEAST = 200


def test_no_second_carries_a_tenth_of_the_attempts_all_recover_and_nothing_is_lost(stage):
    assert GATEWAYS >= LEAST, "GATEWAYS=%d: a tenth of so few is a matter of chance; take %d or more" % (GATEWAYS, LEAST)
    stage.watch_machine()
    stage.start_broker()
    fleet = Fleet(stage, GATEWAYS)
    took = fleet.launch()
    print("%d gateways run after %.0f s, %d KiB resident in all" % (GATEWAYS, took, fleet.kib()))

    loss = fleet.lose_broker(AWAY_S)
    print("back after %.0f s; attempts by second: %s" % (
        loss.back_s, " ".join(str(loss.seconds[s]) for s in range(max(loss.seconds) + 1))))
    most = max(loss.seconds.values())
    print("%d attempts, at most %d in one second: %.1f %%" % (loss.attempts, most, 100 * most / loss.attempts))
    assert loss.attempts >= GATEWAYS
    for second, count in loss.seconds.items():
        # What a machine that stands still holds back comes all at once.
        end_ms = (loss.lost + second + 1) * 1000
        held_s = stage.witness.held_ms(end_ms - 4000, end_ms) / 1000
        assert count * 10 <= loss.attempts * (1 + held_s), (second, count, loss.attempts, held_s)

    stage.farm.mute()
    ledger = Ledger.of_farm(stage.farm)
    wait_until(lambda: ledger.take(fleet.subscriber).report().balanced, 90, lambda: ledger.report().text())
    print(ledger.report().text())
    assert len(ledger.gateways) == GATEWAYS
    fleet.stop()
