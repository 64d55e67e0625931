# SPDX-License-Identifier: Apache-2.0
"""The systemd files are read by systemd's own tools, offline: nothing is started or installed."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from daemon import default_binary

SYSTEMD = pathlib.Path(__file__).resolve().parents[2] / "systemd"
UNIT = SYSTEMD / "fieldgate.service"


def tool(name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def run(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return result.returncode, result.stdout


def settings(path):
    """Every `Key=value` of the unit as a list of pairs; a key may stand more than once."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return [tuple(line.split("=", 1)) for line in lines if "=" in line and not line.startswith("#")]


def values(key):
    return [value for k, value in settings(UNIT) if k == key]


@pytest.fixture
def verifiable(tmp_path):
    """The unit with a program that exists here in place of ours, which is not installed on a build machine."""
    text = UNIT.read_text()
    assert text.count("/usr/bin/fieldgate") == 1
    copy = tmp_path / "fieldgate.service"
    copy.write_text(text.replace("/usr/bin/fieldgate", "/bin/true"))
    return copy


def test_systemd_finds_nothing_to_say_about_the_unit(verifiable):
    code, output = run(tool("systemd-analyze"), "verify", "--man=no", str(verifiable))
    assert (code, output) == (0, "")


def test_verify_would_complain_about_a_misspelt_setting(verifiable):
    """Guards the test above: silence must mean that the unit was read."""
    verifiable.write_text(verifiable.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    _, output = run(tool("systemd-analyze"), "verify", "--man=no", str(verifiable))
    assert "WatchdogSecs" in output


def test_the_exposure_that_systemd_computes_is_at_most_1_5():
    code, output = run(tool("systemd-analyze"), "security", "--offline=true", "--no-pager", "--threshold=15", str(UNIT))
    level = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", output)
    assert level, output
    assert float(level.group(1)) <= 1.5
    assert code == 0


def test_the_account_is_made_and_may_open_serial_ports(tmp_path):
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (etc / "group").write_text("root:x:0:\ndialout:x:20:\n")
    code, output = run(tool("systemd-sysusers"), f"--root={tmp_path}", str(SYSTEMD / "fieldgate.sysusers"))
    assert code == 0, output
    account = [line.split(":") for line in (etc / "passwd").read_text().splitlines() if line.startswith("fieldgate:")]
    assert len(account) == 1 and account[0][6].endswith("nologin")
    assert "dialout:x:20:fieldgate" in (etc / "group").read_text().splitlines()
    assert values("User") == ["fieldgate"]
    assert values("SupplementaryGroups") == ["dialout"]


def test_only_root_can_look_into_the_folder_of_credentials(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (tmp_path / "etc" / "group").write_text("root:x:0:\n")
    code, output = run(tool("systemd-tmpfiles"), "--create", f"--root={tmp_path}", str(SYSTEMD / "fieldgate.tmpfiles"))
    if code == 73 and "Operation not permitted" in output:
        pytest.skip("systemd-tmpfiles may not set owners here: not running as root")
    assert code == 0, output
    folder = tmp_path / "etc" / "fieldgate" / "credentials"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert values("LoadCredential") == ["credentials:/etc/fieldgate/credentials"]


def test_a_missing_folder_of_credentials_does_not_stop_the_gateway():
    """systemd.exec(5): a SetCredential= of the same id is the fallback; without one the start fails."""
    assert [v.split(":")[0] for v in values("SetCredential")] == ["credentials"]


def test_serial_ports_are_allowed_by_number_so_that_adapters_may_be_plugged_in_later():
    """A name such as char-ttyUSB is looked up when the unit starts and dropped when no adapter is there yet."""
    allowed = values("DeviceAllow")
    assert allowed and all(re.fullmatch(r"char-\d+ rw", entry) for entry in allowed), allowed
    assert {"char-188 rw", "char-166 rw", "char-4 rw", "char-204 rw"} <= set(allowed)
    assert values("DevicePolicy") == ["closed"]


def test_it_is_never_given_up_in_the_field_except_when_starting_again_cannot_help():
    assert values("Restart") == ["always"]
    assert values("StartLimitIntervalSec") == ["0"]
    assert values("RestartPreventExitStatus") == ["64 78"]
    assert values("Type") == ["notify"]
    assert values("WatchdogSec") == ["30"]


def test_measuring_does_not_wait_for_the_network_or_for_an_exact_clock():
    ordering = " ".join(values("After") + values("Wants") + values("Requires"))
    assert "network-online" not in ordering
    assert "time-sync" not in ordering


@pytest.mark.parametrize("key", ["PrivateDevices", "ProcSubset", "ExecReload", "DynamicUser", "PrivateNetwork", "Environment"])
def test_settings_that_would_break_it_are_absent(key):
    """PrivateDevices hides serial ports, ProcSubset the boot id; there is no live reload; secrets do not travel in
    the environment."""
    assert values(key) == []


def test_nothing_must_be_filled_in_before_it_can_be_installed():
    for path in SYSTEMD.iterdir():
        assert "@" not in re.sub(r"@(system-service|privileged|resources|obsolete)", "", path.read_text()), path.name


CONFIGURATION_WITH_SECRET = """
buses:
  - {name: field, protocol: rtu, port: /dev/ttyUSB0}
devices:
  - {name: pump, bus: field, unit: 1, points: [{name: running, register: coil, address: 0}]}
uplinks:
  - {name: province, url: "mqtts://mqtt.example:8883", username: farm, credential: province-password}
"""


@pytest.mark.parametrize("file_name", ["credentials_province-password", "province-password"])
def test_the_program_finds_a_secret_where_the_unit_puts_it(tmp_path, file_name):
    """LoadCredential= of a folder names each file ID_FILE (systemd.exec(5)); a drop-in with a LoadCredential= of its
    own for one file names it as it likes."""
    (credential_id, _), = [value.split(":") for value in values("LoadCredential")]
    assert credential_id == "credentials"
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / file_name).write_text("s3cret\n")
    (secrets / file_name).chmod(0o400)
    configuration = tmp_path / "fieldgate.yaml"
    configuration.write_text(CONFIGURATION_WITH_SECRET)
    done = subprocess.run([default_binary(), "check", "--config", str(configuration)], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=dict(os.environ, CREDENTIALS_DIRECTORY=str(secrets), LC_ALL="C.UTF-8"))
    assert done.returncode == 0, done.stdout
    assert "s3cret" not in done.stdout


def test_the_shipped_configuration_is_good_and_becomes_so_without_a_warning_once_its_examples_are_switched_on(tmp_path):
    shipped = SYSTEMD.parent / "config" / "fieldgate.yaml"
    mine = tmp_path / "fieldgate.yaml"
    mine.write_text("".join(line for line in shipped.read_text(encoding="utf-8").splitlines(True)
                            if not line.strip().startswith("enabled: false")), encoding="utf-8")
    for path, warnings in ((shipped, 1), (mine, 0)):
        done = subprocess.run([default_binary(), "check", "--config", str(path), "--profiles",
                               str(shipped.parent / "profiles")], text=True, timeout=60, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0 and done.stdout.count(" warning: ") == warnings, done.stdout


def test_every_shipped_profile_is_good_on_a_bus_with_its_factory_setting(tmp_path):
    """Without a warning, too: the factory speed and unit of a profile must fit the checks of the configuration."""
    config = SYSTEMD.parent / "config"
    for number, path in enumerate(sorted((config / "profiles").glob("*.yaml"))):
        # What a maker does not say is not in the profile, and then any setting of the bus fits.
        line = yaml.safe_load(path.read_text()).get("line") or {}
        baud, frame, unit = line.get("baud", 9600), line.get("format", "8N1"), line.get("unit", 1)
        configuration = tmp_path / f"{number}.yaml"
        configuration.write_text(f"""
buses:
  - {{name: field, protocol: rtu, port: /dev/serial/by-id/usb-adapter, baud: {baud}, format: {frame}}}
devices:
  - {{name: sensor, bus: field, unit: {unit}, profile: {path.stem}, every: 60s}}
uplinks:
  - {{name: province, url: "mqtts://mqtt.example:8883"}}
""")
        done = subprocess.run([default_binary(), "check", "--strict", "--config", str(configuration), "--profiles",
                               str(config / "profiles")], text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
