# SPDX-License-Identifier: Apache-2.0
"""wire_line - the simulators in C (wire_line.c, wire_tcp.c) as child processes that take orders.

    with WireLine(folder, baud=9600, units="1-10", registers=20) as line:
        line.order("dead 3")
        line.stats()["answered"]

They book every answer they give; answers() gives that book in the form the ledger understands, with the unit's
number as device ("u3"), so that Ledger(line, fields) judges what was published.
"""

import json
import os
import subprocess
import threading

from daemon import default_binary
from served import Answer


def program(folder, name):
    """A program built beside the daemon under test: sim/wire_line, bench/perfect_master."""
    path = os.path.join(os.path.dirname(os.path.abspath(default_binary())), folder, name)
    assert os.access(path, os.X_OK), "%s: not built; run `make sims`" % path
    return path


class _Simulator:
    """One child. Threads: any may give orders; they are answered one after the other."""

    def __init__(self, argv):
        self._lock = threading.Lock()
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *argv], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, bufsize=1, start_new_session=True)
        first = self._process.stdout.readline()
        assert first, "%s ended at once" % argv[0]
        self.place = json.loads(first)

    @property
    def pid(self):
        return self._process.pid

    def order(self, *words):
        """Gives an order and returns the answer; AssertionError when it was not understood."""
        with self._lock:
            self._process.stdin.write(" ".join(str(w) for w in words) + "\n")
            answer = self._process.stdout.readline().strip()
        assert answer and answer != "unknown order", (words, answer)
        return answer

    def stats(self):
        """Counts since the start or the last reset()."""
        return json.loads(self.order("stats"))

    def reset(self):
        self.order("reset")

    def answered(self, *units):
        """Answers given by these units (default: all) since the last reset."""
        all_units = self.stats()["units"]
        return sum(all_units[str(u)]["answered"] for u in (units or all_units))

    def times(self):
        """What was sent whole since the last reset, in order: (unit, function, address, count, microseconds)."""
        return [tuple(entry) for entry in json.loads(self.order("times"))]

    def answers(self, device=None):
        """The book, in the order in which the answers were sent."""
        return [Answer(bus="line", device="u%d" % e["unit"], written=e["fault"] not in ("dropped", "collided"),
                       **{**e, "exception": e["exception"] or None})
                for e in json.loads(self.order("book")) if device in (None, "u%d" % e["unit"])]

    def close(self):
        if self._process.poll() is None:
            self._process.stdin.close()  # the end of its orders is the order to end
            self._process.wait(5)
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class WireLine(_Simulator):
    """A serial line in real time. `port` is what the master opens. WIRE_TRACE=FILE: every frame, with its time."""

    def __init__(self, folder, baud=9600, line_format="8N1", units="1-10", registers=20, name="ttyLINE"):
        self.port = os.path.join(folder, name)
        self.baud = baud
        self.format = line_format
        trace = ["--trace", os.environ["WIRE_TRACE"]] if "WIRE_TRACE" in os.environ else []
        super().__init__([program("sim", "wire_line"), "--link", self.port, "--baud", str(baud), "--format",
                          line_format, "--units", units, "--registers", str(registers), *trace])

    def bus(self, name="line", **more):
        """The bus as the daemon's configuration wants it."""
        return {"name": name, "protocol": "rtu", "port": self.port, "baud": self.baud, "format": self.format, **more}


class WireTcp(_Simulator):
    """A Modbus TCP endpoint with many units."""

    def __init__(self, units="1-50", registers=20):
        super().__init__([program("sim", "wire_tcp"), "--units", units, "--registers", str(registers)])
        self.port = self.place["tcp_port"]

    def bus(self, name="line", **more):
        return {"name": name, "protocol": "tcp", "host": "127.0.0.1", "tcp_port": self.port, **more}
