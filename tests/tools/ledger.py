# SPDX-License-Identifier: Apache-2.0
"""ledger - holds what a subscriber received against what the simulator served. No counter of ours has a say.

The rules it checks, per device and per stream:
  * every sample's values are exactly those of one poll's answers, decoded here, and in the order served (but for
    the increments of counters, which the gateway makes);
  * every poll the simulator answered has arrived, unless a loss event names its number;
  * the same (gateway, stream, seq) twice has equal content;
  * within a stream the numbers have no holes from its stream_opened event on, but those that loss events name; a
    stream that was in memory only until its end (durable:false, no disk_recovered) may have some.
"""

import json
from dataclasses import dataclass, field
from typing import Dict, List


@dataclass
class Poll:
    """The answers that belong to one poll of a device, and what must be published for them."""

    answers: list
    values: dict
    whole: bool = False  # every configured point was answered

    @property
    def ts(self):
        return self.answers[-1].ts

    @property
    def certain(self):
        """Whether a healthy master must have got all of it; a poll cut short (or a probe) need not arrive."""
        return self.whole and all(a.good for a in self.answers)

    def covers(self, answer):
        return any(a.table == answer.table and a.address < answer.address + len(answer.words)
                   and answer.address < a.address + len(a.words) for a in self.answers)


@dataclass
class Record:
    """A sample or event as it first arrived."""

    stream: str
    seq: int
    layout: int
    body: dict
    lane: str
    arrived_ms: int
    true_ms: int  # of its time
    is_event: bool


@dataclass
class Stream:
    """The numbers seen of one stream. `first`: of its stream_opened event, None until that has arrived."""

    name: str
    seqs: set = field(default_factory=set)
    lost: list = field(default_factory=list)
    first: int = None
    in_memory: bool = False

    def holes(self):
        """Numbers between the first and the last that neither arrived nor are named as lost."""
        if not self.seqs:
            return []
        named = set()
        for begin, end in self.lost:
            named.update(range(begin, end + 1))
        first = min(self.seqs | named) if self.first is None else self.first
        return [n for n in range(first, max(self.seqs) + 1) if n not in self.seqs and n not in named]


@dataclass
class Account:
    """One device's share of the balance."""

    served: int = 0
    delivered: int = 0
    missing: int = 0
    duplicates: int = 0


@dataclass
class Report:
    """The balance. `missing`: polls that were answered and never arrived nor named as lost (device, Poll)."""

    served: int = 0
    delivered: int = 0
    dropped: int = 0
    duplicates: int = 0
    failed: int = 0
    missing: list = field(default_factory=list)
    errors: List[str] = field(default_factory=list)
    holes: Dict[str, list] = field(default_factory=dict)
    gone_with_memory: Dict[str, list] = field(default_factory=dict)
    accounts: Dict[str, Account] = field(default_factory=dict)

    @property
    def waiting(self):
        """Answered, not yet arrived, not named as lost."""
        return self.served - self.delivered - self.dropped

    @property
    def balanced(self):
        return not self.errors and not self.holes and self.waiting == 0 and self.served > 0

    def text(self):
        lines = ["served %d = delivered %d + waiting %d + dropped %d; duplicates %d; failed polls told %d"
                 % (self.served, self.delivered, self.waiting, self.dropped, self.duplicates, self.failed)]
        lines += self.errors[:20]
        lines += ["stream %s has holes: %s" % (s, h[:20]) for s, h in self.holes.items()]
        lines += ["missing from %s: served %d with %s" % (device, poll.ts, shown(poll.values))
                  for device, poll in self.missing[:20]]
        return "\n".join(lines)


def shown(values):
    return "{" + ", ".join("%s: %s" % item for item in values.items()) + "}"


class Ledger:
    """Feed it with take(); ask report(). `fields`: {device: fields the daemon is configured to read}. Of samples that are
    older than `since_ms` only the numbers count: nobody served them. true_ms(ts, arrived_ms): when it was in truth, where
    the gateway's clock is stepped."""

    def __init__(self, served, fields, uplink="province"):
        self.since_ms = 0
        self.true_ms = lambda ts, arrived_ms: ts
        self._served = served
        self._fields = fields
        self._uplink = uplink
        self._taken = {}
        self.records = {}
        self.streams = {}
        self._told = {}
        self.gateways = set()
        self.duplicates = 0
        self._conflicts = []
        self._device_duplicates = {}
        self._decoded = {}

    @classmethod
    def of_farm(cls, farm, devices=None, uplink="province"):
        """For a configuration made by settings(): every field of every device (or of the named ones)."""
        names = farm.devices if devices is None else devices
        return cls(farm.ledger, {name: farm.devices[name].model.fields for name in names}, uplink)

    # -- what was received

    def take(self, subscriber):
        """Takes in the messages that arrived since the last call. There may be several subscribers."""
        messages = subscriber.messages(since=self._taken.get(subscriber, 0))
        self._taken[subscriber] = self._taken.get(subscriber, 0) + len(messages)
        for message in messages:
            if message.lane:
                self._take_data(message)
        return self

    def _take_data(self, message):
        data = message.json
        self.gateways.add(data["gateway"])
        last = -1
        records = sorted([(r["seq"], False, r) for r in data.get("samples", ())]
                         + [(r["seq"], True, r) for r in data.get("events", ())], key=lambda r: r[0])
        for kind in ("samples", "events"):
            seqs = [r["seq"] for r in data.get(kind, ())]
            if seqs != sorted(set(seqs)):
                self._conflicts.append("%s: seq does not rise in one message: %s" % (message.topic, seqs))
        if data.get("durable") is False:
            stream = self.streams.setdefault(data["stream"], Stream(data["stream"]))
            stream.in_memory = "disk_recovered" not in self._told.get(stream.name, ())
        for seq, is_event, body in records:
            if seq == last:
                self._conflicts.append("seq %d is a sample and an event of one message" % seq)
            last = seq
            true_ms = self.true_ms(body["ts"], message.ms)
            self._take_record(Record(data["stream"], seq, data["layout"], body, message.lane, message.ms, true_ms,
                                     is_event))

    def _take_record(self, record):
        key = (record.stream, record.seq)
        known = self.records.get(key)
        if known is not None:
            self.duplicates += 1
            device = record.body.get("device")
            self._device_duplicates[device] = self._device_duplicates.get(device, 0) + 1
            if (known.body, known.layout, known.is_event) != (record.body, record.layout, record.is_event):
                self._conflicts.append("%s/%d changed: first %s, then %s" % (*key, known.body, record.body))
            return
        stream = self.streams.setdefault(record.stream, Stream(record.stream))
        stream.seqs.add(record.seq)
        if not record.is_event and record.body["ts"] < self.since_ms:
            return
        self.records[key] = record
        if record.is_event:
            self._take_event(stream, record)

    def _take_event(self, stream, record):
        if record.body.get("event") == "stream_opened":
            stream.first = record.seq
        self._told.setdefault(stream.name, set()).add(record.body.get("event"))
        if record.body.get("event") == "disk_recovered":
            stream.in_memory = False
        if self._is_loss(record.body):  # it may speak of an earlier stream
            name = record.body.get("stream", record.stream)
            lost = self.streams.setdefault(name, Stream(name)).lost
            lost.append((int(record.body["from"]), int(record.body["to"])))

    def _is_loss(self, event):
        return "from" in event and "to" in event and event.get("uplink", self._uplink) == self._uplink

    def samples(self, device=None):
        """Samples in the order of their numbers."""
        return [r for r in self._ordered() if not r.is_event and device in (None, r.body["device"])]

    def events(self, name=None):
        return [r.body for r in self._ordered() if r.is_event and name in (None, r.body.get("event"))]

    def _ordered(self):
        """In each stream by seq; streams beside each other by when it was in truth. (A stream in memory may end while
        the one on disk goes on, and a restored database may use a seq again.)"""
        by_seq = sorted(self.records.values(), key=lambda r: (r.stream, r.seq))
        newest, placed = {}, []
        for record in by_seq:
            newest[record.stream] = max(record.true_ms, newest.get(record.stream, record.true_ms))
            placed.append((newest[record.stream], record.stream, record.seq, record))
        return [record for _, _, _, record in sorted(placed, key=lambda place: place[:3])]

    # -- what was served

    def polls(self, device):
        """A device's answers, grouped into polls: a register asked again begins the next one."""
        return self._grouped(device, self._usable(device))

    def _usable(self, device):
        return [a for a in self._served.answers(device)
                if a.written and not a.exception and a.fault != "garbled"]

    def _grouped(self, device, answers):
        polls, at = [], 0
        while at < len(answers):
            polls.append(self._poll_from(device, answers, at))
            at += len(polls[-1].answers)
        return polls

    def _poll_from(self, device, answers, at):
        """The poll that begins with the answer at this place, if one does."""
        poll = Poll([], {})
        for answer in answers[at:]:
            if poll.covers(answer):
                break
            poll.answers.append(answer)
        for answer in poll.answers:
            poll.values.update(self._decode(device, answer))
        poll.whole = len(poll.values) == len(self._fields[device])
        return poll

    def _decode(self, device, answer):
        """The fields that lie in an answer. Remembered: a report is asked for after every message."""
        known = self._decoded.get(answer.number)
        if known is None:
            known = self._decoded[answer.number] = {}
            for one in self._fields[device]:
                start = one.address - answer.address
                if answer.table == one.table and start >= 0 and start + one.width <= len(answer.words):
                    known[one.name] = one.decode(answer.words[start : start + one.width])
        return known

    # -- the balance

    def report(self):
        report = Report(duplicates=self.duplicates, errors=list(self._conflicts))
        for name in sorted({r.body["device"] for r in self.samples()} - set(self._fields)):
            report.errors.append("a device nobody configured: " + name)
        for device in self._fields:
            self._balance_device(device, report)
        report.dropped = self._dropped_samples(report)
        for stream in self.streams.values():
            holes = stream.holes()
            if holes:
                (report.gone_with_memory if stream.in_memory else report.holes)[stream.name] = holes
        return report

    def _balance_device(self, device, report):
        answers = self._usable(device)
        account = report.accounts[device] = Account(duplicates=self._device_duplicates.get(device, 0))
        missing = []
        at = 0
        for record in self.samples(device):
            got = self._measured(record.body)
            if not got:
                report.failed += 1
                continue
            found = self._find(device, answers, at, record.body, got)
            if found is None:
                report.errors.append("%s seq %d: never served, or not at this place: %s"
                                     % (device, record.seq, shown(got)))
                continue
            missing += [poll for poll in self._grouped(device, answers[at:found[0]]) if poll.certain]
            account.delivered += 1
            at = found[1]
        missing += [poll for poll in self._grouped(device, answers[at:]) if poll.certain]
        account.missing = len(missing)
        account.served = account.delivered + account.missing
        report.missing += [(device, poll) for poll in missing]
        report.served += account.served
        report.delivered += account.delivered

    def _find(self, device, answers, at, body, got):
        """Where the answers of a sample begin and end, from `at` on; None when nobody gave them. Any answer may be
        the first of a poll: a daemon that was killed in the middle of one begins the next where it likes."""
        for first in range(at, len(answers)):
            poll = self._poll_from(device, answers, first)
            if not self._same(poll, body, got):
                continue
            used = [i for i, answer in enumerate(poll.answers) if self._decode(device, answer).keys() & got.keys()]
            return first, first + used[-1] + 1
        return None

    @staticmethod
    def _measured(body):
        """The numbers a sample carries, fit for use or doubtful."""
        values = {k: v for k, v in body.get("values", {}).items() if v is not None}
        values.update(body.get("doubtful", {}))
        # What the gateway itself makes of a counter was not served; the counter beside it was.
        return {k: v for k, v in values.items() if k.removesuffix("_increment") == k
                or k.removesuffix("_increment") not in values}

    @staticmethod
    def _same(poll, body, got):
        """Equal in value and in kind (true is not 1); what the poll did not serve must be null, with a reason."""
        if any(name not in poll.values or isinstance(value, bool) != isinstance(poll.values[name], bool)
               or value != poll.values[name] for name, value in got.items()):
            return False
        return all(name in body.get("quality", {}) for name in poll.values if name not in got)

    def _dropped_samples(self, report):
        """How many of the missing polls the loss events account for: by number, or (queue_full) never numbered."""
        named = sum(int(e["count"]) for e in self.events() if self._is_loss(e))
        return min(named + self.never_numbered(), len(report.missing))

    def never_numbered(self):
        """How many samples did not get into the gateway's queue. What is told again names the uplink that missed it."""
        return sum(int(e["count"]) for e in self.events("samples_dropped")
                   if e["reason"] == "queue_full" and e.get("uplink", self._uplink) == self._uplink)


def as_json(value):
    """For messages: Decimals and all."""
    return json.dumps(value, default=str, indent=2)
