#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""screens - takes the screens of the technician's guide (docs/vi) from the running program.

    screens.py write     runs everything and puts each screen between its marks in the guide
    screens.py try       runs everything and prints it, changes nothing
    screens.py check     runs nothing: every screen of the guide is one that is taken here, and the other way round

The sensors are the simulator's on a pseudo-terminal, the broker is a mosquitto with TLS, the program is $FIELDGATE or
the release build, and its language is Vietnamese. What is printed is shown as it came, but for the names in
_Technician.names: the folder of the run is called by the paths of a real box.
"""

import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for _folder in ("sim", "tools"):
    sys.path.insert(0, os.path.join(_TESTS, _folder))

from certs import Authority  # noqa: E402
from daemon import ROOT, default_binary  # noqa: E402
from models import npk_probe  # noqa: E402
from stage import Stage  # noqa: E402

GUIDE = pathlib.Path(ROOT, "docs", "vi", "HUONG-DAN.md")
PROFILES = os.path.join(ROOT, "config", "profiles")
MARK = re.compile(r"(<!-- screen: ([a-z-]+) -->\n```\w*\n).*?(```\n<!-- end of screen -->)", re.S)
NAMES = ["find", "models", "sheet", "file", "wrong", "good", "apply", "green", "probe", "silent", "down", "log", "pause",
         "export", "csv"]
COLUMNS = 120

FILE = """\
language: vi

gateway:
  name: HTX thanh long Hàm Thuận Nam

store:
  path: {state}/buffer.db

buses:
  - name: field
    protocol: rtu
    port: {port}
    baud: 4800
    format: 8N1

devices:
  - name: soil-a1
    bus: field
    unit: 1
    profile: cwt-soil-npk-s
    every: 60s
{second}
uplinks:
  - name: province
    url: mqtts://{broker}
    ca_file: {ca}
    topic: fieldgate/v1/{{gateway}}
    username: htx-01
    credential: province-password
"""
SECOND = """
  - name: air-1
    bus: field
    unit: 2
    profile: xy-md02
    every: 30s
    line: {baud: 9600, format: 8N1}
"""
# Not shown: a test machine need not have a time server, a gateway does.
CLOCK = "\nclock: {trust: always}\n"
# What hurried hands type: a model without its last letters, a time without its unit, a key with a slip.
SLIPS = [("cwt-soil-npk-s", "cwt-soil-npk"), ("every: 60s", "every: 60"), ("topic:", "topik:")]


def links_only(text):
    """Of a status what it says of the link to the broker: the head, and the lines about that link."""
    head, rest = text.split("\n", 1)
    found = re.search(r"^\S.* province  .*\n(?: {6}.+\n)+", rest, re.M)
    return "%s\n...\n%s...\n" % (head, found[0]) if found else text


def on_terminal(argv, env):
    """What a person sees: standard output and errors in the order in which they come, rewritten lines in their end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    process.wait()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode("utf-8").replace("\r\n", "\n"))
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")]
    return "\n".join(lines).strip("\n") + "\n"


class _Technician:
    """Runs what the guide tells to run, in its order."""

    def __init__(self, stage):
        self.stage = stage
        self.screens = {}
        os.makedirs(stage.path("run"), exist_ok=True)
        os.makedirs(stage.path("etc"), exist_ok=True)
        os.makedirs(stage.state_dir, exist_ok=True)
        stage.config_path = stage.path("etc", "fieldgate.yaml")
        self.port = stage.path("ttyFIELD")
        self.env = {k: v for k, v in os.environ.items() if k not in ("LANGUAGE", "LC_ALL", "LC_MESSAGES")}
        self.env.update(LANG="vi_VN.UTF-8", COLUMNS=str(COLUMNS), TZ="Asia/Ho_Chi_Minh",
                        FIELDGATE_LOCALE_DIR=os.path.join(os.path.dirname(default_binary()), "locale"),
                        CREDENTIALS_DIRECTORY=stage.path("secrets"))
        self.names = [(self.port, "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"),
                      (stage.config_path, "/etc/fieldgate/fieldgate.yaml"),
                      (stage.path("ca", "ca.pem"), "/etc/fieldgate/province-ca.pem"),
                      (stage.state_dir, "/var/lib/fieldgate"), (stage.path("run"), "/run/fieldgate"),
                      (PROFILES, "/usr/share/fieldgate/profiles"), (stage.path("usb"), "/media/usb")]

    def named(self, text):
        for real, shown in self.names:
            text = text.replace(real, shown)
        assert self.stage.folder not in text and ROOT not in text, text
        return text

    def see(self, name, command, *hidden, keep=None):
        """Runs `command` as the guide shows it. hidden: options that a real box does not need. keep: cuts out what to show."""
        argv = [word for word in command.split() if word != "sudo"]
        for real, shown in self.names:
            argv = [word.replace(shown, real) for word in argv]
        text = self.named(on_terminal([default_binary(), *argv[1:], *hidden], self.env))
        if keep:
            text = keep(text)
        self.screens[name] = "$ %s\n%s" % (command, text)

    def configure(self, second="", slips=()):
        text = FILE.format(state=self.stage.state_dir, port=self.port, second=second, ca=self.stage.path("ca", "ca.pem"),
                           broker="localhost:%d" % self.stage.broker.port)
        for right, wrong in slips:
            assert right in text, right
            text = text.replace(right, wrong)
        pathlib.Path(self.stage.config_path).write_text(text + CLOCK, encoding="utf-8")
        return text

    @property
    def files(self):
        return "--config", self.stage.config_path, "--profiles", PROFILES

    @property
    def runtime(self):
        return "--runtime-dir", self.stage.path("run")

    # -- in the order of the guide

    def set_up(self):
        stage = self.stage
        for folder in ("secrets", "usb"):
            os.makedirs(stage.path(folder))
        pathlib.Path(stage.path("secrets", "province-password")).write_text("a-long-password\n", encoding="utf-8")
        os.chmod(stage.path("secrets", "province-password"), 0o600)
        stage.farm.add_rtu("field", self.port)
        stage.farm.add_device("soil-a1", "field", 1, npk_probe(1), setting=(4800, "8N1"), also=(255,))
        stage.farm.start()
        authority = Authority(stage.path("ca"))
        stage.start_broker(tls=(authority.ca_file, *authority.issue("broker", address="DNS:localhost,IP:127.0.0.1")), users={"htx-01": "a-long-password"})
        # Somebody at the other end: without a subscriber nothing would be green.
        stage.subscribe(tls=(authority.ca_file,), user=("htx-01", "a-long-password"))
        self.names += [("localhost", "mqtt.tinh.example"), (str(stage.broker.port), "8883"), ("127.0.0.1", "203.0.113.10")]

    def find(self):
        self.see("find", "sudo fieldgate scan %s --single" % self.names[0][1], *self.files, *self.runtime)
        self.see("models", "fieldgate profiles cwt", *self.files)
        self.see("sheet", "fieldgate profiles cwt-soil-npk-s", *self.files)

    def write(self):
        self.screens["file"] = self.named(self.configure())
        self.configure(slips=SLIPS)
        self.see("wrong", "fieldgate check", *self.files)
        self.configure()
        self.see("good", "fieldgate check", *self.files)

    def start(self):
        stage = self.stage
        stage.start_daemon(profiles=PROFILES, env={"CREDENTIALS_DIRECTORY": stage.path("secrets"), "TZ": self.env["TZ"]})
        self.wait("soil-a1", "ok")
        stage.farm.add_device("air-1", "field", 2, "xy-md02", setting=(9600, "8N1"))
        self.configure(SECOND)
        self.see("apply", "sudo fieldgate apply", *self.files, *self.runtime)
        self.wait("air-1", "ok")
        stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"] and s["uplinks"][0]["waiting"] == 0, 20)
        self.see("green", "fieldgate status", *self.runtime)
        self.see("probe", "sudo fieldgate probe soil-a1", *self.files, *self.runtime)

    def trouble(self):
        stage = self.stage
        stage.farm.fault("soil-a1", silent=True)
        self.wait("soil-a1", "silent", "unreachable")
        self.see("silent", "fieldgate status", *self.runtime)
        stage.broker.stop()
        self.poll("air-1")
        stage.daemon.wait_for_status(self.tells_why_it_is_down, 30)
        self.see("down", "fieldgate status", *self.runtime, keep=links_only)
        stage.farm.unplug("field")
        stage.daemon.wait_for_log("FG-BUS-PORT", 90)
        stage.farm.plug("field")
        stage.farm.fault("soil-a1")
        stage.broker.start()
        stage.daemon.wait_for_log("FG-BUS-PORT-BACK", 90)
        self.wait("soil-a1", "ok")
        stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"], 90)

    @staticmethod
    def tells_why_it_is_down(status):
        """The first failed attempt only says that the reason will be looked for."""
        uplink = status["uplinks"][0]
        return uplink["waiting"] > 0 and not uplink["connected"] and "kết nối bị từ chối" in uplink["reason"]

    def afterwards(self):
        self.see("pause", "sudo fieldgate pause field 5min", *self.runtime)
        self.run("resume", "field")
        self.see("export", "sudo fieldgate export --from 7d --output /media/usb/field.csv", *self.files)
        rows = pathlib.Path(self.stage.path("usb", "field.csv")).read_text(encoding="utf-8").splitlines()
        self.screens["csv"] = "\n".join(rows[:1] + [row for row in rows if ",soil-a1,soil_" in row][:4]) + "\n"
        self.screens["log"] = self.named("\n".join(self.log_lines()) + "\n")

    def log_lines(self):
        """The first line of each code that matters, in the order of the log; of a failed connection the one that names
        the reason."""
        told = {}
        for line in self.stage.daemon.log().splitlines():
            line = re.sub(r"^<\d>", "", line)
            code = line.split(" ")[0].rstrip(":")
            if code in ("FG-START", "FG-LINK-UP", "FG-BUS-SILENT", "FG-LINK-DOWN", "FG-LINK-FAILED", "FG-BUS-PORT",
                        "FG-BUS-PORT-BACK", "FG-BUS-BACK"):
                told.setdefault(code, line)
                if code == "FG-LINK-FAILED":
                    told[code] = line
        return told.values()

    def run(self, *argv):
        subprocess.run([default_binary(), *argv, *self.runtime], env=self.env, check=False, capture_output=True, timeout=60)

    def poll(self, device):
        self.run("poll", device)

    def wait(self, device, *states, seconds=60):
        """Asks for the device, so that nobody waits for its next period, until it is in one of the states."""
        deadline = time.monotonic() + seconds
        while True:
            found = [d["state"] for d in self.stage.daemon.status()["devices"] if d["name"] == device]
            if found and found[0] in states:
                return
            assert time.monotonic() < deadline, "%s is %s, not %s\n%s" % (device, found, states, self.stage.daemon.log())
            self.poll(device)
            time.sleep(0.5)


def take():
    with tempfile.TemporaryDirectory(prefix="fieldgate-screens-") as folder, Stage(folder) as stage:
        technician = _Technician(stage)
        technician.set_up()
        technician.find()
        technician.write()
        technician.start()
        technician.trouble()
        technician.afterwards()
        assert sorted(technician.screens) == sorted(NAMES), sorted(technician.screens)
        return technician.screens


def main(argv):
    text = GUIDE.read_text(encoding="utf-8") if GUIDE.exists() else ""
    if argv[1:] == ["check"]:
        shown = [name for _, name, _ in MARK.findall(text)]
        if sorted(shown) != sorted(NAMES):
            sys.exit("%s shows the screens %s, taken are %s" % (GUIDE.name, sorted(shown), sorted(NAMES)))
        return 0
    if argv[1:] not in (["write"], ["try"]):
        sys.exit("usage: screens.py write | try | check")
    screens = take()
    if argv[1] == "write":
        GUIDE.write_text(MARK.sub(lambda m: m[1] + screens[m[2]] + m[3], text), encoding="utf-8")
    else:
        for name in NAMES:
            print("-- %s\n%s" % (name, screens[name]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
