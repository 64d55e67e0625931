# SPDX-License-Identifier: Apache-2.0
"""proxy - a TCP link that can be made bad: the daemon connects here, we connect to the broker.

What a link is, it is in both ways: "up" (from the daemon) and "down" (to it).

    hold(ways)     bytes stop in the middle and connections stay open, as behind a dead radio; new ones are
                   accepted by the kernel and hear nothing. Nothing is discarded: TCP would not either.
    delay(ms)      every byte comes so much later
    rate(bytes/s)  in each way, over all connections of it
    reset()        every connection ends with RST, now
    half_close(w)  in one way every connection ends with FIN; the other way stays open
    refuse()       every connection ends with RST and no new one is taken, until admit()
    clear()        a good link again; what was held goes on

carried(way) says how many bytes have come out at the other end, arrivals() when somebody came, whether there was anybody
behind it or not.

Threads: one thread runs the link; every method may be called from any other and returns when it is done.
"""

import asyncio
import socket
import struct
import threading
import time

CHUNK = 4096
BUFFER = 32768  # a radio does not hold megabytes on the way
LATE_S = 0.03  # by so much we may be late, on a busy machine, and still make up for it
UP, DOWN = "up", "down"
BOTH = (UP, DOWN)


class _Way:
    """One direction of the link: a gate, a delay and a rate that its connections share."""

    def __init__(self):
        self.open = asyncio.Event()
        self.open.set()
        self.delay_s = 0.0
        self.bytes_per_s = 0
        self.carried = 0
        self._free_at = 0.0

    async def pass_on(self, count):
        """Returns when so many bytes may come out at the other end."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.bytes_per_s:
            now = asyncio.get_running_loop().time()
            self._free_at = max(self._free_at, now - LATE_S) + count / self.bytes_per_s
            await asyncio.sleep(max(0.0, self._free_at - now))
        await self.open.wait()


class _Connection:
    """Two sockets and the two tasks that carry bytes between them."""

    def __init__(self, near):
        self.near = near  # the daemon's side
        self.far = None
        self.tasks = []

    def socket_towards(self, way):
        return self.far if way == UP else self.near

    def end(self):
        """With RST on both sides."""
        for task in self.tasks:
            task.cancel()
        for one in (self.near, self.far):
            if one is not None:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()


class Proxy:
    """A link to 127.0.0.1:target on a port of its own, which it keeps. A context manager."""

    def __init__(self, target):
        self.target = target
        self._arrivals = []
        self._connections = set()
        self._listener = self._take_port(0)
        self._listener.listen()
        self._kept = None  # the port, while it refuses
        self.port = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._ways = None
        self._taker = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._begin)

    @property
    def url(self):
        return "mqtt://127.0.0.1:%d" % self.port

    def carried(self, way):
        return self._call(lambda: self._ways[way].carried)

    def arrivals(self):
        """The wall clock, s, of each connection that was taken."""
        return self._call(lambda: list(self._arrivals))

    @property
    def accepted(self):
        return len(self.arrivals())

    # -- faults

    def hold(self, ways=BOTH):
        self._call(lambda: [self._ways[way].open.clear() for way in ways])

    def delay(self, ms):
        self._set("delay_s", ms / 1000)

    def rate(self, bytes_per_s):
        self._set("bytes_per_s", bytes_per_s)

    def reset(self):
        self._call(self._end_all)

    def half_close(self, way):
        self._call(lambda: [self._finish(c, way) for c in self._connections])

    def refuse(self):
        self._call(self._close_door)

    def admit(self):
        self._call(self._open_door)

    def clear(self):
        self._set("delay_s", 0.0)
        self._set("bytes_per_s", 0)
        self._call(lambda: [way.open.set() for way in self._ways.values()])

    def close(self):
        if self._thread.is_alive():
            self._call(self._close_door)
            self._kept.close()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- in the link's own thread

    def _call(self, function):
        async def run():
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def _set(self, name, value):
        self._call(lambda: [setattr(way, name, value) for way in self._ways.values()])

    @staticmethod
    def _take_port(port):
        """Who connects is refused until it listens; nobody else gets the port meanwhile."""
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        taken.bind(("127.0.0.1", port))
        taken.setblocking(False)
        return taken

    def _begin(self):
        self._ways = {way: _Way() for way in BOTH}
        self._taker = self._loop.create_task(self._take())

    def _open_door(self):
        if self._listener is None:
            self._listener, self._kept = self._kept, None
            self._listener.listen()
            self._taker = self._loop.create_task(self._take())

    def _close_door(self):
        if self._listener is not None:
            self._taker.cancel()
            self._listener.close()
            self._listener, self._kept = None, self._take_port(self.port)
        self._end_all()

    def _end_all(self):
        for connection in list(self._connections):
            self._drop(connection)

    def _drop(self, connection):
        self._connections.discard(connection)
        connection.end()

    @staticmethod
    def _finish(connection, way):
        try:
            if connection.far is not None:
                connection.socket_towards(way).shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has ended by itself

    async def _take(self):
        while True:
            near, _ = await self._loop.sock_accept(self._listener)
            self._arrivals.append(time.time())
            connection = _Connection(near)
            self._connections.add(connection)
            connection.tasks.append(self._loop.create_task(self._connect(connection)))

    async def _connect(self, connection):
        await self._ways[UP].open.wait()  # behind a dead link nobody is there
        far = socket.socket()
        far.setblocking(False)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        connection.far = far
        try:
            await self._loop.sock_connect(far, ("127.0.0.1", self.target))
        except OSError:
            self._drop(connection)
            return
        for one in (connection.near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        connection.tasks += [self._loop.create_task(self._carry(connection, UP)),
                             self._loop.create_task(self._carry(connection, DOWN))]

    async def _carry(self, connection, way):
        source, sink = (connection.near, connection.far)[:: 1 if way == UP else -1]
        try:
            while True:
                data = await self._loop.sock_recv(source, CHUNK)
                await self._ways[way].pass_on(len(data))
                if not data:
                    break
                await self._loop.sock_sendall(sink, data)
                self._ways[way].carried += len(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(connection)
            return
        self._over(connection)

    def _over(self, connection):
        """One way has ended in order; with the other one the connection is over."""
        others = [t for t in connection.tasks if t is not asyncio.current_task() and not t.done()]
        if not others:
            self._connections.discard(connection)
            connection.near.close()
            connection.far.close()
