# SPDX-License-Identifier: Apache-2.0
"""filled - a store filled by tests/tools/fill_store.c with days nobody had to wait for, and the judge of what arrives.

    days = Filled(stage.config_path, first_ts, days=30, period_s=60, at_risk=2)
    days.fill()
    days.take(message.json)     # of every data message
    days.report().check()
"""

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field

import yaml

from daemon import default_binary

DAY_S = 86400


def value(device, point, n):
    """Tenths: what point number `point` of device number `device` read in poll number n. As in fill_store.c."""
    slow = (n + 97 * point) % 1440
    noise = ((n * 2654435761 + point * 40503 + device * 97) & 0xFFFFFFFF) >> 30
    return 200 + 37 * device + 11 * point + (slow if slow < 720 else 1440 - slow) // 7 + noise


@dataclass
class Report:
    """What became of the polls. `at_risk`: of those that a power cut may have taken, how many came all the same."""

    polls: int = 0
    readings: int = 0
    missing: int = 0
    at_risk: int = 0
    duplicates: int = 0
    streams: int = 0
    errors: list = field(default_factory=list)

    def check(self):
        assert not self.errors, "\n".join(self.errors[:20])
        assert self.missing == 0, "%d of %d polls never arrived" % (self.missing, self.polls)
        return self


class Filled:
    """Expects exactly what fill_store puts in; samples of other times are not its business."""

    def __init__(self, config, first_ts, days, period_s, at_risk=0):
        self._argv = [os.path.join(os.path.dirname(default_binary()), "tools", "fill_store"), config, str(first_ts),
                      str(days), str(period_s), *([str(at_risk)] if at_risk else [])]
        with open(config, encoding="utf-8") as file:
            devices = yaml.safe_load(file)["devices"]
        self.points = [[point["name"] for point in device["points"]] for device in devices]
        self._numbers = {device["name"]: number for number, device in enumerate(devices)}
        self.first_ts, self.days, self._at_risk = first_ts, days, at_risk
        self._period_ms, self._rounds = period_s * 1000, DAY_S // period_s
        self.polls = days * self._rounds * len(devices)
        self.readings = days * self._rounds * sum(len(names) for names in self.points)
        self.end_ts = first_ts + days * DAY_S * 1000
        self._records = {}  # (stream, seq) -> (device, n), or None for an event
        self._seen = set()  # (device, n)
        self._first = {}  # stream -> seq of stream_opened
        self._errors = []
        self._duplicates = 0
        self._certain = 0  # of the polls seen, those that had to come

    @classmethod
    def until_yesterday(cls, config, days, period_s):
        """Days of which the last ended a day ago: nothing of them counts as live, nothing lies in the future."""
        return cls(config, int(time.time() - (days + 1) * DAY_S) * 1000, days, period_s)

    def value_bytes(self):
        """How long the text of a value is, on average over a day: the higher the device's number, the longer."""
        return statistics.fmean(len("%.1f" % (value(device, point, n) / 10)) for device, names in enumerate(self.points)
                                for point in range(len(names)) for n in range(self._rounds))

    def fill(self):
        subprocess.run(self._argv, check=True)
        return self

    def is_mine(self, ts):
        return self.first_ts <= ts < self.end_ts

    def take(self, data):
        stream = data["stream"]
        for body in data.get("events", ()):
            if not self.is_mine(body["ts"]):
                continue
            self._note((stream, body["seq"]), None)
            if body["event"] == "stream_opened":
                self._first[stream] = body["seq"]
        for body in data.get("samples", ()):
            if self.is_mine(body["ts"]):
                self._take_sample(stream, body)

    def _take_sample(self, stream, body):
        device = self._numbers[body["device"]]
        n = (body["ts"] - self.first_ts) // self._period_ms
        wanted = {name: value(device, point, n) for point, name in enumerate(self.points[device])}
        given = {name: number * 10 for name, number in body.get("values", {}).items()}
        ts = self.first_ts + n * self._period_ms + (device * 37 + n * 11) % 1000
        if given != wanted or ts != body["ts"] or set(body) - {"seq", "ts", "device", "values"}:
            self._errors.append("%s/%d is not what was put in: %s" % (stream, body["seq"], body))
        if self._note((stream, body["seq"]), (device, n)):
            if (device, n) in self._seen:
                self._errors.append("poll %d of device %d came under two numbers" % (n, device))
            self._seen.add((device, n))
            self._certain += n % self._rounds < self._rounds - self._at_risk

    def _note(self, key, what):
        """Whether it is new."""
        if key not in self._records:
            self._records[key] = what
            return True
        self._duplicates += 1
        if self._records[key] != what:
            self._errors.append("%s/%d came twice and differed" % key)
        return False

    @property
    def share(self):
        """How much of what must come has come; 1 when all has."""
        return self._certain / (self.days * (self._rounds - self._at_risk) * len(self.points))

    def report(self):
        report = Report(len(self._seen), sum(len(self.points[device]) for device, _ in self._seen),
                        duplicates=self._duplicates, streams=len(self._first), errors=list(self._errors))
        report.missing = self.days * (self._rounds - self._at_risk) * len(self.points) - self._certain
        report.at_risk = len(self._seen) - self._certain
        seqs = {}
        for stream, seq in self._records:
            seqs.setdefault(stream, []).append(seq)
        for stream, own in seqs.items():
            if self._first.get(stream) != min(own) or max(own) - min(own) + 1 != len(own):
                report.errors.append("stream %s: not every number from its opening on" % stream)
        return report
