# SPDX-License-Identifier: Apache-2.0
"""bus - the lines slaves hang on: a pty pair (RTU), or a TCP port (Modbus TCP, RTU-over-TCP).

Threads: each bus runs one thread that owns all its descriptors; other threads talk to it through
_call(), which runs a function there and waits for its end.
Ownership: close() ends the thread, closes every descriptor and removes the symlink.
"""

import heapq
import itertools
import os
import queue
import selectors
import socket
import termios
import threading
import time
import tty

import wire


class Line:
    """How long a question and its answer take on the wire. This one takes no time at all.

    The place for wire-time emulation: a subclass knows the baud rate, holds the answer back for as
    long as both frames would have needed, and keeps silent when the 3.5 characters before the
    question were not respected.
    """

    def answer_delay(self, request, reply_bytes, now):
        """Seconds from the arrival of the question to the last byte of the answer; None: keep silent."""
        return 0.0


class _Link:
    """One open descriptor that carries frames."""

    def __init__(self, fd, framer, closer):
        self.fd = fd
        self.framer = framer
        self.close = closer


class Bus:
    """A line with its slaves. Subclasses open and close the descriptors."""

    framer = wire.RtuFramer

    def __init__(self, name, ledger, line=None):
        self.name = name
        self.slaves = {}
        self._ledger = ledger
        self._line = line or Line()
        self._selector = selectors.DefaultSelector()
        self._links = []
        self._pending = []  # heap of (due, tie-breaker, link, bytes, answer)
        self._ties = itertools.count()
        self._orders = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._running = True
        self._thread = threading.Thread(target=self._run, name="bus " + name, daemon=True)

    # -- for any thread

    def start(self):
        self._thread.start()
        self.plug()

    def add(self, slave):
        self.slaves[slave.unit] = slave

    def plug(self):
        """Brings the line (back) up, at the same place as before."""
        self._call(self._open)

    def unplug(self):
        """Takes the line away: the master sees a hang-up, and then nothing to open."""
        self._call(self._close_all)

    def sync(self):
        """Returns when everything the thread had begun before the call is done."""
        self._call(lambda: None)

    def close(self):
        if self._thread.is_alive():
            self._call(self._stop)
            self._thread.join()
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)
        self._selector.close()

    def place(self):
        """What a master must open: {"port": path} or {"host": .., "tcp_port": ..}."""
        raise NotImplementedError

    # -- the bus' own thread

    def _open(self):
        raise NotImplementedError

    def _close_all(self):
        for link in list(self._links):
            self._drop(link)

    def _stop(self):
        self._close_all()
        self._running = False

    def _call(self, function):
        if threading.current_thread() is self._thread:
            return function()
        done = queue.SimpleQueue()
        self._orders.put((function, done))
        os.write(self._wake_write, b"x")
        error = done.get(timeout=10)
        if error:
            raise error

    def _run(self):
        while self._running:
            left = self._pending[0][0] - time.monotonic() if self._pending else None
            for key, _ in self._selector.select(None if left is None else max(left, 0)):
                if key.fd == self._wake_read:
                    self._obey()
                elif key.data is None:
                    self._accept()
                else:
                    self._read(key.data)
            self._send_due()

    def _obey(self):
        os.read(self._wake_read, 4096)
        while True:
            try:
                function, done = self._orders.get_nowait()
            except queue.Empty:
                return
            try:
                function()
                done.put(None)
            except Exception as error:  # handed to the caller
                done.put(error)

    def _accept(self):
        """A new connection; only TCP has such."""

    def _adopt(self, fd, closer):
        link = _Link(fd, self.framer(), closer)
        self._links.append(link)
        self._selector.register(fd, selectors.EVENT_READ, link)

    def _drop(self, link):
        if link in self._links:
            self._links.remove(link)
            self._selector.unregister(link.fd)
            link.close()

    def _read(self, link):
        if link not in self._links:
            return  # dropped by an order of the same round
        try:
            data = os.read(link.fd, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(link)
            return
        now = time.monotonic()
        for request in link.framer.feed(data, now):
            self._answer(link, request, now)

    def _answer(self, link, request, now):
        slave = self.slaves.get(request.unit)
        reply = slave.answer(request.pdu) if slave else None
        if reply is None:
            return
        frame = link.framer.reply(request, reply.pdu, reply.garble)
        frame = slave.faults.noise + (request.raw if slave.faults.echo else b"") + frame
        delay = self._line.answer_delay(request, frame, now)
        if reply.lost or delay is None:
            self._ledger.settle(reply.answer, False)
            return
        due = now + delay + reply.delay_ms / 1000
        heapq.heappush(self._pending, (due, next(self._ties), link, frame, reply.answer))

    def _send_due(self):
        while self._pending and self._pending[0][0] <= time.monotonic():
            _, _, link, frame, answer = heapq.heappop(self._pending)
            self._ledger.settle(answer, link in self._links and self._write(link, frame))

    @staticmethod
    def _write(link, frame):
        try:
            return os.write(link.fd, frame) == len(frame)
        except OSError:
            return False


class PtyBus(Bus):
    """RTU on a pseudo-terminal; `link` is a symlink to the end that the master opens."""

    def __init__(self, name, ledger, link, line=None):
        super().__init__(name, ledger, line)
        self.link = link
        self._theirs = None

    def place(self):
        return {"port": self.link}

    def _open(self):
        if self._links:
            return
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)

        def closer():
            os.unlink(self.link)
            os.close(ours)
            os.close(theirs)  # held open until now: a pty without a reader would report a hang-up

        self._theirs = theirs
        temporary = self.link + ".new"
        os.symlink(os.ttyname(theirs), temporary)
        os.replace(temporary, self.link)
        self._adopt(ours, closer)


    def _answer(self, link, request, now):
        slave = self.slaves.get(request.unit)
        if slave and slave.setting and not self._is_set_to(*slave.setting):
            return  # at another speed or parity it hears only noise
        super()._answer(link, request, now)

    def _is_set_to(self, baud, form):
        """Whether the master's end has this speed and format. A pty keeps speed, odd parity and stop bits;
        the kernel takes away the flag for parity itself, so even parity looks like none."""
        _, _, flags, _, _, speed, _ = termios.tcgetattr(self._theirs)
        return (speed == getattr(termios, "B%d" % baud) and bool(flags & termios.PARODD) == (form[1] == "O")
                and bool(flags & termios.CSTOPB) == (form[2] == "2"))


class TcpBus(Bus):
    """Modbus TCP on a loopback port, as many connections as come."""

    framer = wire.MbapFramer

    def __init__(self, name, ledger, port=0, line=None):
        super().__init__(name, ledger, line)
        self.port = port
        self._listener = None

    def place(self):
        return {"host": "127.0.0.1", "tcp_port": self.port}

    def _open(self):
        if self._listener:
            return
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(16)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ, None)

    def _close_all(self):
        if self._listener:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        super()._close_all()

    def _accept(self):
        if not self._listener:
            return
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._adopt(connection.fileno(), connection.close)


class RtuOverTcpBus(TcpBus):
    """RTU frames, CRC and all, inside a TCP connection: a transparent serial server."""

    framer = wire.RtuFramer
