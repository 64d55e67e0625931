# SPDX-License-Identifier: Apache-2.0
"""`fieldgate init`: from a box with an adapter to a configuration that works, asked or scripted; and the README's
first ten minutes, replayed word by word."""

import os
import pathlib
import pty
import re
import select
import shlex
import signal
import stat
import subprocess
import termios
import time

import pytest
import yaml

from daemon import ROOT, default_binary
from models import npk_probe
from proc import free_port, wait_until
from readme import first_minutes

PROFILES = os.path.join(ROOT, "config", "profiles")
NARROW = ["--baud", "9600,4800", "--format", "8N1", "--units", "1-8"]  # so that a test need not wait for all of it
PASSWORD = 'h0a "dâu" \\ #5'


def a_line(stage, *devices):
    """A serial line with these: (name, unit, model, setting)."""
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    for name, unit, model, setting in devices or [("soil", 7, npk_probe(7), (4800, "8N1"))]:
        stage.farm.add_device(name, "field", unit, model, setting=setting)
    stage.farm.start()
    return stage.path("ttyFIELD")


def environment():
    return {**{k: v for k, v in os.environ.items() if k != "LANGUAGE"}, "LC_ALL": "C.UTF-8",
            "FIELDGATE_LOCALE_DIR": os.path.join(os.path.dirname(default_binary()), "locale")}


def command(stage, *options):
    os.makedirs(stage.path("run"), exist_ok=True)
    return [default_binary(), "init", "--output", stage.path("made.yaml"), "--profiles", PROFILES, "--runtime-dir",
            stage.path("run"), *options]


def init(stage, *options, seconds=60):
    """Scripted: nobody is there to be asked."""
    return subprocess.run(command(stage, *options), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=seconds, check=False, env=environment())


def made(stage):
    with open(stage.path("made.yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


class Terminal:
    """The command on a terminal of its own, and somebody who types."""

    def __init__(self, argv):
        self.seen = ""
        self._read = 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, environment())
        self.code = None

    def expect(self, text, seconds=30):
        """Waits until the text stands in what came since the last time."""
        deadline = time.monotonic() + seconds
        while text not in self.seen[self._read:]:
            left = deadline - time.monotonic()
            assert left > 0, "no %r in %r" % (text, self.seen[self._read:])
            if select.select([self.fd], [], [], left)[0]:
                assert self._take(), "it ended: %r" % self.seen
        self._read = self.seen.index(text, self._read) + len(text)

    def _take(self):
        """False when all that was said is taken in, and nobody is there who could say more."""
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def type(self, text):
        os.write(self.fd, text.encode())

    def answer(self, question, text=""):
        self.expect(question)
        self.type(text + "\n")

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def end(self, seconds=30):
        """The exit code; whatever is still said is taken in, and only then the code: a last word may come between."""
        deadline = time.monotonic() + seconds
        more = True
        while more:
            left = deadline - time.monotonic()
            assert left > 0, self.seen
            if select.select([self.fd], [], [], left)[0]:
                more = self._take()
        wait_until(self._has_ended, 10, "the end of the command")
        return self.code

    def _has_ended(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.code = os.waitstatus_to_exitcode(status)
        return pid

    def close(self):
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal(stage):
    def start(*options):
        one = Terminal(command(stage, *options))
        stage.ends.callback(one.close)
        return one
    return start


def test_scripted_it_finds_an_unknown_probe_and_what_it_writes_runs_as_it_is(stage):
    port = a_line(stage)
    stage.start_broker(users={"htx": PASSWORD})
    with open(stage.path("secret"), "w", encoding="utf-8") as file:
        file.write(PASSWORD + "\n")
    done = init(stage, "--bus", port, "--broker", stage.broker.url, "--user", "htx", "--password-file",
                stage.path("secret"), "--id", "farm-01", "--name", 'HTX "thanh long" \\ Hàm Thuận Nam', "--yes", *NARROW)
    assert done.returncode == 0, done
    assert "connected; the broker takes this user" in done.stdout and "OK: 1 bus, 1 device" in done.stdout, done
    assert "fieldgate run --config" in done.stdout.splitlines()[-1]
    config = made(stage)
    assert config["gateway"] == {"id": "farm-01", "name": 'HTX "thanh long" \\ Hàm Thuận Nam'}
    assert config["buses"] == [{"name": "field", "protocol": "rtu", "port": port, "baud": 4800, "format": "8N1"}]
    assert config["devices"] == [{"name": "cwt-soil-npk-s-1", "bus": "field", "unit": 7, "profile": "cwt-soil-npk-s",
                                  "every": "60s"}]
    secret = stage.path("credentials", "province-password")
    assert config["uplinks"][0]["password_file"] == secret and config["uplinks"][0]["username"] == "htx"
    assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600
    assert pathlib.Path(secret).read_text(encoding="utf-8") == PASSWORD
    for text in (done.stdout, done.stderr, pathlib.Path(stage.path("made.yaml")).read_text(encoding="utf-8")):
        assert PASSWORD not in text
    assert set(stage.farm.ledger.requests()) <= {1, 2, 3, 4}, "it only reads"
    stage.config_path = stage.path("made.yaml")
    stage.start_daemon(profiles=PROFILES)
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"] and s["devices"][0]["state"] == "ok", 20)


def test_on_a_terminal_it_asks_and_the_password_is_never_shown(stage, terminal):
    port = a_line(stage)
    stage.start_broker(users={"htx": PASSWORD})
    t = terminal(*NARROW)
    t.answer("Language", "en")
    t.answer("Name of the farm", "Example farm")
    t.answer("Id of this box", "Farm 1")
    t.expect("small letters")
    t.answer("Id of this box", "farm-01")
    t.answer("Which one?", stage.path("ttyNOTHING"))
    t.answer("Which one?", port)
    t.expect("found a device at 4800 8N1 unit 7")
    t.expect("cwt-soil-npk-s (")
    t.answer("Model", "soil")
    t.expect('no model "soil"')
    t.expect("cwt-soil-npk-s")
    t.answer("Model")
    t.answer("Name", "soil a1")
    t.answer("Name", "soil-a1")
    t.answer("Another adapter", "n")
    t.answer("Broker", "not a url")
    t.answer("Broker", stage.broker.url)
    t.answer("User name", "htx")
    t.answer("Password", "wrong")
    t.expect("NOT connected")
    t.answer("Try other values?")
    t.answer("Broker")
    t.answer("User name")
    t.expect("Password")
    t.type(PASSWORD + "\n")
    t.expect("connected; the broker takes this user")
    assert t.end() == 0, t.seen
    assert PASSWORD not in t.seen and "OK: 1 bus, 1 device" in t.seen and t.echoes()
    config = made(stage)
    assert config["language"] == "en" and config["gateway"] == {"id": "farm-01", "name": "Example farm"}
    assert [(d["name"], d["unit"]) for d in config["devices"]] == [("soil-a1", 7)]


def test_in_vietnamese_when_that_is_chosen(stage):
    done = init(stage, "--bus", a_line(stage), "--broker", "none", "--language", "vi", "--yes", *NARROW)
    assert done.returncode == 0, done
    assert made(stage)["language"] == "vi" and made(stage)["uplinks"] == []


def test_ctrl_c_and_the_end_of_the_input_leave_nothing_behind(stage, terminal):
    for key in ("\x03", "\x04"):
        t = terminal("--language", "en")
        t.expect("Name of the farm")
        t.type(key)
        assert t.end() == 1 and "nothing was written" in t.seen
    t = terminal("--language", "en", "--bus", a_line(stage), "--broker", "mqtt://127.0.0.1:%d" % free_port(), *NARROW)
    t.answer("Name of the farm")
    t.answer("Id of this box")
    t.answer("Model", "-")
    t.answer("User name", "htx")
    t.expect("Password")
    t.type("half of a secr")
    assert not t.echoes()
    t.type("\x03")
    assert t.end() == 1 and t.echoes(), "the terminal shows again what is typed"
    assert not os.path.exists(stage.path("made.yaml")) and not os.path.exists(stage.path("credentials"))


def test_a_device_that_nobody_knows_becomes_a_comment_that_says_what_to_do(stage):
    port = a_line(stage, ("odd", 3, "counter", (9600, "8N1")))
    done = init(stage, "--bus", port, "--broker", "none", "--yes", *NARROW)
    assert done.returncode == 0, done
    assert made(stage)["devices"] == []
    text = pathlib.Path(stage.path("made.yaml")).read_text(encoding="utf-8")
    assert "answers on bus field, 9600 8N1 unit 3" in text and "fieldgate profiles WORD" in text
    # Taken out of the comment as it says, it is a configuration.
    before, rest = text.split("devices: []\n", 1)
    block, after = rest.split("\n# An uplink", 1)
    block = re.sub(r"^  # (- name: |  bus: |  unit: |  every: |  points: |    - \{)", r"  \1", block, flags=re.M)
    pathlib.Path(stage.path("made.yaml")).write_text(before + "devices:\n" + block + "\n# An uplink" + after,
                                                     encoding="utf-8")
    check = subprocess.run([default_binary(), "check", "--config", stage.path("made.yaml"), "--profiles", PROFILES],
                           capture_output=True, text=True, check=False, env=environment())
    assert check.returncode == 0 and "1 device, 1 point" in check.stdout, check


def test_two_devices_with_one_number_are_said_and_only_one_is_taken(stage):
    port = a_line(stage, ("soil", 1, npk_probe(1), None))  # answers at every speed, as two would
    done = init(stage, "--bus", port, "--broker", "none", "--yes", *NARROW)
    assert done.returncode == 0 and "the same unit number" in done.stdout, done
    assert len(made(stage)["devices"]) == 1


def test_an_existing_file_is_replaced_only_when_agreed_and_kept(stage, terminal):
    path = pathlib.Path(stage.path("made.yaml"))
    path.write_text("# mine\n", encoding="utf-8")
    path.chmod(0o640)
    port = a_line(stage)
    t = terminal("--language", "en", "--bus", port)
    t.answer("exists. Write a new one?")
    assert t.end() == 1 and path.read_text(encoding="utf-8") == "# mine\n"
    done = init(stage, "--bus", port, "--broker", "none", "--yes", *NARROW)
    assert done.returncode == 0, done
    (old,) = path.parent.glob("made.yaml.old-*")
    assert old.read_text(encoding="utf-8") == "# mine\n" and str(old) in done.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 and made(stage)["devices"]
    assert sorted(p.name for p in path.parent.glob("made.yaml*")) == ["made.yaml", old.name]


def test_nobody_on_the_line_and_no_broker_give_a_file_that_says_so(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.start()
    done = init(stage, "--bus", stage.path("ttyFIELD"), "--broker", "mqtt://127.0.0.1:%d" % free_port(), "--yes", *NARROW)
    assert done.returncode == 0, done
    assert "Nobody answered" in done.stdout and "NOT connected" in done.stdout
    assert made(stage)["devices"] == [] and made(stage)["buses"][0]["baud"] == 9600 and made(stage)["uplinks"]


def test_what_cannot_work_is_refused_with_a_word(stage):
    for options, word in ((["--yes", "--bus", stage.path("ttyNONE")], "ttyNONE"), (["--bus", "x"], "no terminal"),
                          (["--yes", "--id", "Farm 1"], "--id"), (["--yes", "--broker", "broker"], "--broker"),
                          (["--yes", "--language", "fr"], "--language"), (["--yes", "--password", "x"], "--password"),
                          (["--yes", "--every", "10"], "--every"),
                          (["--yes", "--output", "/nonexistent/a.yaml"], "/nonexistent")):
        done = init(stage, *options)
        assert done.returncode in (1, 64) and word in done.stderr, (options, done)
        assert not os.path.exists(stage.path("made.yaml"))


def test_a_bus_of_the_running_gateway_is_borrowed_and_given_back(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("c", "field", 1, "counter")
    stage.farm.start()
    stage.up(every="100ms")
    stage.subscriber.sample("c")
    mark = stage.daemon.mark()
    argv = command(stage, "--bus", stage.path("ttyFIELD"), "--broker", "none", "--yes", "--units", "1-2", "--baud", "9600",
                   "--format", "8N1")
    argv[argv.index("--output") + 1] = stage.config_path  # the file the gateway runs with: it knows the bus
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
                          env=environment())
    assert done.returncode == 0, done
    stage.daemon.wait_for_log("FG-BUS-PAUSED", after=mark)
    stage.daemon.wait_for_log("FG-BUS-RESUMED", 5, after=mark)
    served = stage.farm.ledger.count("c")
    stage.farm.ledger.wait_for(lambda book: book.count("c") > served, 5)


# ---- the README's first ten minutes ----

def test_the_readme_leads_from_nothing_to_data_at_a_broker(stage):
    """Each command as it is printed, but for sudo and paths; apt has been replaced by the build. Word by word and on a
    box of its own: tests/system/test_in_the_field.py."""
    port = a_line(stage)
    stage.start_broker()
    stage.configure(settings={"gateway": {"name": "as installed"}, "store": {"path": stage.path("state", "buffer.db")}})
    stage.start_daemon(profiles=PROFILES)
    commands = first_minutes().commands
    assert len(commands) < 10
    assert re.match(r"sudo apt install \./\S*fieldgate_\S+\.deb mosquitto mosquitto-clients$", commands[0]), commands[0]
    own = {"init": ["--output", stage.config_path, "--profiles", PROFILES, "--runtime-dir", stage.path("run")],
           "apply": ["--config", stage.config_path, "--profiles", PROFILES, "--runtime-dir", stage.path("run")],
           "status": ["--runtime-dir", stage.path("run")]}
    outputs = []
    for line in commands[1:]:
        words = shlex.split(line.replace("sudo ", "").replace("/dev/ttyUSB0", port).replace("1883", str(stage.broker.port)),
                            comments=True)
        if words[0] == "fieldgate":
            words = [default_binary(), *words[1:], *own[words[1]]]
        elif words[0] == "mosquitto_sub":
            words += ["-p", str(stage.broker.port)]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False,
                                  env=environment())
        except subprocess.TimeoutExpired as error:
            pytest.fail("%s\n%s\n%s\n%s" % (error, error.stdout, stage.daemon.status(), stage.daemon.log()))
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        outputs.append(done.stdout)
    assert '"soil_moisture":' in outputs[-1] and '"gateway":"farm-01"' in outputs[-1], outputs[-1]
