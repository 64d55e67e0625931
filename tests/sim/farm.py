#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""farm - a farm of simulated Modbus sensors on several buses, and a book of every answer they gave.

As a library:

    with Farm(ledger_path="served.jsonl") as farm:
        farm.add_rtu("field", "/tmp/x/ttyFIELD")
        farm.add_tcp("pumphouse")
        farm.add_device("soil-a1", "field", 1, "cwt-soil-npk-s")
        farm.start()
        farm.fault("soil-a1", silent=True)

As a program: farm.py FARM.json [--ledger FILE] serves until SIGINT or SIGTERM (or the end of its input), says on
stdout where the buses are, and takes one order a line on stdin:

    fault soil-a1 silent=true        heal soil-a1        unplug field        plug field        seal

FARM.json: {"buses": [{"name": "field", "protocol": "rtu", "link": "/tmp/x/ttyFIELD"},
                      {"name": "pumphouse", "protocol": "tcp", "port": 15020}],
            "devices": [{"name": "soil-a1", "bus": "field", "unit": 1, "model": "cwt-soil-npk-s"}]}
"""

import argparse
import dataclasses
import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bus import PtyBus, RtuOverTcpBus, TcpBus  # noqa: E402
from models import MODELS  # noqa: E402
from served import ServedLedger  # noqa: E402
from slave import Faults, Slave  # noqa: E402


class Farm:
    """Buses, devices and the ledger. A context manager: leaving it closes everything."""

    def __init__(self, ledger_path=None):
        self.ledger = ServedLedger(ledger_path)
        self.buses = {}
        self.devices = {}
        self.protocols = {}
        self._started = False

    @classmethod
    def from_description(cls, description, ledger_path=None):
        farm = cls(ledger_path)
        for bus in description["buses"]:
            if bus["protocol"] == "rtu":
                farm.add_rtu(bus["name"], bus["link"])
            elif bus["protocol"] == "tcp":
                farm.add_tcp(bus["name"], bus.get("port", 0))
            elif bus["protocol"] == "rtu_over_tcp":
                farm.add_rtu_over_tcp(bus["name"], bus.get("port", 0))
            else:
                raise ValueError("unknown protocol: " + bus["protocol"])
        for device in description["devices"]:
            farm.add_device(device["name"], device["bus"], device["unit"], device["model"])
        return farm

    def add_rtu(self, name, link, line=None):
        return self._add(name, "rtu", PtyBus(name, self.ledger, link, line))

    def add_tcp(self, name, port=0, line=None):
        return self._add(name, "tcp", TcpBus(name, self.ledger, port, line))

    def add_rtu_over_tcp(self, name, port=0, line=None):
        return self._add(name, "rtu_over_tcp", RtuOverTcpBus(name, self.ledger, port, line))

    def _add(self, name, protocol, bus):
        self.buses[name] = bus
        self.protocols[name] = protocol
        if self._started:
            bus.start()
        return bus

    def add_device(self, name, bus, unit, model, setting=None, also=()):
        """model: a Model, or the name of one. setting: the only (baud, format) at which it answers, on a pty.
        also: further unit numbers that it answers to."""
        model = MODELS[model] if isinstance(model, str) else model
        self.devices[name] = Slave(name, bus, unit, model, self.ledger, setting)
        self.buses[bus].add(self.devices[name])
        for other in also:
            self.buses[bus].slaves[other] = self.devices[name]

    def start(self):
        for bus in self.buses.values():
            bus.start()
        self._started = True

    def fault(self, device, **faults):
        """Replaces the faults of a device: fault("soil-a1", silent=True), fault("soil-a1") heals it."""
        self.devices[device].faults = Faults(**faults)

    def unplug(self, bus):
        self.buses[bus].unplug()

    def plug(self, bus):
        self.buses[bus].plug()

    def mute(self):
        """No device answers any more. Returns the wall time (ms) after which nothing was served."""
        sealed = self.ledger.seal()
        self.sync()
        return sealed

    def sync(self):
        """Returns when the ledger is settled for every question that has been answered so far."""
        for bus in self.buses.values():
            bus.sync()

    def close(self):
        if self._started:
            for bus in self.buses.values():
                bus.close()
            self._started = False
        self.ledger.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def parse_faults(words):
    """["silent=true", "late_ms=300"] -> {"silent": True, "late_ms": 300}"""
    kinds = {f.name: f.type for f in dataclasses.fields(Faults)}
    faults = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in kinds:
            raise ValueError("unknown fault %r; known: %s" % (name, ", ".join(sorted(kinds))))
        if name == "noise":
            faults[name] = bytes.fromhex(value)
        elif kinds[name] in (bool, "bool"):
            faults[name] = value in ("", "true", "1", "on")
        else:
            faults[name] = int(value)
    return faults


def obey(farm, line):
    """One order; False when it was not understood."""
    verb, *words = line.split()
    if verb == "fault" and words:
        farm.fault(words[0], **parse_faults(words[1:]))
    elif verb == "heal" and len(words) == 1:
        farm.fault(words[0])
    elif verb == "unplug" and len(words) == 1:
        farm.unplug(words[0])
    elif verb == "plug" and len(words) == 1:
        farm.plug(words[0])
    elif verb == "seal" and not words:
        farm.mute()
    else:
        return False
    return True


def _interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description="A farm of simulated Modbus sensors.")
    parser.add_argument("description", help="JSON file: buses and devices")
    parser.add_argument("--ledger", help="append every answer to this file, one JSON object a line")
    options = parser.parse_args()
    with open(options.description, encoding="utf-8") as file:
        description = json.load(file)
    signal.signal(signal.SIGTERM, _interrupt)
    with Farm.from_description(description, options.ledger) as farm:
        farm.start()
        print(json.dumps({name: bus.place() for name, bus in farm.buses.items()}), flush=True)
        try:
            for line in sys.stdin:
                try:
                    word = "ok" if not line.strip() or obey(farm, line) else "unknown order"
                except (KeyError, ValueError) as error:
                    word = "refused: %s" % error
                print(word, flush=True)
        except KeyboardInterrupt:
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
