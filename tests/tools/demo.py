#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""demo - fieldgate in about a minute: a farm, an outage, and accounts kept by outsiders.

Exit 0 only when everything the sensors said has arrived. Leaves nothing behind: every child is ended and the
temporary folder removed, also on Ctrl-C and on failure.
"""

import os
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for _folder in ("sim", "tools"):
    sys.path.insert(0, os.path.join(_TESTS, _folder))

import settings as config_file  # noqa: E402
from daemon import ROOT, default_binary  # noqa: E402
from stage import Stage  # noqa: E402
from witness import now_ms  # noqa: E402

NORMAL_SECONDS = 12
OUTAGE_SECONDS = 15
RETURN_SECONDS = 40  # at most: the gateway's pause between attempts has grown by then
PHASES = 5

# What the table shows of each device.
COLUMNS = {
    "soil-a1": (("soil_moisture", "%"), ("soil_temperature", "°C"), ("soil_ph", "pH")),
    "air-1": (("air_temperature", "°C"), ("air_humidity", "%")),
    "pump": (("voltage", "V"), ("active_power", "W"), ("energy_import", "kWh")),
}


class Screen:
    """Plain lines; on a terminal a block of them can be drawn over again."""

    def __init__(self):
        self._terminal = sys.stdout.isatty()
        self._drawn = 0
        self._phase = 0
        self._next_plain = 0.0

    def phase(self, text):
        self._phase += 1
        self._drawn = 0
        self._next_plain = 0.0
        head = "%d/%d  %s" % (self._phase, PHASES, text)
        self._out("\n" + self._styled("1", head) + "\n" + "─" * len(head))

    def say(self, text):
        self._drawn = 0
        self._out(text)

    def verdict(self, good, text):
        self.say(self._styled("1;32" if good else "1;31", text))

    def redraw(self, lines, brief):
        """On a terminal: lines over the last ones drawn. Otherwise the brief line, every 4 seconds."""
        if self._terminal:
            up = "\033[%dA" % self._drawn if self._drawn else ""
            self._out(up + "\n".join("\033[K" + line for line in lines))
            self._drawn = len(lines)
        elif time.monotonic() >= self._next_plain:
            self._next_plain = time.monotonic() + 4
            self._out(brief)

    def _styled(self, code, text):
        return "\033[%sm%s\033[0m" % (code, text) if self._terminal else text

    @staticmethod
    def _out(text):
        print(text, flush=True)


class Demo:
    """The five phases, in order."""

    def __init__(self, stage, screen):
        self.stage = stage
        self.screen = screen
        self._latest = {}
        self._taken = 0
        self._received = 0

    def run(self):
        self.set_up()
        self.normal()
        self.cut()
        self.come_back()
        return self.settle()

    # -- 1

    def set_up(self):
        stage, say = self.stage, self.screen.say
        self.screen.phase("A small farm, a gateway, a broker, a receiver")
        stage.farm.add_rtu("field", stage.path("ttyFIELD"))
        stage.farm.add_rtu_over_tcp("greenhouse")
        stage.farm.add_tcp("pumphouse")
        stage.farm.add_device("soil-a1", "field", 1, "cwt-soil-npk-s")
        stage.farm.add_device("air-1", "greenhouse", 1, "xy-md02")
        stage.farm.add_device("pump", "pumphouse", 1, "eastron-sdm120")
        stage.farm.start()
        wires = {"rtu": "RTU, a serial line (pty)", "tcp": "Modbus TCP", "rtu_over_tcp": "RTU over TCP"}
        for name, slave in stage.farm.devices.items():
            say("  sensor    %-8s %-40s %s" % (name, slave.model.title, wires[stage.farm.protocols[slave.bus]]))
        stage.start_broker()
        say("  broker    a mosquitto of our own, 127.0.0.1:%d" % stage.broker.port)
        stage.subscribe()
        say("  receiver  an MQTT subscriber, it keeps its own book")
        self._configure()
        stage.start_daemon(profiles=os.path.join(ROOT, "config", "profiles"), first_retry_max_ms=1500)
        say("  gateway   fieldgate, polling every second, state in a temporary folder")

    def _configure(self):
        profiles = {"soil-a1": "cwt-soil-npk-s", "air-1": "xy-md02", "pump": "eastron-sdm120"}
        settings = self.stage.settings(
            gateway="demo-farm", uplinks=[config_file.uplink(self.stage.broker.url, batch={"max_delay": "300ms"})])
        settings["devices"] = [config_file.device(self.stage.farm, name, "1s", profile=profile)
                               for name, profile in profiles.items()]
        self.stage.configure(settings)

    # -- 2

    def normal(self):
        self.screen.phase("Everything works: readings arrive as they are taken")
        self.stage.subscriber.sample("pump", 15)
        end = time.monotonic() + NORMAL_SECONDS
        while time.monotonic() < end:
            self._take()
            self.screen.redraw(self._table(), self._brief())
            time.sleep(0.25)

    def _take(self):
        """Looks through what arrived since the last call."""
        for message in self.stage.subscriber.messages(since=self._taken):
            self._taken += 1
            for sample in message.json.get("samples", ()) if message.lane else ():
                self._received += 1
                if message.lane == "live":
                    self._latest[sample["device"]] = (sample, message.ms)

    def _table(self):
        lines = ["  device    taken at      after    latest readings"]
        for name, columns in COLUMNS.items():
            if name not in self._latest:
                lines.append("  %-9s -" % name)
                continue
            sample, arrived = self._latest[name]
            values = sample.get("values", {})
            cells = "".join("%9s %-4s" % (values.get(key, "-"), unit) for key, unit in columns)
            lines.append("  %-9s %s %5d ms %s" % (name, clock(sample["ts"]), arrived - sample["ts"], cells))
        lines.append("  %d samples received" % self._received)
        return lines

    def _brief(self):
        cells = []
        for name, ((key, unit), *_) in COLUMNS.items():
            if name in self._latest:
                cells.append("%s %s %s" % (name, self._latest[name][0].get("values", {}).get(key, "-"), unit))
        return "  %3d samples received; %s" % (self._received, "; ".join(cells))

    # -- 3

    def cut(self):
        self.screen.phase("The link is cut: the broker is gone, the gateway goes on measuring")
        before = self._polls_answered()
        self.stage.broker.stop()
        end = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < end:
            uplink = self.stage.daemon.status()["uplinks"][0]
            answered = self._polls_answered() - before
            waiting = uplink["waiting"]
            text = "  the sensors have answered %3d polls since the cut; waiting, by the gateway's own word: %3d" \
                % (answered, waiting)
            self.screen.redraw([text, "  " + "▪" * min(waiting, 76)], text)
            time.sleep(0.5)

    def _polls_answered(self):
        self.stage.report()
        return sum(len(self.stage.ledger.polls(name)) for name in self.stage.farm.devices)

    # -- 4

    def come_back(self):
        self.screen.phase("The broker returns: live readings first, the backlog beside them")
        self._take()
        seen = len(self.stage.subscriber)
        returned = now_ms()
        self.stage.broker.start()
        uplink = self.stage.daemon.status()["uplinks"][0]
        if not uplink["connected"]:
            self.screen.say("  the gateway's own word: next attempt in %.0f s" % (uplink["next_try_in_ms"] / 1000))
        self.stage.subscriber.wait_until(lambda: self._backlog_through(seen), RETURN_SECONDS, "the backlog")
        self.screen.say("  order  after return  lane      samples   numbers      taken")
        data = [m for m in self.stage.subscriber.messages(since=seen) if m.lane]
        for place, message in enumerate(data[:10], 1):
            self.screen.say("  %4d.  %9.2f s  %-8s  %6d   %-11s  %s" % (
                place, (message.ms - returned) / 1000, message.lane, len(message.json.get("samples", ())),
                numbers(message), ages(message)))
        if len(data) > 10:
            self.screen.say("  ... and %d more" % (len(data) - 10))

    def _backlog_through(self, seen):
        """Data came again, and no number is missing any more; what was read just now may still be on its way."""
        report = self.stage.report()
        return any(m.lane for m in self.stage.subscriber.messages(since=seen)) and not report.holes \
            and report.waiting <= len(COLUMNS)

    # -- 5

    def settle(self):
        self.screen.phase("The accounts, kept by the sensors and the receiver, not by the gateway")
        self.stage.farm.mute()
        problem = None
        try:
            report = self.stage.wait_balanced(20)
        except AssertionError as error:
            report, problem = self.stage.report(), str(error)
        code, seconds = self.stage.daemon.stop()
        self.screen.say("  %-10s %8s %10s %8s %11s" % ("device", "served", "delivered", "missing", "duplicates"))
        for name, account in report.accounts.items():
            self.screen.say("  %-10s %8d %10d %8d %11d" % (name, account.served, account.delivered, account.missing,
                                                         account.duplicates))
        self.screen.say("\n  served %d = delivered %d + waiting %d + dropped %d;  duplicates %d"
                        % (report.served, report.delivered, report.waiting, report.dropped, report.duplicates))
        self.screen.say("  every value compared, digit by digit; numbers 1 to %d without a hole"
                        % max((r.seq for r in self.stage.ledger.records.values()), default=0)
                        if report.balanced else "  " + report.text())
        self.screen.say("  the gateway stopped in %.1f s with exit code %s" % (seconds, code))
        good = report.balanced and code == 0
        self.screen.verdict(good, "\n  The accounts balance." if good else "\n  THE ACCOUNTS DO NOT BALANCE.")
        if problem and not good:
            self.screen.say(problem)
        return 0 if good else 1


def clock(ms):
    return time.strftime("%H:%M:%S", time.localtime(ms / 1000)) + ".%03d" % (ms % 1000)


def numbers(message):
    seqs = [r["seq"] for kind in ("samples", "events") for r in message.json.get(kind, ())]
    return "%d-%d" % (min(seqs), max(seqs)) if len(seqs) > 1 else str(seqs[0])


def ages(message):
    """How long before its arrival the content was taken."""
    stamps = [r["ts"] for kind in ("samples", "events") for r in message.json.get(kind, ())]
    old, new = ((message.ms - t) / 1000 for t in (min(stamps), max(stamps)))
    return "%.1f s ago" % old if len(stamps) == 1 else "%.1f to %.1f s ago" % (old, new)


def _interrupt(*_):
    raise KeyboardInterrupt


def main():
    if not os.access(default_binary(), os.X_OK):
        print("%s: not built; run `make` first" % default_binary(), file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    folder = tempfile.mkdtemp(prefix="fieldgate-demo-")
    try:
        with Stage(folder) as stage:
            try:
                return Demo(stage, Screen()).run()
            except AssertionError as error:
                print("\nThe demonstration failed: %s" % error, file=sys.stderr)
                if stage.daemon:
                    print(stage.daemon.log()[-2000:], file=sys.stderr)
                return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything is cleared away.", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
