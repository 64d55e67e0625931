# SPDX-License-Identifier: Apache-2.0
"""attempts - counts attempts to connect to a loopback port as they pass by, also those that nobody answers.

Needs the right to see packets (CAP_NET_RAW). Threads: one of its own; close() ends it.
"""

import ctypes
import socket
import struct
import threading
import time

_SO_ATTACH_FILTER = 26
_ETH_P_IP = 0x0800
_PACKET_HOST = 0  # loopback shows everything twice: going out and coming in


def _syn_filter(port):
    """BPF on IPv4: TCP, to this port, SYN and not ACK. (code, jump if true, jump if false, value)"""
    return [(0x30, 0, 0, 9), (0x15, 0, 7, 6),              # protocol is TCP
            (0xB1, 0, 0, 0), (0x48, 0, 0, 2), (0x15, 0, 4, port),  # behind the IP head: destination port
            (0x50, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02),  # flags
            (0x06, 0, 0, 64), (0x06, 0, 0, 0)]


class Attempts:
    """A context manager. times: wall clock, s, of each attempt."""

    def __init__(self, port):
        self.times = []
        program = b"".join(struct.pack("HBBI", *step) for step in _syn_filter(port))
        self._program = ctypes.create_string_buffer(program)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER,
                                struct.pack("HL", len(program) // 8, ctypes.addressof(self._program)))
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ended:
            try:
                _, place = self._socket.recvfrom(64)
            except TimeoutError:
                continue
            if place[2] == _PACKET_HOST:
                self.times.append(time.time())

    def by_second(self, begin):
        """{second since begin: attempts}"""
        counts = {}
        for at in list(self.times):
            if at >= begin:
                counts[int(at - begin)] = counts.get(int(at - begin), 0) + 1
        return counts

    def close(self):
        self._ended = True
        self._thread.join()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
