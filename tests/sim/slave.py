# SPDX-License-Identifier: Apache-2.0
"""slave - one simulated unit: a model, a place in its sequence, and the faults switched on.

Threads: answer() is called by the bus' thread only; `faults` may be replaced from any thread (it is an
immutable record, so a switch takes effect between two answers, never within one).
"""

from dataclasses import dataclass
from typing import Optional

import wire
from models import TABLES

_MAX_BITS = 2000


@dataclass(frozen=True)
class Faults:
    """What goes wrong. Counts: 0 never, 1 every answer, n every n-th."""

    silent: bool = False
    late_ms: int = 0  # every answer comes this much later
    garble_every: int = 0  # wrong CRC (on TCP: a foreign transaction number)
    drop_every: int = 0  # the answer is lost on the line
    exception: int = 0  # answered with this code instead of data
    echo: bool = False  # the adapter sends our own question back first
    noise: bytes = b""  # sent in front of every answer


@dataclass(frozen=True)
class Reply:
    """What to put on the wire for one request; `answer` is its entry in the ledger."""

    pdu: bytes
    answer: object
    delay_ms: int = 0
    garble: bool = False
    lost: bool = False


class Slave:
    """Answers reads of all four tables from its model's sequence; refuses everything else."""

    def __init__(self, name, bus, unit, model, ledger, setting=None):
        """setting: (baud, format), where the slave answers only at its own; None: at any."""
        self.setting = setting
        self.name = name
        self.bus = bus
        self.unit = unit
        self.model = model
        self.faults = Faults()
        self._ledger = ledger
        self._served = 0
        self._fields = {}
        for one in model.fields:
            for i in range(one.width):
                self._fields[(one.table, one.address + i)] = (one, i)

    def answer(self, pdu) -> Optional[Reply]:
        """None: the unit keeps silent."""
        faults = self.faults
        function = pdu[0]
        self._ledger.note_request(self.name, function)
        if faults.silent:
            return None
        table, address, count, code = self._parse(pdu)
        words = []
        if not code:
            words = self._read(table, address, count)
            code = 0 if words is not None else wire.ILLEGAL_ADDRESS
        code = faults.exception or code
        n = self._served + 1
        fault = self._fault(faults, n)
        entry = self._ledger.admit(bus=self.bus, device=self.name, unit=self.unit, table=table, address=address,
                                   words=[] if code else words, exception=code or None, fault=fault)
        if entry is None:
            return None
        self._served = n
        return Reply(self._pdu(function, code, words), entry, delay_ms=faults.late_ms, garble=fault == "garbled",
                     lost=fault == "dropped")

    @staticmethod
    def _fault(faults, n):
        if faults.drop_every and n % faults.drop_every == 0:
            return "dropped"
        if faults.garble_every and n % faults.garble_every == 0:
            return "garbled"
        if faults.late_ms:
            return "late"
        return "noise" if faults.echo or faults.noise else None

    def _parse(self, pdu):
        """(table, address, count, exception code)"""
        table = TABLES.get(pdu[0])
        if table is None:
            return "none", 0, 0, wire.ILLEGAL_FUNCTION
        if len(pdu) != 5:
            return table, 0, 0, wire.ILLEGAL_VALUE
        address, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        most = _MAX_BITS if pdu[0] in (wire.READ_COILS, wire.READ_DISCRETE) else self.model.max_registers
        if not 1 <= count <= most or address + count > 65536:
            return table, address, count, wire.ILLEGAL_VALUE
        return table, address, count, 0

    def _read(self, table, address, count):
        """The words at this point of the sequence; None when one of them does not exist."""
        words = []
        for place in range(address, address + count):
            found = self._fields.get((table, place))
            if found:
                one, i = found
                words.append(one.words(self._served)[i])
            elif self.model.holes_readable:
                words.append(0)
            else:
                return None
        return words

    @staticmethod
    def _pdu(function, code, words):
        if code:
            return wire.exception_pdu(function, code)
        if function in (wire.READ_COILS, wire.READ_DISCRETE):
            return wire.bits_pdu(function, words)
        return wire.words_pdu(function, words)
