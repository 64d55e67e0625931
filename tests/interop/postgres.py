# SPDX-License-Identifier: Apache-2.0
"""postgres - a PostgreSQL of our own in one folder, reached by a Unix socket there, and questions to it."""

import glob
import os
import pwd
import shutil
import subprocess

from proc import Child, wait_until

# The server refuses to run as root.
SERVANT = "nobody"


def programs():
    """The folder of the newest server that Debian has installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    return os.path.dirname(found[-1]) if found else None


class Postgres:
    """Keeps its data from start to start. A context manager."""

    def __init__(self, folder):
        self.folder = folder
        self._bin = programs()
        assert self._bin, "there is no PostgreSQL server: run `make interop`, which installs it"
        os.makedirs(folder)
        self._as_servant = []
        if os.geteuid() == 0:
            shutil.chown(folder, SERVANT)
            os.chmod(os.path.dirname(folder), 0o711)  # the servant must get through to it
            self._as_servant = ["setpriv", "--reuid", SERVANT, "--regid", str(pwd.getpwnam(SERVANT).pw_gid),
                                "--clear-groups", "--pdeathsig", "KILL", "--"]  # a change of user clears the caller's
        data = os.path.join(folder, "data")
        self._run(self._program("initdb", "-D", data, "-U", "farm", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"))
        self._child = Child(self._program("postgres", "-D", data, "-k", folder, "-c", "listen_addresses="),
                            os.path.join(os.path.dirname(folder), "postgres.log"))
        self.env = {"PGHOST": folder, "PGUSER": "farm", "PGDATABASE": "postgres"}

    def start(self):
        self._child.launch()
        wait_until(lambda: self._ask("SELECT 1").returncode == 0, 20, lambda: "PostgreSQL:\n" + self._child.log())
        return self

    def kill(self):
        """Immediate shutdown: like a crash, and its children end with it."""
        if self._child.running:
            self._child.signal(3)
            self._child.wait(10)

    def load(self, path):
        with open(path, encoding="utf-8") as file:
            done = self._ask(file.read())
        assert done.returncode == 0, done.stderr

    def rows(self, query):
        """Each row as a list of texts; NULL is an empty one."""
        done = self._ask(query)
        assert done.returncode == 0, done.stderr
        return [line.split("|") for line in done.stdout.splitlines()]

    def one(self, query):
        return self.rows(query)[0][0]

    def _ask(self, query):
        return subprocess.run([os.path.join(self._bin, "psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-f", "-"],
                              input=query, env={**os.environ, **self.env}, capture_output=True, text=True, check=False)

    def _program(self, name, *words):
        return [*self._as_servant, os.path.join(self._bin, name), *words]

    @staticmethod
    def _run(argv):
        done = subprocess.run(argv, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
