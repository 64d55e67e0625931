# SPDX-License-Identifier: Apache-2.0
"""machine - a Debian box in qemu: a kernel and systemd of its own, no network, USB adapters that come and go.

It changes nothing on this computer: what it writes to its disk is dropped at the end, and the kernel ends it with us.
With hardware virtualisation it is quick; without, the processor is emulated and everything takes about ten times
longer, so waits are given in seconds of a quick machine and stretched by `Machine.slow`.
"""

import base64
import json
import os
import random
import re
import shlex
import socket
import time
from dataclasses import dataclass

from proc import Child


def hardware_helps():
    """A /dev/kvm alone is not enough: some clouds have one that cannot run an ordinary kernel."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return re.search(r"^flags\b.* (vmx|svm)\b", file.read(), re.M) and os.access("/dev/kvm", os.R_OK | os.W_OK)


@dataclass(frozen=True)
class Result:
    """What a command in the machine said, and its exit code."""

    code: int
    out: str


class _Lines:
    """One JSON value a line over a Unix socket; an answer that came too late is never taken for the next one."""

    def __init__(self, path, deadline):
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self._rest = b""

    def send(self, value, mark=b""):
        self._socket.settimeout(60)
        self._socket.sendall(mark + json.dumps(value).encode() + b"\n")

    def receive(self, deadline):
        """The next value; TimeoutError when none comes in time."""
        while b"\n" not in self._rest:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("qemu has ended")
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        try:
            return json.loads(line.lstrip(b"\xff"))
        except ValueError:  # the rest of an answer whose beginning a restart took
            return {}

    def close(self):
        self._socket.close()


class Machine:
    """A context manager: leaving it switches the machine off and forgets its disk."""

    def __init__(self, image, folder):
        self._console = os.path.join(folder, "console.log")
        quick = hardware_helps()
        self.slow = 1 if quick else 6
        self.kind = "KVM" if quick else "an emulated processor"
        self._child = Child([
            "qemu-system-x86_64", "-nodefaults", "-display", "none", "-m", "768", "-smp", "2",
            "-accel", "kvm" if quick else "tcg,thread=multi", "-cpu", "host" if quick else "max",
            "-kernel", f"{image}/vmlinuz", "-initrd", f"{image}/initrd.img",
            "-append", "root=/dev/vda rw console=ttyS0 loglevel=4 systemd.show_status=no",
            "-drive", f"file={image}/root.img,format=raw,if=virtio,snapshot=on",
            "-nic", "none", "-serial", f"file:{self._console}", "-device", "virtio-rng-pci", "-device", "qemu-xhci",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
            "-chardev", f"socket,id=agent,path={folder}/agent,server=on,wait=off",
            "-qmp", f"unix:{folder}/qmp,server=on,wait=off"], os.path.join(folder, "qemu.log"))
        self._child.launch(dict(os.environ, TMPDIR=folder))
        try:
            self._qmp = _Lines(f"{folder}/qmp", self._deadline(10))
            self.order("qmp_capabilities")
            self._agent = _Lines(f"{folder}/agent", self._deadline(10))
            self._wait_booted()
        except BaseException:
            self.close()
            raise

    def _deadline(self, seconds):
        return time.monotonic() + seconds * self.slow

    # -- the box itself

    def order(self, command, **arguments):
        """An order to qemu; AssertionError when it refuses."""
        self._qmp.send({"execute": command, "arguments": arguments})
        while True:
            answer = self._qmp.receive(self._deadline(10))
            assert "error" not in answer, (command, answer)
            if "return" in answer:
                return answer["return"]

    def cut_power(self):
        """Off and on again in one moment: what was not on the disk is lost. Returns when it has booted."""
        before = self.run("cat /proc/sys/kernel/random/boot_id").out
        self.order("system_reset")
        self._wait_booted()
        assert self.run("cat /proc/sys/kernel/random/boot_id").out != before

    def plug_in(self, name, port=None, tty=None):
        """A USB serial adapter (an FT232, as the guest sees it) whose line ends at 127.0.0.1:port, or at a tty here,
        which is then set to the speed that the guest sets."""
        address = {"type": "inet", "data": {"host": "127.0.0.1", "port": str(port)}}
        end = {"type": "serial", "data": {"device": tty}} if tty else \
            {"type": "socket", "data": {"addr": address, "server": False}}
        self.order("chardev-add", id=name, backend=end)
        self.order("device_add", driver="usb-serial", chardev=name, id=f"{name}-adapter", serial=name)

    def unplug(self, name):
        self.order("device_del", id=f"{name}-adapter")
        self.wait_for("! ls /dev/ttyUSB*", 10)
        self.order("chardev-remove", id=name)

    def _wait_booted(self):
        deadline = self._deadline(60)
        while not self._in_step(self._deadline(1)):
            assert self._child.running, f"qemu has ended: {self._child.log()}"
            assert time.monotonic() < deadline, f"the machine does not boot: {self.console()[-3000:]}"
        self.wait_for("systemctl is-system-running | grep -E 'running|degraded'", 60)

    def _in_step(self, deadline):
        """True when the guest's agent answers us and nothing older. 0xff makes it forget half a request."""
        number = random.SystemRandom().randrange(1 << 30)
        self._agent.send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, mark=b"\xff")
        try:
            while self._agent.receive(deadline).get("return") != number:
                pass
        except TimeoutError:
            return False
        return True

    def console(self):
        with open(self._console, encoding="utf-8", errors="replace") as file:
            return file.read()

    # -- commands and files in it

    def _ask(self, command, **arguments):
        self._agent.send({"execute": command, "arguments": arguments})
        answer = self._agent.receive(self._deadline(30))
        assert "return" in answer, (command, answer)
        return answer["return"]

    def run(self, command, ok=True, seconds=20):
        """A shell command as root. ok: AssertionError when it fails. Both outputs come as one."""
        pid = self._ask("guest-exec", path="/bin/sh", arg=["-c", f"exec 2>&1; {command}"],
                        **{"capture-output": True})["pid"]
        deadline = self._deadline(seconds)
        while True:
            state = self._ask("guest-exec-status", pid=pid)
            if state["exited"]:
                break
            assert time.monotonic() < deadline, f"{command}: not done in {seconds * self.slow} s"
            time.sleep(0.02 * self.slow)
        result = Result(state.get("exitcode", -1), base64.b64decode(state.get("out-data", "")).decode("utf-8", "replace"))
        assert not ok or result.code == 0, f"{command}: exit code {result.code}\n{result.out}"
        return result

    def wait_for(self, command, seconds):
        """Runs the command until it succeeds; its output."""
        deadline = self._deadline(seconds)
        while True:
            result = self.run(command, ok=False)
            if result.code == 0:
                return result.out
            assert time.monotonic() < deadline, f"{command}: still fails after {seconds * self.slow} s:\n{result.out}"
            time.sleep(0.05 * self.slow)

    def write(self, path, content, mode="644"):
        """content: text or bytes."""
        data = content.encode() if isinstance(content, str) else content
        handle = self._ask("guest-file-open", path=path, mode="w")
        for start in range(0, len(data), 1 << 16):
            piece = base64.b64encode(data[start:start + (1 << 16)]).decode()
            self._ask("guest-file-write", handle=handle, **{"buf-b64": piece})
        self._ask("guest-file-close", handle=handle)
        self.run(f"chmod {mode} {shlex.quote(path)}")

    def close(self):
        for line in (getattr(self, "_qmp", None), getattr(self, "_agent", None)):
            if line:
                line.close()
        self._child.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
