# SPDX-License-Identifier: Apache-2.0
"""wire - Modbus framing from the slave's side: CRC, RTU frames, MBAP frames.

Written from the two specifications, with no Modbus library, so that it can disagree with the
one the daemon uses: "MODBUS over Serial Line V1.02" (2.5.1 RTU framing, 6.2.2 CRC) and
"MODBUS Messaging on TCP/IP Implementation Guide V1.0b" (3.1.3 MBAP header).
"""

import struct
from dataclasses import dataclass

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3

# A request is taken as torn when nothing follows its first bytes for this long.
STALE_SECONDS = 0.1


def crc16(data):
    """The Modbus CRC: polynomial 0xA001 reflected, start 0xFFFF; sent low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def with_crc(body):
    return body + struct.pack("<H", crc16(body))


@dataclass(frozen=True)
class Request:
    """One question from a master. `transaction` is 0 on RTU frames; `raw` is what came over the wire."""

    unit: int
    pdu: bytes
    transaction: int
    raw: bytes


class RtuFramer:
    """RTU frames, on a serial line or inside a TCP connection."""

    def __init__(self):
        self._buffer = b""
        self._last = 0.0

    def feed(self, data, now):
        """Takes bytes that arrived at `now` (seconds, monotonic); returns the complete requests in them."""
        if self._buffer and now - self._last > STALE_SECONDS:
            self._buffer = b""
        self._buffer += data
        self._last = now
        requests = []
        while len(self._buffer) >= 4:
            length = self._length()
            if length is None:
                break
            frame = self._buffer[:length]
            if crc16(frame[:-2]) == struct.unpack("<H", frame[-2:])[0]:
                requests.append(Request(frame[0], frame[1:-2], 0, frame))
                self._buffer = self._buffer[length:]
            else:
                self._buffer = self._buffer[1:]  # look for a frame that starts later
        return requests

    def _length(self):
        """How long the request at the start of the buffer is; None while that cannot be known or is not here."""
        function = self._buffer[1]
        if function in (15, 16):
            if len(self._buffer) < 7:
                return None
            length = 9 + self._buffer[6]
        else:
            length = 8  # reads and single writes; an unknown function is answered as if it had this length
        return length if len(self._buffer) >= length else None

    @staticmethod
    def reply(request, pdu, garble=False):
        frame = with_crc(bytes([request.unit]) + pdu)
        return frame[:-1] + bytes([frame[-1] ^ 0x55]) if garble else frame


class MbapFramer:
    """Modbus TCP: a 7-byte header with transaction and length, no CRC."""

    def __init__(self):
        self._buffer = b""

    def feed(self, data, now):
        self._buffer += data
        requests = []
        while len(self._buffer) >= 8:
            transaction, protocol, length = struct.unpack(">HHH", self._buffer[:6])
            if protocol != 0 or not 2 <= length <= 254:
                self._buffer = b""  # not Modbus; a real slave would hang up
                break
            if len(self._buffer) < 6 + length:
                break
            raw, self._buffer = self._buffer[: 6 + length], self._buffer[6 + length :]
            requests.append(Request(raw[6], raw[7:], transaction, raw))
        return requests

    @staticmethod
    def reply(request, pdu, garble=False):
        """There is no CRC to break on TCP: a garbled answer carries a foreign transaction number."""
        transaction = request.transaction ^ 0x5555 if garble else request.transaction
        return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, request.unit) + pdu


def exception_pdu(function, code):
    return bytes([function | 0x80, code])


def words_pdu(function, words):
    return struct.pack(">BB%dH" % len(words), function, 2 * len(words), *words)


def bits_pdu(function, bits):
    packed = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        packed[i // 8] |= bool(bit) << (i % 8)
    return bytes([function, len(packed)]) + bytes(packed)
