# SPDX-License-Identifier: Apache-2.0
"""peer_kinds - fieldgate and its peers as child processes that do the same work, and how each says a reading.

    peer = KINDS["collectd"](folder, work)
    peer.start(); peer.kill(); peer.start()
    peer.readings(message)      ->  (unit, register, value, time in ms) of each reading in one MQTT message

How each is set up stands in tests/bench/peers/, docs/PEERS.md says why.
"""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass

import settings as config_file
from daemon import ROOT, Daemon, default_binary
from proc import Child, free_port

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
INSTALLED = os.path.join(ROOT, "build", "peers")


@dataclass(frozen=True)
class Work:
    """What all of them are to do: read blocks (address, count) of units once an interval, and publish."""

    units: tuple
    blocks: tuple
    interval_s: int
    broker_port: int
    tcp_port: int = 0
    serial: str = ""
    baud: int = 0

    @property
    def registers(self):
        return [address + i for address, count in self.blocks for i in range(count)]


class _Program:
    """A program that is not ours: started with argv, its output in a log."""

    def __init__(self, folder, argv, env=None):
        self._env = {**os.environ, **(env or {})}
        self._child = Child(argv, os.path.join(folder, "log"))

    def start(self):
        self._child.launch(self._env)

    def kill(self):
        self._child.kill()

    def stop(self):
        if self._child.running:
            self._child.signal(signal.SIGTERM)
            self._child.wait(20)

    def log(self):
        return self._child.log()

    @property
    def running(self):
        return self._child.running

    @property
    def pid(self):
        return self._child.pid


def _filled(name, **values):
    """The text of a file in peers/ with its @NAME@ replaced."""
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return re.sub(r"@([A-Z_]+)@", lambda found: str(values[found.group(1)]), file.read())


def _installed_version(package):
    with open(os.path.join(INSTALLED, "node_modules", package, "package.json"), encoding="utf-8") as file:
        return json.load(file)["version"]


class Fieldgate:
    """As shipped: every setting that is not the work itself has its default."""

    def __init__(self, folder, work):
        place = {"protocol": "tcp", "host": "127.0.0.1", "tcp_port": work.tcp_port} if work.tcp_port else \
            {"protocol": "rtu", "port": work.serial, "baud": work.baud}
        path, state = os.path.join(folder, "fieldgate.yaml"), os.path.join(folder, "state")
        os.makedirs(state)
        points = [{"name": "r%02d" % r, "register": "holding", "address": r} for r in work.registers]
        config_file.write(path, {
            "gateway": {"id": "bench"}, "store": {"path": os.path.join(state, "buffer.db")},
            "clock": {"trust": "always"}, "buses": [{"name": "line", **place, "timeout": "500ms"}],
            "devices": [{"name": "u%d" % u, "bus": "line", "unit": u, "every": "%ds" % work.interval_s,
                         "points": points} for u in work.units],
            "uplinks": [{"name": "province", "url": "mqtt://127.0.0.1:%d" % work.broker_port,
                         "topic": "fieldgate/v1/{gateway}"}]})
        # The tests shorten the pause before the first attempt to connect again; here it is what it is in the field.
        self._daemon = Daemon(folder, path, state_dir=state, first_retry_max_ms=30000)

    def start(self):
        self._daemon.start(wait=False)

    def kill(self):
        self._daemon.kill()

    def stop(self):
        self._daemon.stop(20)

    def log(self):
        return self._daemon.log()

    @property
    def running(self):
        return self._daemon.running

    @property
    def pid(self):
        return self._daemon.pid

    @staticmethod
    def versions():
        said = subprocess.run([default_binary(), "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
        return {"fieldgate": said.split()[1]}

    @staticmethod
    def readings(message):
        if message.kind != "data":
            return
        for sample in message.json.get("samples", ()):
            unit = int(sample["device"][1:])
            for name, value in sample.get("values", {}).items():
                if value is not None:
                    yield unit, int(name[1:]), int(value), sample["ts"]


class Collectd(_Program):
    """Debian's, with its modbus and mqtt plugins."""

    def __init__(self, folder, work):
        names = {r: "r%02d" % r for r in work.registers}
        data = "\n".join('    <Data "%s">\n        RegisterBase %d\n        RegisterType Uint16\n        RegisterCmd '
                         'ReadHolding\n        Type gauge\n        Instance "%s"\n    </Data>' % (n, r, n)
                         for r, n in names.items())
        collect = "\n".join('            Collect "%s"' % n for n in names.values())
        slaves = "\n".join('        <Slave %d>\n            Instance "u%d"\n%s\n        </Slave>' % (u, u, collect)
                           for u in work.units)
        place = 'Address "127.0.0.1"\n        Port "%d"' % work.tcp_port if work.tcp_port else \
            'Device "%s"\n        Baudrate %d' % (work.serial, work.baud)
        path = os.path.join(folder, "collectd.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(_filled("collectd.conf", FOLDER=folder, INTERVAL=work.interval_s, DATA=data, SLAVES=slaves,
                               PLACE=place, BROKER_PORT=work.broker_port))
        super().__init__(folder, ["/usr/sbin/collectd", "-f", "-C", path])

    @staticmethod
    def versions():
        query = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "collectd-core", "libmodbus5", "libmosquitto1"]
        said = subprocess.run(query, check=True, stdout=subprocess.PIPE, text=True).stdout
        return dict(line.split() for line in said.splitlines())

    @staticmethod
    def readings(message):
        parts = message.topic.split("/")  # collectd/bench/modbus-u7/gauge-r03
        if len(parts) != 4:
            return
        when, value = message.payload.rstrip(b"\0").split(b":")
        yield int(parts[2].partition("-u")[2]), int(parts[3].partition("-r")[2]), int(float(value)), \
            int(float(when) * 1000)


class NodeRed(_Program):
    """Node-RED with node-red-contrib-modbus, as their examples have it."""

    flow = "flow.json"

    def __init__(self, folder, work):
        with open(os.path.join(HERE, self.flow), encoding="utf-8") as file:
            nodes = json.load(file)
        client = next(n for n in nodes if n["type"] == "modbus-client")
        if work.tcp_port:
            client.update(tcpPort=str(work.tcp_port))
        else:
            client.update(clienttype="serial", serialPort=work.serial, serialBaudrate=str(work.baud),
                          parallelUnitIdsAllowed=False)
        next(n for n in nodes if n["type"] == "mqtt-broker").update(port=str(work.broker_port))
        read = next(n for n in nodes if n["type"] == "modbus-read")
        nodes.remove(read)
        for u in work.units:
            for address, count in work.blocks:
                name = "bench/u%d/%d" % (u, address)
                nodes.append({**read, "id": "read-%d-%d" % (u, address), "name": name, "topic": name, "unitid": str(u),
                              "adr": str(address), "quantity": str(count), "rate": str(work.interval_s)})
        for name in ("settings.js", "buffer.js"):
            shutil.copy(os.path.join(HERE, name), folder)
        with open(os.path.join(folder, "flows.json"), "w", encoding="utf-8") as file:
            json.dump(nodes, file)
        super().__init__(folder, [self._node(), os.path.join(INSTALLED, "node_modules", "node-red", "red.js"),
                                  "--settings", os.path.join(folder, "settings.js"), "--userDir", folder,
                                  os.path.join(folder, "flows.json")], self._environment(folder))

    @staticmethod
    def _node():
        machine = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
        return os.path.join(INSTALLED, "node_modules", "node-linux-" + machine, "bin", "node")

    @staticmethod
    def _environment(folder):
        return {"PEERS_UI_PORT": str(free_port()), "HOME": folder}

    @classmethod
    def versions(cls):
        node = subprocess.run([cls._node(), "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
        return {"node": node.strip(), **{name: _installed_version(name) for name in
                                         ("node-red", "node-red-contrib-modbus", "@openp4nr/modbus-serial", "mqtt")}}

    @staticmethod
    def readings(message):
        parts = message.topic.split("/")  # bench/u7/0
        if parts[0] != "bench":
            return
        body = json.loads(message.payload)
        for i, value in enumerate(body["values"]):
            yield int(parts[1][1:]), int(parts[2]) + i, int(value), body["ts"]


class NodeRedBuffer(NodeRed):
    """The same with store-and-forward in SQLite."""

    flow = "flow_buffer.json"

    @staticmethod
    def _environment(folder):
        return {**NodeRed._environment(folder), "PEERS_BUFFER": os.path.join(folder, "buffer.db")}


KINDS = {"fieldgate": Fieldgate, "collectd": Collectd, "node-red": NodeRed, "node-red-buffer": NodeRedBuffer}
