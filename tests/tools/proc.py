# SPDX-License-Identifier: Apache-2.0
"""proc - child processes that never outlive the test, free ports, and waiting with a deadline.

Children are started through setpriv(1), so that the kernel kills them when the Python process dies, however
it dies; and in a session of their own, so that Ctrl-C reaches them only through us.
"""

import collections
import os
import random
import signal
import socket
import subprocess
import time


def wait_until(predicate, seconds, what):
    """Polls predicate() until it is true and returns its value; AssertionError after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("%s: not within %.1f s" % (what() if callable(what) else what, seconds))
        time.sleep(0.01)


PORTS_HELD = collections.deque(maxlen=100)


def free_port():
    """A loopback port nobody uses, below the range the kernel hands out for outgoing connections. A name in the kernel
    keeps it from other tests beside this one (tests/unit/broker.h does the same), until a hundred more were taken."""
    for _ in range(200):
        port = random.SystemRandom().randrange(20000, 32000)
        held = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                held.bind("\0fieldgate-test-port-%d" % port)
                probe.bind(("127.0.0.1", port))
            except OSError:
                held.close()
                continue
        PORTS_HELD.append(held)
        return port
    raise RuntimeError("no free port between 20000 and 32000")


def listens(port):
    """Whether somebody takes connections there, on this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


Memory = collections.namedtuple("Memory", "anonymous resident")


def memory_kib(pid):
    """What a process has of memory, in KiB. anonymous: nobody else's, swapped out or not. Exact, unlike what its status
    says, which may be off by some pages a thread."""
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
        sizes = dict(line.split(":", 1) for line in file.read().splitlines()[1:])
    anonymous, swap, resident = (int(sizes[name].split()[0]) for name in ("Anonymous", "Swap", "Rss"))
    return Memory(anonymous + swap, resident)


class Child:
    """One process; its stdout and stderr go to a log file that survives restarts."""

    def __init__(self, argv, log_path):
        self.argv = argv
        self.log_path = log_path
        self._process = None

    def launch(self, env=None):
        assert not self.running, "already running"
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *self.argv],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                             start_new_session=True)

    @property
    def pid(self):
        return self._process.pid

    @property
    def running(self):
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self):
        return self._process.poll()

    def signal(self, number):
        self._process.send_signal(number)

    def freeze(self):
        """Stops it in its tracks: connections stay open, nobody answers."""
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """kill -9; returns when it is gone. Who waits for a disk that hangs cannot be killed."""
        if self._process is not None:
            self._process.kill()
            self.wait(60)

    def wait(self, seconds):
        """The exit code; AssertionError after the deadline."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s did not end within %.1f s" % (self.argv[0], seconds)) from None

    def log(self, start=0):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return ""

    def log_size(self):
        return os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
