# SPDX-License-Identifier: Apache-2.0
"""world - a farm, a gateway with two uplinks, three brokers behind bad links, and a hand that executes a plan.

The uplink "province" is sent to the site province-a or province-b (its address is edited in mid-outage), "market"
to the site market. Each site has a link (proxy), a mosquitto and a subscriber of its own, which is always there
before its broker can take a message: what is acknowledged while nobody is subscribed is the broker's loss.

The judge is a ledger for each uplink, made of what the sensors served and what the subscribers got.
"""

import collections
import os
import subprocess
import time
from contextlib import suppress

import paho.mqtt.publish as publish

import settings as config_file
from broker import Broker
from fixtures import validate_messages
from ledger import Ledger
from preload import Clock, Resolver
from proc import wait_until
from proxy import BOTH, DOWN, UP, Proxy
from schedule import SITES
from subscriber import Subscriber
from witness import now_ms

LIVE_MS = 5000  # what is promised, however much else is to be sent
COMMIT_MS = 500
# Beside commit_every: one poll in progress, and the flush of a commit on a busy disk.
IN_PROGRESS_MS = 600
# How long after its disk is well again the daemon may take to notice.
DISK_RETRY_MS = 11000
# By how much a record may be off the step of the clock that it was taken at.
STEP_SLACK_MS = 2000
USERS = {"gw": "first-secret", "gw-new": "second-secret", "warehouse": "third-secret"}
DISK_MIB = 24
UPLINKS = {"province": SITES[:2], "market": SITES[2:]}


class Site:
    """A broker, the link to it, and who listens there. tls: None, or (ca_file, cert_file, key_file). resolver: a Resolver
    that knows its name, if it is to be found by one."""

    def __init__(self, stage, name, tls=None, resolver=None):
        self.name = name
        self.host = name + ".example" if resolver else "127.0.0.1"
        self.resolver = resolver
        if resolver:
            resolver.know(self.host)
        self._tls = tls
        self.broker = Broker(stage.path("broker-" + name), users=USERS, tls=tls)
        stage.ends.callback(self.broker.kill)
        self.broker.start()
        self.link = Proxy(self.broker.port)
        stage.ends.callback(self.link.close)
        self.url = "%s://%s:%d" % ("mqtts" if tls else "mqtt", self.host, self.link.port)
        self.subscriber = Subscriber(self.broker.port, user=("warehouse", USERS["warehouse"]),
                                     tls=(tls[0], None, None) if tls else None)
        stage.ends.callback(self.subscriber.stop)
        self.subscriber.start()
        self.broker.save()
        self._refused = False
        self._markers = 0
        self._subscriptions = 0

    def begin_link(self, kind, value):
        self._refused = self._refused or kind == "refuse"
        action = {"refuse": self.link.refuse, "hold": lambda: self.link.hold(BOTH),
                  "hold_up": lambda: self.link.hold((UP,)), "hold_down": lambda: self.link.hold((DOWN,)),
                  "delay": lambda: self.link.delay(value), "rate": lambda: self.link.rate(value),
                  "reset": self.link.reset, "half_close": lambda: self.link.half_close(value)}
        action[kind]()

    def clear_link(self, how="as before"):
        if how == "after reset":
            self.link.reset()
        self.link.clear()
        self._refused = False
        self._admit()

    def hang_resolver(self):
        """Who comes back does not find the way; nobody asks while the present connection stands."""
        self.resolver.hang(self.host)
        self.link.reset()

    def clear_resolver(self):
        if self.resolver:
            self.resolver.answer(self.host)

    def begin_broker(self, kind):
        self._subscriptions = self.subscriber.subscriptions
        if kind == "freeze":
            self.broker.freeze()
        elif kind == "restart":
            self.broker.stop()
        else:
            self._drain()
            self.broker.kill()
            if kind == "forget":
                with suppress(FileNotFoundError):  # killed before it first saved something
                    os.unlink(os.path.join(self.broker.folder, "broker.db"))

    def end_broker(self):
        """Frozen or gone: it works again, and who listens is there before the gateway is."""
        if self.broker.running:
            self.broker.thaw()
            return
        self.broker.start()
        self.subscriber.wait_subscribed(self._subscriptions + 1, 20)
        self._admit()

    def _admit(self):
        if not self._refused and self.broker.running:
            self.link.admit()

    def _drain(self):
        """Nothing more comes in, and what the broker took the subscriber has: now it may lose its memory."""
        self.link.refuse()
        self._markers += 1
        topic = "marker/%d" % self._markers
        publish.single(topic, b"", qos=1, hostname="127.0.0.1", port=self.broker.port,
                       auth={"username": "warehouse", "password": USERS["warehouse"]},
                       tls={"ca_certs": self._tls[0]} if self._tls else None)
        self.subscriber.wait_for(lambda m: m.topic == topic, 20, topic)


class Disk:
    """A small tmpfs for the state folder, which can be filled and found read-only."""

    def __init__(self, folder):
        self._folder = folder
        self._ballast = os.path.join(folder, "ballast")
        self._read_only = False

    def mount(self):
        """An error text, or None."""
        os.makedirs(self._folder, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MIB, "tmpfs", self._folder],
                              capture_output=True, text=True, check=False)
        return None if done.returncode == 0 else "a tmpfs cannot be mounted here: " + done.stderr.strip()

    def unmount(self):
        subprocess.run(["umount", "-l", self._folder], check=True)

    def fill(self, pages_left):
        with open(self._ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError:
                pass
            size = file.seek(0, os.SEEK_END)
            file.truncate(max(0, size - pages_left * 4096))

    def make_read_only(self):
        subprocess.run(["mount", "-o", "remount,ro", self._folder], check=True)
        self._read_only = True

    def heal(self):
        if self._read_only:
            subprocess.run(["mount", "-o", "remount,rw", self._folder], check=True)
            self._read_only = False
        if os.path.exists(self._ballast):
            os.unlink(self._ballast)


class Card:
    """A file system of its own for the state folder, on which every write can be made to wait."""

    def __init__(self, folder, image):
        self._folder = folder
        self._image = image
        self._frozen = False

    def mount(self):
        """An error text, or None."""
        os.makedirs(self._folder, exist_ok=True)
        with open(self._image, "wb") as file:
            file.truncate(DISK_MIB << 20)
        for command in (["mkfs.ext4", "-q", "-F", self._image], ["mount", "-o", "loop", self._image, self._folder]):
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError as missing:
                return str(missing)
            if done.returncode != 0:
                return "an image cannot be mounted here: " + done.stderr.strip()
        return None

    def unmount(self):
        self.thaw()
        subprocess.run(["umount", "-l", self._folder], check=True)

    def break_down(self):
        """An I/O error, as the kernel takes it with errors=remount-ro: read-only from now on, whoever has files open. It
        does not come back before it is mounted anew. An error text, or None."""
        done = subprocess.run(["mount", "-o", "remount,abort", self._folder], capture_output=True, text=True, check=False)
        try:
            with open(os.path.join(self._folder, "probe"), "wb"):
                return "it cannot be made read-only here: " + done.stderr.strip()
        except OSError:
            return None

    def mount_anew(self):
        """What a restart of the box does. Nobody may have a file open."""
        subprocess.run(["umount", self._folder], check=True)
        subprocess.run(["mount", "-o", "loop", self._image, self._folder], check=True)

    def freeze(self):
        subprocess.run(["fsfreeze", "-f", self._folder], check=True)
        self._frozen = True

    def thaw(self):
        if self._frozen:
            subprocess.run(["fsfreeze", "-u", self._folder], check=True)
            self._frozen = False


class TrueTime:
    """Tells from a time that a stepped clock gave when it really was."""

    def __init__(self):
        self._spans = [(0, 0)]  # (from when on, in wall ms; how far it is off)

    def stepped(self, ms):
        self._spans.append((now_ms(), ms))

    def of(self, ts, seen_ms):
        """ts: what it said. seen_ms: when somebody else had it. Where a run is longer than a step there may be several
        answers: the latest."""
        ends = [begin for begin, _ in self._spans[1:]] + [seen_ms]
        fitting = [ts - off for (begin, off), end in zip(self._spans, ends)
                   if begin - STEP_SLACK_MS <= ts - off <= min(end, seen_ms) + STEP_SLACK_MS]
        return max(fitting, default=min(ts, seen_ms))

    def shifted(self, ts, seen_ms):
        return self.of(ts, seen_ms) != ts


class World:
    """On an empty stage. say(text): where the story is told. certificate: of the site "market", which then speaks
    TLS. clock: it can be stepped. resolver: brokers have names, and it can hang. per_minute: readings of the whole farm
    (by default 5 polls a second)."""

    def __init__(self, stage, disk=None, say=print, per_minute=None, certificate=None, clock=False, resolver=False):
        self.stage = stage
        self.say = say
        self.disk = disk
        self.clock = Clock(stage.path("clock")) if clock else None
        self.resolver = Resolver(stage.path("names")) if resolver else None
        if clock:
            stage.ends.callback(self.clock.close)
        self.time = TrueTime()
        self.happened = collections.Counter()  # by target and action
        self._per_minute = per_minute
        self._certificate = certificate
        self.sites = {}
        self.ledgers = {}
        self.kills = 0
        self.applied = 0
        self._lost = []  # spans in which what was served need not have been committed, in wall ms
        self._disk_ill = False
        self._disk_bad_since = self._disk_well_at = 0  # wall ms
        self._should_run = False
        self._province = {"site": "province-a", "topic": "fieldgate/v1/{gateway}", "client_id": "{gateway}-{uplink}",
                          "user": "gw"}
        self._edits = 0

    def begin(self):
        self.make()
        self.start()
        self.wait_sending()

    def make(self):
        """All but the daemon."""
        self.stage.watch_machine()
        make_farm(self.stage)
        for name in SITES:
            self.sites[name] = Site(self.stage, name, self._certificate if name == "market" else None, self.resolver)
        for user in USERS:
            with open(self.stage.path("password-" + user), "w", encoding="utf-8") as file:
                file.write(USERS[user] + "\n")
            os.chmod(file.name, 0o600)
        for uplink in UPLINKS:
            self.ledgers[uplink] = Ledger.of_farm(self.stage.farm, uplink=uplink)
            self.ledgers[uplink].true_ms = self.time.of
        self._configure()

    def start(self):
        self.stage.start_daemon(preload=[part for part in (self.clock, self.resolver) if part])
        self._should_run = True

    def wait_sending(self):
        for name in ("province-a", "market"):
            self.sites[name].subscriber.sample("grid", 20)

    # -- the steps of a plan

    def run(self, plan):
        begin = time.monotonic()
        for step in plan.steps:
            self._supervise()
            time.sleep(max(0.0, begin + step.at - time.monotonic()))
            self.say("%d %s" % (now_ms() % 100000000, step.text()))
            getattr(self, "_" + step.target)(step)
            self.happened[step.target, step.action] += 1

    def _link(self, step):
        site = self.sites[step.site]
        if step.action == "clear":
            site.clear_link(step.value)
        else:
            site.begin_link(step.action, step.value)

    def _broker(self, step):
        site = self.sites[step.site]
        if step.action in ("thaw", "start"):
            site.end_broker()
        else:
            site.begin_broker(step.action)

    def _daemon(self, step):
        if step.action == "start":
            self._start()
            return
        before = now_ms()
        running = self.stage.daemon.running
        if step.action == "kill":
            self.stage.daemon.kill()
            self.kills += running
        else:
            code, _ = self.stage.daemon.stop(15)
            assert code == 0 or not running, "the daemon stopped with %s" % code
        self._should_run = False
        self.stage.farm.sync()
        self._stopped(before, step.action == "kill")

    def _disk(self, step):
        if step.action == "heal":
            self._heal_disk()
            return
        if not self._disk_in_doubt():
            self._disk_bad_since = now_ms()
        self._disk_ill = True
        if step.action == "full":
            self.disk.fill(step.value)
        else:
            self.disk.make_read_only()

    def _heal_disk(self):
        if self._disk_ill:
            self.disk.heal()
            self._disk_ill = False
            self._disk_well_at = now_ms()

    def _config(self, step):
        self._edits += 1
        now = self._province
        if step.action == "address":
            now["site"] = "province-b" if now["site"] == "province-a" else "province-a"
        elif step.action == "topic":
            now["topic"] = "farms/%d/{gateway}" % self._edits
        elif step.action == "client_id":
            # What an old connection still holds must not come after the new one has begun.
            for name in UPLINKS["province"]:
                self.sites[name].link.reset()
            now["client_id"] = "{gateway}-%d" % self._edits
        else:
            now["user"] = "gw-new" if now["user"] == "gw" else "gw"
        self._configure()
        self._apply()

    def _sensor(self, step):
        self.stage.farm.fault(step.site, silent=step.action == "silent")

    def _clock(self, step):
        self._step_clock(step.value)

    def _step_clock(self, ms):
        self.time.stepped(ms)
        self.clock.step(ms)

    def _resolver(self, step):
        site = self.sites[step.site]
        if step.action == "hang":
            site.hang_resolver()
            return
        if not self.hung():  # the first of a plan comes while the daemon runs
            wait_until(self.hung, 20, "a name that is looked up while nobody answers")
        site.clear_resolver()

    # -- parts of steps

    def _configure(self):
        now = self._province
        common = {"keepalive": "5s", "batch": {"max_delay": "200ms"}}
        tls = {"ca_file": self._certificate[0]} if self._certificate else {}
        uplinks = [config_file.uplink(self.sites[now["site"]].url, topic=now["topic"], client_id=now["client_id"],
                                      username=now["user"], password_file=self.stage.path("password-" + now["user"]),
                                      **common),
                   config_file.uplink(self.sites["market"].url, "market", username="gw",
                                      password_file=self.stage.path("password-gw"), **tls, **common)]
        settings = self.stage.settings(every="%dms" % self._every_ms(), uplinks=uplinks)
        settings["store"].update(commit_every="%dms" % COMMIT_MS, max_size="16MiB")
        self.stage.configure(settings)

    def _every_ms(self):
        points = sum(len(slave.model.fields) for slave in self.stage.farm.devices.values())
        return 60000 * points // self._per_minute if self._per_minute else 200

    def _apply(self):
        before = now_ms()
        done = self.stage.daemon.command("apply", "--config", self.stage.config_path,
                                         "--runtime-dir", self.stage.daemon.runtime, seconds=30)
        assert done.returncode == 0, "%s%s%s" % (
            done.stdout, done.stderr, self.stage.daemon.log()[-3000:])
        self._stopped(before)
        self.applied += 1

    def _start(self):
        if not self.stage.daemon.running:
            self.stage.daemon.start()
        self._should_run = True

    def _supervise(self):
        """Nothing is an excuse for ending by itself, not even a disk that refuses everything."""
        assert not self._should_run or self.stage.daemon.running, \
            "the daemon ended by itself:\n" + self.stage.daemon.log()[-3000:]

    def _disk_in_doubt(self):
        """It refuses, or has until so lately that not everything may be committed."""
        return self._disk_ill or now_ms() < self._disk_well_at + DISK_RETRY_MS

    def _stopped(self, begin_ms, at_once=False):
        """What was not committed is gone when it stops at once, or when the disk would not take it. An orderly stop costs
        nothing: a poll in progress gets longer to end than any answer here takes."""
        if self._disk_in_doubt():
            self._lost.append((self._disk_bad_since - COMMIT_MS - IN_PROGRESS_MS, now_ms()))
        elif at_once:
            held_ms = self.stage.witness.held_ms(begin_ms - 5000, begin_ms)
            self._lost.append((begin_ms - COMMIT_MS - IN_PROGRESS_MS - held_ms, now_ms()))

    # -- judging

    def heal(self):
        """Everything is well again."""
        for site in self.sites.values():
            site.clear_resolver()
            site.end_broker()
            site.clear_link()
        for device in self.stage.farm.devices:
            self.stage.farm.fault(device)
        if self.clock:
            self._step_clock(0)
        self._heal_disk()
        self._supervise()

    def settle(self, seconds=120):
        """All is healed and nothing more is served; waits until the books agree. {uplink: Report}"""
        self.heal()
        self._start()
        self.stage.farm.mute()
        deadline = time.monotonic() + seconds
        while not all(self.settled(uplink, report) for uplink, report in self.reports().items()):
            assert time.monotonic() < deadline, self._why()
            time.sleep(0.5)
        self.stage.daemon.wait_for_status(lambda s: all(u["waiting"] == 0 for u in s["uplinks"]), 30, "nothing waits")
        reports = self.reports()
        assert all(self.settled(uplink, report) for uplink, report in reports.items()), self._why()
        return reports

    def reports(self):
        for uplink, names in UPLINKS.items():
            for name in names:
                self.ledgers[uplink].take(self.sites[name].subscriber)
        return {uplink: ledger.report() for uplink, ledger in self.ledgers.items()}

    def settled(self, uplink, report):
        """Nothing is missing but what a kill may cost, and what was counted when the memory was full too."""
        return not report.errors and not report.holes and len(self.inexcusable(report)) <= self.ledgers[uplink].never_numbered()

    def inexcusable(self, report):
        return [(device, poll) for device, poll in report.missing
                if not any(begin <= poll.ts <= end for begin, end in self._lost)]

    def _why(self):
        lines = []
        for uplink, report in self.reports().items():
            lines += ["%s: %s" % (uplink, report.text())]
            for device, poll in self.inexcusable(report)[:20]:
                lines.append("%s: not excused: %s served at %d; about then arrived:" % (uplink, device, poll.ts))
                lines += ["    %d %s" % (r.seq, r.body) for r in self.ledgers[uplink].samples(device)
                          if abs(r.body["ts"] - poll.ts) < 1500]
        return "\n".join(lines + ["excused: %s" % self._lost, self.stage.daemon.log()[-4000:]])

    def not_live_first(self):
        """Returns of a link after which a backlog came although newer readings waited; and how many returns."""
        found, returns = [], 0
        for uplink, names in UPLINKS.items():
            for name in names:
                for message in first_after_return(self.sites[name].subscriber.messages()):
                    returns += 1
                    if message.lane != "live" and self._newer_waited(uplink, message):
                        found.append((name, message.ms, message.payload[:200]))
        return found, returns

    def late_beside_the_backlog(self, seconds=5):
        """All is healed, the farm goes on and what had to wait follows: readings of some seconds that came later than is
        promised; and how many readings there were."""
        self.heal()
        self._start()
        self._wait_for_news()
        begin = now_ms()
        time.sleep(seconds)
        end = now_ms()
        self._wait_for_news()
        self.reports()
        new = [(uplink, r) for uplink, ledger in self.ledgers.items() for r in ledger.samples()
               if begin <= r.body["ts"] <= end]
        return [(uplink, r.arrived_ms - r.body["ts"], r.lane, r.seq) for uplink, r in new if self._age_ms(r) > LIVE_MS], len(new)

    def _wait_for_news(self):
        since = now_ms()
        for name in (self._province["site"], "market"):
            self.sites[name].subscriber.sample("grid", 60, since_ms=since)

    def _age_ms(self, record):
        """Without what this machine itself stood still."""
        ts = int(record.body["ts"])
        return record.arrived_ms - ts - self.stage.witness.held_ms(ts, record.arrived_ms)

    def _newer_waited(self, uplink, message):
        """Whether a reading that was certainly committed and newer than all of the message came after it."""
        data = message.json
        newest = max(r["seq"] for kind in ("samples", "events") for r in data.get(kind, ()))
        committed = self.time.of(data["sent"], message.ms) - COMMIT_MS - IN_PROGRESS_MS
        return any(r.stream == data["stream"] and r.seq > newest and r.arrived_ms > message.ms
                   and r.lane == "live" and self.time.of(r.body["ts"], r.arrived_ms) < committed
                   for r in self.ledgers[uplink].records.values())

    def hung(self):
        """How many questions found a name server that did not answer."""
        return sum(site.resolver.waited(site.host) for site in self.sites.values() if site.resolver)

    def shifted(self):
        """How many samples arrived that were taken under another time."""
        return sum(self.time.shifted(r.body["ts"], r.arrived_ms)
                   for ledger in self.ledgers.values() for r in ledger.samples())

    def check_messages(self):
        for site in self.sites.values():
            validate_messages(site.subscriber.messages())

    def summary(self, reports):
        lines = ["%s: %s; %d numbers; streams: %s" % (
            uplink, report.text().splitlines()[0], len(self.ledgers[uplink].records),
            ", ".join(e["reason"] for e in self.ledgers[uplink].events("stream_opened")))
            for uplink, report in reports.items()]
        lines.append("happened: " + ", ".join("%s %s %d" % (*kind, n) for kind, n in sorted(self.happened.items())))
        return "\n".join(lines + [
            "look-ups that hung %d, samples taken under another time %d" % (self.hung(), self.shifted()),
            "kills %d, configurations applied %d, returns of a link %d, connections taken %d"
            % (self.kills, self.applied, self.not_live_first()[1], sum(s.link.accepted for s in self.sites.values()))])


def judge(world):
    """What must hold when everything is well again; ends the daemon. {uplink: Report}"""
    late, readings = world.late_beside_the_backlog()
    assert readings > 20 and not late, (readings, late)
    reports = world.settle()
    for uplink, report in reports.items():
        assert report.delivered > 100, uplink + ": " + report.text()
    late, returns = world.not_live_first()
    assert not late, late
    assert returns > 3
    assert not world.clock or world.shifted() > 0
    assert not world.resolver or world.hung() > 0
    world.check_messages()
    code, _ = world.stage.daemon.stop()
    assert code == 0
    return reports


def make_farm(stage):
    """All transports, single and several requests a poll."""
    stage.standard_farm()
    stage.farm.add_device("grid", "pumphouse", 2, "eastron-sdm120")
    for unit in (2, 3):
        stage.farm.add_device("field-%d" % unit, "field", unit, "counter")
        stage.farm.add_device("house-%d" % unit, "greenhouse", unit, "counter")


def first_after_return(messages):
    """The first data message after each new connection of the gateway."""
    connection = None
    expected = False
    for message in messages:
        if message.retained:
            continue
        if message.kind == "state" and message.json["online"] and message.json["connection"] != connection:
            connection = message.json["connection"]
            expected = True
        elif message.lane and expected:
            expected = False
            yield message
