# SPDX-License-Identifier: Apache-2.0
"""stage - a small world in one folder: farm, broker, subscriber, daemon, and the ledger between them.

    with Stage(folder) as stage:
        stage.standard_farm()
        stage.start_broker()
        stage.subscribe()
        stage.configure()
        stage.start_daemon()
        stage.wait_balanced()

Ownership: leaving the block ends every child and thread; the folder belongs to the caller.
"""

import os
import time
from contextlib import ExitStack

import settings as config_file
from broker import Broker
from daemon import Daemon
from farm import Farm
from ledger import Ledger
from subscriber import Subscriber
from witness import Witness


class Stage:
    """Parts appear as attributes once made: farm, broker, subscriber, daemon, ledger, witness. ends: an ExitStack for
    what a test adds."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.config_path = self.path("fieldgate.yaml")
        self.state_dir = self.path("state")
        self.broker = self.subscriber = self.daemon = self.ledger = self.witness = None
        self.ends = ExitStack()
        self.farm = self.ends.enter_context(Farm(self.path("served.jsonl")))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    # -- making the parts

    def standard_farm(self):
        """Three real models, one on each transport."""
        self.farm.add_rtu("field", self.path("ttyFIELD"))
        self.farm.add_tcp("pumphouse")
        self.farm.add_rtu_over_tcp("greenhouse")
        self.farm.add_device("soil-a1", "field", 1, "cwt-soil-npk-s")
        self.farm.add_device("air-1", "greenhouse", 1, "xy-md02")
        self.farm.add_device("meter", "pumphouse", 1, "pzem-004t-v3")
        self.farm.start()
        return self.farm

    def counter_farm(self, units=3):
        """Counting devices on one Modbus TCP bus: cheap, and every answer is a number of its own."""
        self.farm.add_tcp("line")
        for unit in range(1, units + 1):
            self.farm.add_device("counter-%d" % unit, "line", unit, "counter")
        self.farm.start()
        return self.farm

    def start_broker(self, **options):
        self.broker = Broker(self.path("broker"), **options)
        self.ends.callback(self.broker.kill)
        return self.broker.start()

    def subscribe(self, **options):
        self.subscriber = Subscriber(self.broker.port, **options)
        self.ends.callback(self.subscriber.stop)
        self.subscriber.start()
        self.broker.save()  # the session is on disk now: a killed broker will still know it
        return self.subscriber

    def settings(self, **options):
        """The configuration as a dict; `uplinks` defaults to the broker."""
        uplinks = options.pop("uplinks", None) or [config_file.uplink(self.broker.url)]
        return config_file.settings(self.farm, os.path.join(self.state_dir, "buffer.db"), uplinks, **options)

    def configure(self, settings=None, **options):
        """Writes the configuration file, given or made from options."""
        os.makedirs(self.state_dir, exist_ok=True)
        settings = settings or self.settings(**options)
        config_file.write(self.config_path, settings)
        return settings

    def start_daemon(self, wait=True, **options):
        if self.daemon is None:
            self.daemon = Daemon(self.folder, self.config_path, state_dir=self.state_dir, **options)
            self.ends.callback(self.daemon.close)
        return self.daemon.start(wait)

    def up(self, **options):
        """Broker, subscriber, configuration and daemon, on a farm that stands."""
        self.start_broker()
        self.subscribe()
        self.configure(**options)
        self.start_daemon()
        return self

    # -- judging

    def watch_machine(self):
        """For a test that judges times: from now on this machine's own delays are known, see witness.py."""
        self.witness = self.ends.enter_context(Witness(self.folder))

    def report(self, devices=None):
        """The ledger's balance at this moment."""
        if self.ledger is None:
            self.ledger = Ledger.of_farm(self.farm, devices)
        return self.ledger.take(self.subscriber).report()

    def ledger_polls(self, device):
        """What the simulator served to one device, poll by poll."""
        self.report()
        return self.ledger.polls(device)

    def wait_balanced(self, seconds=15, devices=None):
        """Nothing more is served; waits until everything that was has arrived, and returns the report."""
        self.farm.mute()
        deadline = time.monotonic() + seconds
        while True:
            seen = len(self.subscriber)
            report = self.report(devices)
            if report.balanced:
                return report
            if time.monotonic() > deadline:
                raise AssertionError("not balanced within %.0f s\n%s\n%s"
                                     % (seconds, report.text(), self.daemon.log()[-2000:] if self.daemon else ""))
            try:
                self.subscriber.wait_until(lambda: len(self.subscriber) > seen, 0.5)
            except AssertionError:
                pass  # nothing came: look once more, until the deadline

    def close(self):
        self.ends.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
