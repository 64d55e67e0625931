# SPDX-License-Identifier: Apache-2.0
"""table - figures against references and targets: how every benchmark is judged and shown.

Each figure is a ratio: the median of several runs, with the least and the greatest. Beside the figures there are
curves, which docs/bench/ shows drawn (plots.py).
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time

from environment import whole

RUNS = whole("BENCH_RUNS", 5)
LONG = os.environ.get("BENCH_LONG", "") not in ("", "0")


def say(text):
    print(text, file=sys.stderr, flush=True)


def in_folder(function, *arguments, below=None):
    folder = tempfile.mkdtemp(prefix="fg-bench-", dir=below)
    try:
        return function(folder, *arguments)
    finally:
        shutil.rmtree(folder)


def side_by_side(functions):
    """The results of all, run at once: for what waits most of its time."""
    results, errors = [None] * len(functions), []

    def one(i):
        try:
            results[i] = functions[i]()
        except Exception as error:  # told below
            errors.append(error)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def threads(pid):
    return [int(thread) for thread in os.listdir("/proc/%d/task" % pid)]


def processor_s(pid):
    """Seconds that its threads have run."""
    total = 0
    for thread in threads(pid):
        with open("/proc/%d/task/%d/schedstat" % (pid, thread), encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    return {"processor": model, "cores": os.cpu_count(), "kernel": os.uname().release, "load": os.getloadavg()[0]}


def _wanted(row):
    return "stated" if row["target"] is None else "%s %.3g" % ("<=" if row["at_most"] else ">=", row["target"])


def _kept(path, groups):
    """What an earlier run wrote of other groups: (figures, curves)."""
    try:
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
        return ([row for row in told["figures"] if row["group"] not in groups],
                {name: curve for name, curve in told["curves"].items() if curve["group"] not in groups})
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or of another form
        return [], {}


class Table:
    """Figures with their references and targets, and curves, each of the group that was begun last."""

    def __init__(self):
        self.rows = []
        self.curves = {}
        self._group = None

    def begin(self, group):
        self._group = group

    def add(self, name, unit, pairs, target, at_most=False, note=""):
        """pairs: (figure, reference) of each run; the ratio is what is judged. No target: it is only stated, against
        what others measured elsewhere."""
        ratios = sorted(figure / base for figure, base in pairs)
        middle = statistics.median(ratios)
        reached = target is None or (middle <= target if at_most else middle >= target)
        self.rows.append({
            "group": self._group, "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "each": pairs,
            "name": name, "unit": unit, "figure": statistics.median(f for f, _ in pairs),
            "reference": statistics.median(b for _, b in pairs), "ratio": middle, "least": ratios[0],
            "greatest": ratios[-1], "runs": len(ratios), "target": target, "at_most": at_most, "reached": reached,
            "note": note})
        say("  %-56s ratio %.3f (%s)" % (name, middle, _wanted(self.rows[-1])))

    def curve(self, name, x, values):
        """A point of a curve: the values of all runs at x."""
        curve = self.curves.setdefault(name, {"group": self._group, "points": []})
        curve["points"].append([x, statistics.median(values), min(values), max(values)])

    def reached(self):
        return all(row["reached"] for row in self.rows)

    def print(self):
        head = ("what", "figure", "reference", "ratio", "least-greatest", "runs", "target", "")
        lines = [head] + [(
            r["name"], "%.4g %s" % (r["figure"], r["unit"]), "%.4g" % r["reference"], "%.3f" % r["ratio"],
            "%.3f-%.3f" % (r["least"], r["greatest"]), str(r["runs"]),
            _wanted(r), "" if r["target"] is None else "reached" if r["reached"] else "MISSED")
            for r in self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        for line in lines:
            print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
        for note in dict.fromkeys(r["note"] for r in self.rows if r["note"]):
            print("note: " + note)

    def write(self, path, **about):
        """Figures and curves of groups that were not measured this time stay in the file, with their own `measured`."""
        figures, curves = _kept(path, {row["group"] for row in self.rows})
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), **about, "runs": RUNS, "long": LONG, "figures": figures + self.rows,
                       "curves": {**curves, **self.curves}}, file, indent=2)
            file.write("\n")
