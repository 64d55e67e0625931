# SPDX-License-Identifier: Apache-2.0
"""outside - receivers that are not ours, as child processes: mosquitto_sub, and one made with MQTT.js.

Each appends a line "TOPIC JSON-IN-HEX" for every data message to a file; to a Ledger it looks like a Subscriber.
"""

import json
import os
import signal
import subprocess
import time

import pytest

from daemon import ROOT
from proc import Child, wait_until
from subscriber import Message

MODULES = os.path.join(ROOT, "build", "consumers", "node_modules")
RECEIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "receiver.js")


def node_environment():
    if not os.path.isdir(os.path.join(MODULES, "mqtt")):
        pytest.fail("%s is not there: run `make interop`, which installs it" % MODULES)
    return {**os.environ, "NODE_PATH": MODULES}


class Outside:
    """One receiver; its file and its session at the broker outlive it."""

    def __init__(self, stage, name, argv, env=None):
        self.name = name
        self.file = stage.path(name + ".received")
        self._env = env
        self._child = Child([arg.replace("FILE", self.file) for arg in argv], stage.path(name + ".log"))
        self._messages = []
        self._read = 0
        stage.ends.callback(self._child.kill)

    def launch(self):
        self._child.launch(self._env)
        return self

    def kill(self):
        self._child.kill()

    def stop(self):
        """An orderly end; returns what it said since its start."""
        self._child.signal(signal.SIGTERM)
        self._child.wait(10)
        return self._child.log()

    def book(self):
        """Ends a receiver made with MQTT.js: what its own book holds."""
        said = [line for line in self.stop().splitlines() if line.startswith("book ")]
        return json.loads(said[-1][5:])

    def wait_subscribed(self, times=1, seconds=20):
        wait_until(lambda: self._child.log().count("subscribed [{") >= times, seconds,
                   lambda: "%s subscribed:\n%s" % (self.name, self._child.log()))
        return self

    def wait_for(self, count, seconds=30):
        """At least so many messages, old ones included."""
        wait_until(lambda: len(self) >= count, seconds, lambda: "%d messages at %s, it has %d:\n%s" % (
            count, self.name, len(self), self._child.log()[-2000:]))

    def messages(self, since=0):
        self._take()
        return self._messages[since:]

    def __len__(self):
        return len(self.messages())

    def _take(self):
        if not os.path.exists(self.file):
            return
        with open(self.file, "rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[:new.rfind(b"\n") + 1]  # a line may be half written
        self._read += len(whole)
        for line in whole.splitlines():
            topic, _, payload = line.partition(b" ")
            self._messages.append(Message(time.time_ns() // 1000000, topic.decode(), bytes.fromhex(payload.decode()), False, "", ""))


def mqtt_js(stage, url, name="mqttjs", version=5, topic="fieldgate/v1/+/data/#", user=()):
    """version: 5, or 4 for MQTT 3.1.1."""
    return Outside(stage, name, ["node", RECEIVER, url, str(version), name, topic, "FILE", *user],
                   node_environment())


def mosquitto_sub(stage, port, name="mosquitto-sub", version="mqttv5", topic="fieldgate/v1/+/data/#", user=None):
    argv = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-V", version, "-i", name, "-c", "-q", "1", "-t", topic,
            "-F", "%t %x"]
    if version == "mqttv5":
        argv += ["-x", "3600"]
    if user:
        argv += ["-u", user[0], "-P", user[1]]
    # Once only to subscribe (-E), so that the session is there before the gateway is.
    subprocess.run([*argv, "-E"], check=True, timeout=20, stdout=subprocess.DEVNULL)
    # What it writes to a file would wait there for the block to be full.
    return Outside(stage, name, ["sh", "-c", 'exec stdbuf -oL "$@" >> "$0"', "FILE", *argv])
