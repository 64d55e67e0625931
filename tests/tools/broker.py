# SPDX-License-Identifier: Apache-2.0
"""broker - a private mosquitto on a free loopback port, with everything it keeps in one folder."""

import os
import pwd
import signal
import subprocess

from proc import Child, free_port, listens, wait_until

MOSQUITTO = "/usr/sbin/mosquitto"


class Broker:
    """Sessions and retained messages survive a restart (also a kill, since save() or the last second).

    tls: None, or (ca_file, cert_file, key_file); client_certificates: ask for one. users: {name: password}.
    acl: lines of a mosquitto ACL file. extra: lines at the end of its configuration.
    """

    def __init__(self, folder, port=None, tls=None, client_certificates=False, users=None, acl=None, extra=()):
        self.folder = folder
        self.port = port or free_port()
        self._tls = tls
        self._client_certificates = client_certificates
        self._users = users or {}
        self._acl = acl
        self._extra = list(extra)
        os.makedirs(folder, exist_ok=True)
        self._config = os.path.join(folder, "mosquitto.conf")
        self._database = os.path.join(folder, "broker.db")
        self._child = Child([MOSQUITTO, "-c", self._config], os.path.join(folder, "mosquitto.log"))

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % ("mqtts" if self._tls else "mqtt", self.port)

    @property
    def running(self):
        return self._child.running

    @property
    def pid(self):
        return self._child.pid

    def start(self):
        """Returns when it takes connections. Keeps its port from start to start."""
        self._write_config()
        self._child.launch()
        wait_until(self._listening, 5, lambda: "mosquitto: " + self._child.log())
        return self

    def stop(self):
        """A clean end: everything is saved."""
        if self._child.running:
            self._child.thaw()
            self._child.signal(signal.SIGTERM)
            self._child.wait(5)

    def kill(self):
        self._child.kill()

    def allow_everything(self):
        """No access list any more, from the next start on."""
        self._acl = None

    def take_at_most(self, octets):
        """Larger packets are not taken, from the next start on."""
        self._extra.append("max_packet_size %d" % octets)

    def freeze(self):
        self._child.freeze()

    def thaw(self):
        self._child.thaw()

    def save(self):
        """Writes sessions and retained messages to disk now, so that they survive a kill."""
        before = self._stamp()
        self._child.signal(signal.SIGUSR1)
        wait_until(lambda: self._stamp() not in (None, before), 5, "mosquitto saving its database")

    def log(self):
        return self._child.log()

    def _stamp(self):
        try:
            state = os.stat(self._database)
        except FileNotFoundError:
            return None
        return state.st_mtime_ns, state.st_ino

    def _listening(self):
        if not self._child.running:
            raise AssertionError("mosquitto ended: " + self._child.log())
        return listens(self.port)

    def _write_config(self):
        lines = ["listener %d 127.0.0.1" % self.port,
                 "user %s" % pwd.getpwuid(os.getuid()).pw_name,  # a change of user would clear pdeathsig
                 "persistence true", "persistence_location %s/" % self.folder, "persistence_file broker.db",
                 # Not 0, which is no limit: mosquitto 2.0.11 then ends the connection that sent what it refused.
                 "autosave_interval 1", "max_queued_messages 10000000", "log_dest stderr",
                 "allow_anonymous %s" % ("false" if self._users else "true")]
        if self._tls:
            lines += ["cafile %s" % self._tls[0], "certfile %s" % self._tls[1], "keyfile %s" % self._tls[2]]
            if self._client_certificates:
                lines += ["require_certificate true"]
        if self._users:
            lines.append("password_file %s" % self._password_file())
        if self._acl:
            path = os.path.join(self.folder, "acl")
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join(self._acl) + "\n")
            lines.append("acl_file %s" % path)
        lines += self._extra  # last: another listener may be among them, and takes all that follows
        with open(self._config, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def _password_file(self):
        path = os.path.join(self.folder, "passwords")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines("%s:%s\n" % item for item in self._users.items())
        os.chmod(path, 0o600)
        subprocess.run(["mosquitto_passwd", "-U", path], check=True)  # hashes them in place
        return path

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
