# SPDX-License-Identifier: Apache-2.0
"""The box of these tests: one machine, one farm beside it, and the package that `make deb` has built."""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

import pytest

sys.dont_write_bytecode = True  # a test run leaves nothing behind
ROOT = pathlib.Path(__file__).resolve().parents[2]
for _folder in ("sim", "tools"):
    sys.path.insert(0, str(ROOT / "tests" / _folder))

from farm import Farm  # noqa: E402
from machine import Machine  # noqa: E402


def built_package():
    """$FIELDGATE_DEB, or what lies in build/."""
    named = os.environ.get("FIELDGATE_DEB")
    found = [pathlib.Path(named)] if named else sorted((ROOT / "build").glob("fieldgate_*.deb"))
    assert len(found) == 1, f"run `make deb` first; found {found}"
    return found[0]


class Box:
    """The machine, and what these tests ask of the service in it again and again."""

    CONFIG = "/etc/fieldgate/fieldgate.yaml"
    EXPORT = "fieldgate export --database /var/lib/fieldgate/buffer.db --device air-1"

    def __init__(self, machine, farm, folder):
        self.machine, self.farm, self.folder = machine, farm, folder
        self.run, self.wait_for, self.write, self.slow = machine.run, machine.wait_for, machine.write, machine.slow

    def show(self, *names):
        """Properties of the unit, as systemd has them: one value, or several."""
        out = self.run("systemctl show fieldgate " + " ".join(f"-p {name}" for name in names)).out
        values = dict(line.split("=", 1) for line in out.splitlines())
        return values[names[0]] if len(names) == 1 else [values[name] for name in names]

    def status(self):
        return json.loads(self.run("cat /run/fieldgate/status.json").out)

    def readings(self):
        """(seq, value) of every good air temperature in the buffer."""
        lines = self.run(f"{self.EXPORT} --format jsonl").out.splitlines()
        rows = [json.loads(line) for line in lines if line.startswith("{")]
        return [(r["seq"], r["value"]) for r in rows if r["point"] == "air_temperature" and r["value"] is not None]

    def wait_for_reading(self, after=0):
        """Returns when a good reading younger than this number is stored; its number."""
        self.wait_for(f"{self.EXPORT} | awk -F, '$2 > {after} && $8 == \"air_temperature\" && $9 != \"\" "
                      "{ found = 1 } END { exit !found }'", 20)
        return self.readings()[-1][0]

    def wait_restarted(self, old_pid, seconds):
        """The pid of the process that has taken the place of old_pid and is ready."""
        self.wait_for(f"systemctl is-active --quiet fieldgate && test $(systemctl show fieldgate -p MainPID --value) "
                      f"-ne {old_pid}", seconds)
        return int(self.show("MainPID"))

    def as_technician(self, line, seconds):
        """A line of a terminal, in the home folder of somebody who may use sudo and says yes to what apt asks."""
        typed = f"export LC_ALL=C.UTF-8; cd && {line}"
        return self.run(f"yes | runuser -u technician -- sh -c {shlex.quote(typed)}", seconds=seconds)

    def install(self, package):
        """As somebody would by hand: no network, and no questions, so an edited configuration stays as it is."""
        self.write("/root/fieldgate.deb", pathlib.Path(package).read_bytes())
        self.run("dpkg --force-confdef --install /root/fieldgate.deb </dev/null", seconds=60)

    def plug_in(self):
        self.machine.plug_in("FG0001", self.farm.buses["field"].port)

    def unplug(self):
        self.machine.unplug("FG0001")


@pytest.fixture(scope="session")
def package():
    return built_package()


@pytest.fixture(scope="session")
def box(package):
    cache = os.environ.get("SYSTEM_CACHE") or str(ROOT / "build" / "system")
    image = subprocess.run([ROOT / "tests" / "system" / "make_image.sh", package, cache], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="fieldgate-") as folder, Farm() as farm:
        farm.add_rtu_over_tcp("field")
        farm.add_device("air-1", "field", 1, "xy-md02")
        farm.start()
        with Machine(image, folder) as machine:
            print(f"\na Debian box in qemu, {machine.kind}", file=sys.__stderr__)
            yield Box(machine, farm, folder)
