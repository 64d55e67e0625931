# SPDX-License-Identifier: Apache-2.0
"""The life of the package on a real Debian box with a real systemd: one machine, one story, in this order.

Every test leaves the service running on FARM with the adapter in, unless it says otherwise, and wants it so.
"""

import pathlib
import re
import subprocess

import pytest

from models import npk_probe
from readme import first_minutes

PORT = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_FG0001-if00-port0"

FARM = f"""\
gateway: {{name: Edited by a technician}}
buses:
  - {{name: field, protocol: rtu, port: {PORT}, baud: 9600, timeout: 2s}}
devices:
  - {{name: air-1, bus: field, unit: 1, profile: xy-md02, every: 2s}}
uplinks:
  - {{name: province, url: "mqtt://127.0.0.1:1883", username: farm, credential: province-password}}
"""
SECRET = "a secret of thirty characters!"


def test_the_readmes_first_command_installs_without_network_brings_what_is_needed_and_it_runs_at_once(box, package):
    """Nothing that it needs was there before; the example configuration is in place. The package lies where `make deb`
    has put it."""
    assert box.run("ip link 2>/dev/null || ls /sys/class/net").out.split() == ["lo"]
    box.run("useradd --create-home technician && echo 'technician ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/technician")
    box.run("runuser -u technician -- mkdir /home/technician/build")
    box.write(f"/home/technician/build/{package.name}", package.read_bytes())
    box.as_technician(first_minutes().commands[0], seconds=120)
    state, enabled = box.show("ActiveState", "UnitFileState")
    assert (state, enabled) == ("active", "enabled")
    assert "every device is switched off" in box.run("fieldgate check").out
    assert box.status()["config"] == "current"
    assert box.run(f"stat -c '%a %U' {box.CONFIG}").out == "644 root\n"


def test_the_readmes_next_commands_lead_from_an_unknown_sensor_to_data_at_a_broker(box):
    """As they stand there, and `init` says what stands there. The probe answers at 4800 bits a second and as unit 7 only."""
    readme = first_minutes()
    assert len(readme.commands) < 10
    box.farm.add_rtu("unknown", f"{box.folder}/ttyUNKNOWN")
    box.farm.add_device("soil", "unknown", 7, npk_probe(7), setting=(4800, "8N1"))
    box.machine.plug_in("FG0007", tty=box.farm.buses["unknown"].link)
    try:
        box.wait_for("test -c /dev/ttyUSB0", 20)
        said = [box.as_technician(line, seconds=60).out for line in readme.commands[1:]]
    finally:
        box.run("systemctl disable --now mosquitto")
        box.machine.unplug("FG0007")
    assert comparable(readme.search) in comparable(said[0]), said[0]
    assert "cwt-soil-npk-s-1" in said[-2], said[-2]
    assert '"gateway":"farm-01"' in said[-1] and '"soil_moisture":' in said[-1], said[-1]


def comparable(text):
    """Without the progress of the search, the time in a file's name, and an estimate that depends on the payload."""
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith("scan:")]
    text = re.sub(r"\.old-[0-9]{8}-[0-9]{6}", ".old-TIME", "".join(lines))
    return re.sub(r"about [0-9.]+ [kM]B", "about SO MUCH", text)


def test_after_a_power_cut_it_starts_with_nothing_plugged_in_and_no_network_and_is_ready_at_once(box):
    box.run("install -m 600 /dev/null /etc/fieldgate/credentials/province-password")
    box.write(box.CONFIG, FARM)
    box.write("/etc/fieldgate/credentials/province-password", SECRET, mode="600")
    assert "applied" in box.run("fieldgate apply").out
    box.wait_for("test $(fieldgate status --json | grep -o '\"newest\":[0-9]*' | cut -d: -f2) -ge 4", 20)
    kept = box.status()["store"]["newest"]

    box.machine.cut_power()
    assert box.run("ls /dev/ttyUSB*", ok=False).code != 0
    box.wait_for("systemctl is-active fieldgate", 10)
    assert box.show("NRestarts") == "0"
    assert box.status()["store"]["records"] >= kept, "what had been committed was lost with the power"

    # While a box boots everything is slow, so the time is taken again in peace.
    box.run("systemctl restart fieldgate")
    started, ready = (int(v) for v in box.show("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic"))
    assert (ready - started) / 1e6 < 1.5 * box.slow


def test_the_daemon_is_not_root_and_cannot_become_it(box):
    status = box.run(f"cat /proc/{box.show('MainPID')}/status").out
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) == {box.run("id -u fieldgate").out.strip()} != {"0"}
    assert "dialout" in box.run("id -Gn fieldgate").out.split()
    assert all(int(fields[c], 16) == 0 for c in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"))
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2", "no system call filter is in force"


def test_it_can_write_its_own_folders_and_nothing_else(box):
    """Asked of the kernel, in the daemon's own view of the file system and with its own identity."""
    pid = box.show("MainPID")
    found = box.run(f"nsenter -t {pid} -m setpriv --reuid fieldgate --regid fieldgate --init-groups "
                    "find / '(' -path /proc -o -path /sys -o -path /dev ')' -prune -o ! -type l -writable -print "
                    "2>/dev/null || true", seconds=60).out.split()
    folders = {re.sub(r"^((/var)?/[a-z]+(/[a-z]+)?).*", r"\1", path) for path in found}
    strangers = {f for f in folders if not f.startswith(("/var/lib/fieldgate", "/run/fieldgate", "/tmp", "/var/tmp"))}
    assert "/var/lib/fieldgate" in folders
    assert strangers <= {"/run/systemd", "/run/dbus", "/run/lock"}, found


def test_systemd_sees_little_that_it_could_be_misused_for(box):
    out = box.run("systemd-analyze security --no-pager --threshold=15 fieldgate.service").out
    level = re.search(r"Overall exposure level for fieldgate.service: (\d+\.\d+)", out)
    assert float(level.group(1)) <= 1.5, out


@pytest.mark.parametrize("major, kind, allowed", [
    (188, "ttyUSB", True), (166, "ttyACM", True), (4, "ttyS", True), (204, "ttyAMA", True),
    (180, "usb/hiddev, a device it has no business with", False), (10, "misc", False)])
def test_the_kernel_lets_it_open_serial_ports_by_number_whether_a_driver_is_loaded_or_not(box, major, kind, allowed):
    """A node without a driver behind it: ENXIO says that only the device is missing, EPERM that it is forbidden."""
    box.run(f"mknod /dev/fieldgate-test c {major} 200 && chmod 666 /dev/fieldgate-test")
    opened = box.run("echo $$ >/sys/fs/cgroup/system.slice/fieldgate.service/cgroup.procs && "
                     "LC_ALL=C; exec 3<>/dev/fieldgate-test", ok=False)
    box.run("rm /dev/fieldgate-test")
    assert ("Operation not permitted" in opened.out) == (not allowed), (kind, opened.out)
    assert opened.code == 0 or re.search(r"No such device|Operation not permitted|Input/output", opened.out), opened.out


def test_an_adapter_that_is_plugged_in_long_after_the_start_works_and_again_after_it_was_pulled_out(box):
    """The USB serial drivers are not even loaded when the service starts."""
    assert "usbserial" not in box.run("cat /proc/modules").out
    assert box.status()["devices"][0]["failed_with"] == "not_connected"
    pid = box.show("MainPID")
    box.plug_in()
    seq = box.wait_for_reading()
    box.unplug()
    box.wait_for("fieldgate status --json | grep -q '\"failed_with\":\"not_connected\"'", 30)
    box.plug_in()
    box.wait_for_reading(after=seq)
    assert box.show("MainPID") == pid, "it was restarted"


def test_a_killed_daemon_is_back_after_five_seconds_and_goes_on_in_its_numbers(box):
    pid, stream = int(box.show("MainPID")), box.status()["store"]["stream"]
    seq = box.wait_for_reading()
    box.run(f"kill -9 {pid}")
    box.wait_restarted(pid, 15)
    box.wait_for_reading(after=seq)
    assert box.status()["store"]["stream"] == stream
    assert box.show("NRestarts") == "1"


def test_a_daemon_that_hangs_is_killed_by_the_watchdog_and_started_again(box):
    pid = int(box.show("MainPID"))
    seq = box.wait_for_reading()
    box.run(f"kill -STOP {pid}")
    box.wait_restarted(pid, 70)
    assert "Watchdog timeout" in box.run("journalctl -u fieldgate -b --no-pager -o cat").out
    box.wait_for_reading(after=seq)


def test_a_secret_reaches_the_daemon_by_systemd_and_nobody_else(box):
    """A real broker that asks for the password, on the box itself."""
    box.run(f"mosquitto_passwd -b -c /etc/mosquitto/passwd farm '{SECRET}' && chown mosquitto /etc/mosquitto/passwd")
    box.write("/etc/mosquitto/conf.d/farm.conf", "listener 1883 127.0.0.1\npassword_file /etc/mosquitto/passwd\n")
    box.run("systemctl restart mosquitto fieldgate")  # not waiting for the next attempt, which may be a minute away
    box.wait_for("fieldgate status --json | grep -q '\"connected\":true'", 60)
    box.wait_for("fieldgate status --json | grep -q '\"delivered\":[1-9]'", 30)
    nobody = "setpriv --reuid nobody --regid nogroup --clear-groups cat"
    for path in ("/etc/fieldgate/credentials/province-password",
                 "/run/credentials/fieldgate.service/credentials_province-password"):
        assert SECRET in box.run(f"cat {path}").out
        assert "Permission denied" in box.run(f"{nobody} {path}", ok=False).out
    everything = "journalctl -b -u fieldgate --no-pager; systemctl show fieldgate; cat /run/fieldgate/*.json /run/fieldgate/*.prom; " \
                 f"tr '\\0' '\\n' </proc/{box.show('MainPID')}/environ"
    assert SECRET not in box.run(everything).out


def test_a_new_password_is_in_force_after_apply(box):
    """A restart renews the credentials; that is why `apply` goes through systemd."""
    box.run("mosquitto_passwd -b /etc/mosquitto/passwd farm 'the next secret' && systemctl restart mosquitto")
    box.wait_for("fieldgate status --json | grep -q '\"connected\":false'", 30)
    box.write("/etc/fieldgate/credentials/province-password", "the next secret", mode="600")
    assert "applied" in box.run("fieldgate apply").out
    box.wait_for("fieldgate status --json | grep -q '\"connected\":true'", 60)


def test_with_a_wrong_configuration_it_runs_on_the_last_good_one_and_says_so(box):
    pid = int(box.show("MainPID"))
    seq = box.wait_for_reading()
    box.write(box.CONFIG, FARM.replace("xy-md02", "xy-md20"))
    refused = box.run("fieldgate apply", ok=False)
    assert (refused.code, int(box.show("MainPID"))) == (78, pid), refused.out
    box.run("systemctl restart fieldgate")
    assert box.status()["config"] == "fallback"
    box.wait_for_reading(after=seq)
    said = box.run("systemctl status --no-pager --lines=20 fieldgate").out
    assert "FG-CONFIG-FALLBACK" in said and "fieldgate.yaml:5:" in said and 'did you mean "xy-md02"' in said, said
    box.write(box.CONFIG, FARM)
    assert "applied" in box.run("fieldgate apply").out
    assert box.status()["config"] == "current"


def test_without_any_good_configuration_it_ends_with_78_once_and_tells_why(box):
    box.write(box.CONFIG, FARM.replace("xy-md02", "xy-md20"))
    box.run("systemctl stop fieldgate && mv /var/lib/fieldgate /var/lib/fieldgate.away")
    box.run("systemctl start fieldgate", ok=False)
    box.wait_for("systemctl is-failed fieldgate", 10)
    # After a failure that is worth another try the state would be "activating (auto-restart)".
    assert box.show("ActiveState", "SubState", "ExecMainStatus") == ["failed", "failed", "78"]
    said = box.run("systemctl status --no-pager fieldgate", ok=False).out
    assert "status=78" in said and "fieldgate.yaml:5:" in said and 'did you mean "xy-md02"' in said, said
    box.run("rm -rf /var/lib/fieldgate && mv /var/lib/fieldgate.away /var/lib/fieldgate")
    box.write(box.CONFIG, FARM)
    box.run("systemctl start fieldgate")


def newer(package, folder):
    """The same package with a higher version and another example configuration."""
    tree, changed = f"{folder}/tree", f"{folder}/newer.deb"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    for path, old, new in (("DEBIAN/control", "\nVersion: ", "\nVersion: 99."),
                           ("etc/fieldgate/fieldgate.yaml", "Example farm", "Example of the next version")):
        file = pathlib.Path(tree, path)
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, changed], check=True, stdout=subprocess.DEVNULL)
    return changed


def test_an_upgrade_keeps_the_edited_configuration_and_the_buffer_and_restarts_it(box, package):
    pid, stream, seq = int(box.show("MainPID")), box.status()["store"]["stream"], box.wait_for_reading()
    before = box.readings()
    box.install(newer(package, box.folder))
    assert box.run("dpkg-query -W -f '${Version}' fieldgate").out.startswith("99.")
    assert box.run(f"cat {box.CONFIG}").out == FARM
    assert "Example of the next version" in box.run(f"cat {box.CONFIG}.dpkg-dist").out
    box.wait_restarted(pid, 15)
    box.wait_for_reading(after=seq)
    assert box.readings()[:len(before)] == before
    assert box.status()["store"]["stream"] == stream


def test_a_removal_stops_it_and_keeps_configuration_and_readings(box):
    pid = box.show("MainPID")
    box.run("dpkg --remove fieldgate", seconds=60)
    assert box.run(f"kill -0 {pid}", ok=False).code != 0
    assert box.run("systemctl status fieldgate", ok=False).code == 4, "systemd still knows the unit"
    assert box.run(f"cat {box.CONFIG}").out == FARM
    box.run("test -s /var/lib/fieldgate/buffer.db && test -s /etc/fieldgate/credentials/province-password")
    assert box.run("ls /run/fieldgate", ok=False).code != 0
    assert box.run("which fieldgate", ok=False).code != 0


def test_installed_again_it_goes_on_where_it_stopped_and_a_purge_leaves_nothing(box, package):
    box.install(package)
    box.wait_for_reading(after=1)
    assert box.run(f"cat {box.CONFIG}").out == FARM
    box.run("dpkg --purge fieldgate", seconds=60)
    left = box.run("find / -xdev -path /root -prune -o -path /home -prune -o -path /proc -prune -o -path /sys -prune -o "
                   "-name '*fieldgate*' -print; find /run -name '*fieldgate*'", seconds=60).out.split()
    assert [p for p in left if not p.startswith("/var/lib/systemd/timesync")] == []
    assert box.run("systemctl list-units --all --no-legend 'fieldgate*'; systemctl --failed --no-legend").out == ""
