# SPDX-License-Identifier: Apache-2.0
"""daemon - the program under test as a child process, seen from outside: exit code, log, status.json, READY."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import preload as preloads
from proc import Child, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def default_binary():
    """$FIELDGATE, or the release build."""
    return os.environ.get("FIELDGATE") or os.path.join(ROOT, "build", "release", "fieldgate")


class NotifySocket:
    """The service manager's end of sd_notify(): notes when READY=1 came and how often the watchdog was fed, and takes
    whatever else is said."""

    def __init__(self, path):
        self.path = path
        self.ready_at = None
        self.fed = 0
        self._changed = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            data = self._socket.recv(4096)
            if data == b"end":
                return
            self.fed += b"WATCHDOG=1" in data.split(b"\n")
            if b"READY=1" in data.split(b"\n"):
                with self._changed:
                    self.ready_at = time.monotonic()
                    self._changed.notify_all()

    def rearm(self):
        self.ready_at = None

    def wait_ready(self, seconds):
        with self._changed:
            return self._changed.wait_for(lambda: self.ready_at is not None, seconds)

    def close(self):
        if self._thread.is_alive():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as self_pipe:
                self_pipe.sendto(b"end", self.path)
            self._thread.join()
        self._socket.close()
        if os.path.exists(self.path):
            os.unlink(self.path)


class Daemon:
    """`fieldgate run` with a runtime folder of its own. preload: a Clock, a Resolver, for it and for other commands."""

    def __init__(self, folder, config, binary=None, profiles=None, state_dir=None, first_retry_max_ms=200, env=None,
                 preload=(), runtime_dir=None):
        self.binary = binary or default_binary()
        self.config = config
        self.runtime = runtime_dir or os.path.join(folder, "run")
        self.profiles = profiles
        self.state_dir = state_dir
        os.makedirs(self.runtime, exist_ok=True)
        self._env = {k: v for k, v in os.environ.items() if k not in ("JOURNAL_STREAM", "STATE_DIRECTORY", "LANGUAGE")}
        self._notify = NotifySocket(os.path.join(folder, "notify"))
        self._env.update(LC_ALL="C.UTF-8", FIELDGATE_LOCALE_DIR=os.path.join(os.path.dirname(self.binary), "locale"), NOTIFY_SOCKET=self._notify.path,
                         FG_FIRST_RETRY_MAX_MS=str(first_retry_max_ms))
        self._env.update(env or {})
        for part in preload:
            self._env.update(part.env)
        self._program = preloads.program(self.binary, preload)
        self._child = Child([*self._program, "run", "--config", config, "--runtime-dir", self.runtime,
                             *self._options()], os.path.join(folder, "daemon.log"))
        self._started_at = 0.0

    def _options(self):
        options = ["--profiles", self.profiles] if self.profiles else []
        return options + (["--state-dir", self.state_dir] if self.state_dir else [])

    def start(self, wait=True):
        """wait: until it says READY to the service manager; otherwise returns at once."""
        self._notify.rearm()
        self._started_at = time.monotonic()
        self._child.launch(self._env)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=10):
        """Seconds from the start to READY."""
        deadline = time.monotonic() + seconds
        while not self._notify.wait_ready(0.05):
            assert self._child.running, "ended with %s before it was ready:\n%s" % (self._child.exit_code, self.log())
            assert time.monotonic() < deadline, "not ready within %.1f s:\n%s" % (seconds, self.log())
        return self._notify.ready_at - self._started_at

    def stop(self, seconds=5):
        """SIGTERM; returns (exit code, seconds it took); AssertionError when it takes longer than allowed."""
        if not self._child.running:
            return self._child.exit_code, 0.0
        begin = time.monotonic()
        self._child.signal(signal.SIGTERM)
        try:
            code = self._child.wait(seconds)
        except AssertionError as error:
            raise AssertionError("%s\n%s" % (error, self.log()[-3000:])) from None
        return code, time.monotonic() - begin

    def kill(self):
        self._child.kill()

    def freeze(self):
        """SIGSTOP: the box hangs; nothing of it runs."""
        self._child.freeze()

    def thaw(self):
        self._child.thaw()

    @property
    def running(self):
        return self._child.running

    @property
    def pid(self):
        return self._child.pid

    def wait_exit(self, seconds):
        return self._child.wait(seconds)

    # -- what it says

    def log(self, start=0):
        return self._child.log(start)

    def mark(self):
        """A place in the log, for `after`."""
        return self._child.log_size()

    def lines(self, code, after=0):
        """Log lines with this code."""
        pattern = re.compile(r"^(?:<\d>)?%s(?:[ :]|$)" % re.escape(code))
        return [line for line in self.log(after).splitlines() if pattern.match(line)]

    def wait_for_log(self, code, seconds=10, after=0, text=""):
        """The first line with this code (and containing text)."""
        found = wait_until(lambda: [l for l in self.lines(code, after) if text in l], seconds,
                           lambda: "log line %s %s; the log says:\n%s" % (code, text, self.log(after)[-3000:]))
        return found[0]

    def status(self):
        """status.json: the gateway's own word. None while there is none."""
        try:
            with open(os.path.join(self.runtime, "status.json"), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def status_written(self):
        """When status.json was written last; 0: never."""
        try:
            return os.stat(os.path.join(self.runtime, "status.json")).st_mtime
        except FileNotFoundError:
            return 0

    def wait_for_status(self, predicate, seconds=10, what="status"):
        def look():
            status = self.status()
            return status if status and predicate(status) else None

        return wait_until(look, seconds, lambda: "%s; it says %s" % (what, json.dumps(self.status())[:2000]))

    def watchdog_fed(self):
        """How often, over all starts."""
        return self._notify.fed

    def command(self, *argv, seconds=10):
        """Runs another command of the program: command("check") -> CompletedProcess with text output."""
        return subprocess.run([*self._program, *argv], capture_output=True, text=True, timeout=seconds, check=False,
                              env=self._env)

    def ask(self, **request):
        """One request to the running gateway, as its control socket takes them; the answer."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(os.path.join(self.runtime, "control"))
            line.sendall(json.dumps({"id": 1, **request}).encode() + b"\n")
            return json.loads(line.makefile().readline())

    def close(self):
        self.kill()
        self._notify.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
