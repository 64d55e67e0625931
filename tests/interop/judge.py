# SPDX-License-Identifier: Apache-2.0
"""judge - what independent receivers have together, against what the simulator served."""

from ledger import Ledger
from proc import wait_until


def settle(stage, receivers, seconds=60):
    """Nothing more is served; waits until the receivers together have all of it, once by key, digit by digit. Returns
    the report."""
    stage.farm.mute()
    book = Ledger.of_farm(stage.farm)

    def balanced():
        for one in receivers:
            book.take(one)
        return book.report().balanced

    wait_until(balanced, seconds, lambda: "the receivers' book balances\n%s\n%s" % (
        book.report().text(), stage.daemon.log()[-2000:]))
    return book.report()


def records(receiver):
    """The keys a receiver has seen."""
    return {(m.json["stream"], r["seq"]) for m in receiver.messages()
            for r in m.json.get("samples", []) + m.json.get("events", [])}
