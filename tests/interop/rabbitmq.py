# SPDX-License-Identifier: Apache-2.0
"""rabbitmq - nodes of Debian's RabbitMQ with its MQTT plugin, beside and without the packaged service.

Each node has everything it keeps in one folder, and its ports on loopback. The port mapper (epmd) is our own too. Every
process is a child of ours: none is left to look after itself.
"""

import os
import socket
import subprocess

from proc import Child, free_port, wait_until

PROGRAMS = "/usr/lib/rabbitmq/bin"  # those in /usr/sbin change to the service's user
USER, PASSWORD = "farm", "fourth-secret"
LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"  # every Erlang machine listens, rabbitmqctl's too
# An Erlang machine and an empty database on a busy box.
START_SECONDS = 60


class Cluster:
    """The port mapper, the shared cookie, and the nodes that were started. A context manager."""

    def __init__(self, folder):
        self.folder = folder
        self.nodes = []
        os.makedirs(folder, exist_ok=True)
        self.epmd_port = free_port()
        self._epmd = Child(["epmd", "-port", str(self.epmd_port), "-address", "127.0.0.1"],
                           os.path.join(folder, "epmd.log"))

    def __enter__(self):
        self._epmd.launch()
        with open(os.path.join(self.folder, ".erlang.cookie"), "w", encoding="ascii") as file:
            file.write("only-for-this-test")
        os.chmod(file.name, 0o400)
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()
        self._epmd.kill()

    def launch(self, count=1):
        """Starts nodes side by side, each by itself still; returns them when they take connections."""
        new = [Node(self, "fg%d" % (len(self.nodes) + n + 1)) for n in range(count)]
        self.nodes += new
        for node in new:
            node.launch()
        for node in new:
            node.wait_listening()
        return new


class Node:
    """One broker. Keeps ports and data from start to start."""

    def __init__(self, cluster, name):
        self.name = "%s@localhost" % name
        self.port, amqp, distribution = free_port(), free_port(), free_port()
        self.folder = os.path.join(cluster.folder, name)
        os.makedirs(self.folder)
        self._write("enabled_plugins", "[rabbitmq_mqtt].\n")
        self._write("rabbitmq.conf", "\n".join([
            "listeners.tcp.1 = 127.0.0.1:%d" % amqp, "mqtt.listeners.tcp.1 = 127.0.0.1:%d" % self.port,
            "default_user = " + USER, "default_pass = " + PASSWORD, "mqtt.allow_anonymous = false",
            "log.console = false", "log.file = node.log", "disk_free_limit.absolute = 1MB", ""]))
        self._env = {
            **{k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}, "HOME": cluster.folder,
            "ERL_EPMD_PORT": str(cluster.epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1", "LC_ALL": "C.UTF-8",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_CONFIG_FILE": os.path.join(self.folder, "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": os.path.join(self.folder, "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": os.path.join(self.folder, "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": os.path.join(self.folder, "data"), "RABBITMQ_LOG_BASE": self.folder,
            "RABBITMQ_SCHEMA_DIR": os.path.join(self.folder, "schema"),
            "RABBITMQ_GENERATED_CONFIG_DIR": os.path.join(self.folder, "generated"),
            "RABBITMQ_PID_FILE": os.path.join(self.folder, "pid"), "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": LOOPBACK + " +S 2:2 +sbwt none",
            "RABBITMQ_CTL_ERL_ARGS": LOOPBACK,
            "RUNNING_UNDER_SYSTEMD": "true",  # the Erlang machine in place of the script: one pid, ours
        }
        self._child = Child([os.path.join(PROGRAMS, "rabbitmq-server")], os.path.join(self.folder, "console.log"))

    @property
    def url(self):
        return "mqtt://127.0.0.1:%d" % self.port

    def launch(self):
        self._child.launch(self._env)

    def start(self):
        self.launch()
        self.wait_listening()

    def wait_listening(self):
        wait_until(self._listening, START_SECONDS, lambda: "%s listening:\n%s" % (self.name, self.log()[-3000:]))

    def stop(self):
        """SIGTERM: an orderly end."""
        self._child.signal(15)
        self._child.wait(60)

    def kill(self):
        self._child.kill()

    def control(self, *words, seconds=60):
        """rabbitmqctl, which needs seconds for the simplest word."""
        done = subprocess.run([os.path.join(PROGRAMS, "rabbitmqctl"), "-q", "-n", self.name, *words], env=self._env,
                              capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == 0, "rabbitmqctl %s: %s%s" % (" ".join(words), done.stdout, done.stderr)
        return done.stdout

    def join(self, other):
        """Gives up what it has and becomes a node of the other's cluster."""
        for words in (["stop_app"], ["reset"], ["join_cluster", other.name], ["start_app"]):
            self.control(*words)
        self.wait_listening()

    def log(self):
        return self._child.log() + self._node_log()

    def _node_log(self):
        try:
            with open(os.path.join(self.folder, "node.log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _listening(self):
        if not self._child.running:
            raise AssertionError("%s ended:\n%s" % (self.name, self.log()[-3000:]))
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)
