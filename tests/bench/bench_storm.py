# SPDX-License-Identifier: Apache-2.0
"""bench_storm - a fleet of real gateways whose broker restarts, counted on the wire, against the arithmetic of a province.

docs/PROVINCE.md works out 10,000 gateways by playing the rules of the way back; here 300 real ones show whether what it
plays is so. bench.py runs it, docs/BENCHMARKS.md explains every line.
"""

import os
import statistics

from certs import Authority
from fleet import Fleet
from proc import free_port
from province import Backoff
from stage import Stage
from table import RUNS, in_folder, say

GATEWAYS = 300
GAMES = [Backoff(seed) for seed in range(25)]
AWAY_S = 3  # what a restart takes; where attempts would crowd most if only the first were spread


def loss(folder, tls):
    """A fleet of its own each time: whom a broker leaves four times within minutes takes it for a clash of client_ids."""
    with Stage(folder) as stage:
        if tls:
            authority = Authority(os.path.join(folder, "ca"))
            plain_port = free_port()
            stage.start_broker(tls=(authority.ca_file, *authority.issue("broker")),
                               extra=["listener %d 127.0.0.1" % plain_port])
            fleet = Fleet(stage, GATEWAYS, authority.ca_file, plain_port)
        else:
            stage.start_broker()
            fleet = Fleet(stage, GATEWAYS)
        took = fleet.launch()
        kib, told = fleet.kib(), fleet.lose_broker(AWAY_S)
        say("  running after %.0f s, %d KiB resident in all; back after %.1f s: %s" % (
            took, kib, told.back_s, " ".join(str(told.seconds[s]) for s in range(max(told.seconds) + 1))))
        fleet.stop()
        return told


def played(what, away_s):
    """The median of many games: with 300 gateways each has a highest second of its own."""
    return statistics.median(getattr(game, what)(GATEWAYS, away_s) for game in GAMES)


def bench_storm(table):
    for what, tls in (("TCP", False), ("TLS", True)):
        say("storm: %d gateways, %s, whose broker is away for %d s" % (GATEWAYS, what, AWAY_S))
        told = [in_folder(loss, tls) for _ in range(RUNS)]
        name = "storm: %s, " % what
        table.add(name + "connection attempts, of those played", "",
                  [(one.attempts, played("attempts", one.away_s)) for one in told], 1.05, at_most=True)
        table.add(name + "the most in a second after the return, of those played", "/s",
                  [(one.peak, played("peak", one.away_s)) for one in told], 1.25, at_most=True)
        table.add(name + "the most in any second, of a tenth of all", "/s",
                  [(max(one.seconds.values()), one.attempts / 10) for one in told], 1, at_most=True)
        table.add(name + "seconds until all are back, of those played", "s",
                  [(one.back_s, one.away_s + played("back", one.away_s)) for one in told], 1.1, at_most=True)


GROUPS = [("storm", bench_storm)]
