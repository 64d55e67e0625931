# SPDX-License-Identifier: Apache-2.0
"""The other commands: check, show, status, apply, version."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import yaml

import settings as config_file


def test_check_says_nothing_bad_about_a_good_file_and_opens_nothing(stage):
    stage.standard_farm()
    stage.start_broker()
    stage.configure()
    stage.start_daemon()  # a check beside a running daemon disturbs nothing
    done = stage.daemon.command("check", "--config", stage.config_path)
    assert done.returncode == 0, done
    assert "error" not in (done.stdout + done.stderr).lower()


def test_check_lists_every_problem_with_its_place_in_one_run(stage):
    stage.counter_farm(1)
    stage.start_broker()
    settings = stage.settings()
    settings["buses"][0]["prot"] = "x"
    settings["devices"][0]["bus"] = "nowhere"
    settings["devices"][0]["every"] = 5
    settings["uplinks"][0]["url"] = "http://x"
    stage.configure(settings)
    stage.start_daemon(wait=False)
    done = stage.daemon.command("check", "--config", stage.config_path)
    assert done.returncode == 78, done
    with open(stage.config_path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for text in ("prot: x", "bus: nowhere", "every: 5", "url: http://x"):
        number = next(i for i, line in enumerate(lines, 1) if text in line)
        assert "fieldgate.yaml:%d:" % number in done.stdout + done.stderr, (text, done)


def test_show_prints_what_is_in_effect_and_can_be_loaded_again(stage):
    stage.standard_farm()
    stage.start_broker()
    stage.configure()
    stage.start_daemon()
    first = stage.daemon.command("show", "--config", stage.config_path)
    assert first.returncode == 0, first
    shown = yaml.safe_load(first.stdout)
    assert {d["name"] for d in shown["devices"]} == {"soil-a1", "air-1", "meter"}
    assert shown["uplinks"][0]["version"] in (5, "5")
    again = stage.path("again.yaml")
    with open(again, "w", encoding="utf-8") as file:
        file.write(first.stdout)
    second = stage.daemon.command("show", "--config", again)
    assert second.returncode == 0 and second.stdout == first.stdout


def test_status_shows_every_device_and_the_link(stage):
    stage.standard_farm()
    stage.up(every="200ms")
    stage.subscriber.sample("meter")
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"]
                                 and all(d["state"] == "ok" for d in s["devices"]))
    done = stage.daemon.command("status", "--runtime-dir", stage.daemon.runtime)
    assert done.returncode == 0, done
    for word in ("soil-a1", "air-1", "meter", "province", "test-gw"):
        assert word in done.stdout
    everything = stage.daemon.command("status", "--all", "--runtime-dir", stage.daemon.runtime).stdout
    times = re.findall(r"answers in (\d+) ms \((\d+) to (\d+)\), waited for 1000 ms", everything)
    assert len(times) == 3 and all(int(least) <= int(mean) <= int(most) for mean, least, most in times), everything
    raw = stage.daemon.command("status", "--runtime-dir", stage.daemon.runtime, "--json")
    assert json.loads(raw.stdout)["gateway"] == "test-gw"


def test_status_says_when_nothing_runs(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    stage.daemon.stop()
    done = stage.daemon.command("status", "--runtime-dir", stage.daemon.runtime)
    assert done.returncode == 1


def test_status_names_a_dead_sensor_and_what_to_try(stage):
    stage.counter_farm(2)
    stage.farm.fault("counter-2", silent=True)
    stage.up(every="200ms")
    stage.daemon.wait_for_status(lambda s: any(d["state"] == "silent" for d in s["devices"]), 20)
    done = stage.daemon.command("status", "--runtime-dir", stage.daemon.runtime)
    assert "counter-2" in done.stdout and "A/B" in done.stdout, done.stdout


def test_the_gateways_own_accounts_add_up(stage):
    stage.counter_farm(2)
    stage.up(every="100ms")
    stage.subscriber.sample("counter-1")
    for _ in range(3):
        stamp = stage.daemon.status()["ts"]
        status = stage.daemon.wait_for_status(lambda s, t=stamp: s["ts"] > t)
        for uplink in status["uplinks"]:
            assert uplink["accepted"] == uplink["delivered"] + uplink["waiting"] + uplink["dropped"], uplink


def test_apply_changes_a_running_daemon_and_refuses_a_broken_file(stage):
    stage.counter_farm(2)
    stage.up(every="200ms", devices=["counter-1"])
    stage.subscriber.sample("counter-1")
    stage.configure(every="200ms")
    options = ("--config", stage.config_path, "--runtime-dir", stage.daemon.runtime)
    done = stage.daemon.command("apply", *options, seconds=20)
    assert done.returncode == 0, done
    stage.subscriber.sample("counter-2")
    settings = stage.settings(every="200ms")
    settings["devices"][0]["bus"] = "nowhere"
    config_file.write(stage.config_path, settings)
    done = stage.daemon.command("apply", *options, seconds=20)
    assert done.returncode == 78 and "nowhere" in done.stdout + done.stderr
    assert stage.daemon.running
    stage.wait_balanced()


def test_a_gateway_that_was_restarted_by_apply_is_still_known_as_running(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    options = ("--config", stage.config_path, "--runtime-dir", stage.daemon.runtime)
    for _ in range(2):
        done = stage.daemon.command("apply", *options, seconds=20)
        assert done.returncode == 0 and "applied" in done.stdout, done
        done = stage.daemon.command("status", "--runtime-dir", stage.daemon.runtime)
        assert done.returncode == 0, done


def test_signals_in_the_middle_of_a_restart_do_not_end_the_gateway(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    mark = stage.daemon.mark()
    for _ in range(40):
        os.kill(stage.daemon.pid, signal.SIGHUP)
        time.sleep(0.01)  # some while it stops, some while it starts
    stage.daemon.wait_for_log("FG-START", after=mark)
    code, _ = stage.daemon.stop()
    assert code == 0
    assert stage.daemon.lines("FG-STOP")[-1].endswith("everything is committed")


def test_apply_says_so_when_the_gateway_reads_another_file(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    other = stage.path("other.yaml")
    shutil.copy(stage.config_path, other)
    started = stage.daemon.status()["started_ts"]
    done = stage.daemon.command("apply", "--config", other, "--runtime-dir", stage.daemon.runtime, seconds=20)
    assert done.returncode == 1 and stage.config_path in done.stderr, done
    assert stage.daemon.status()["started_ts"] == started


def test_version_and_usage(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.configure()
    stage.start_daemon()
    assert stage.daemon.command("version").stdout.startswith("fieldgate ")
    assert stage.daemon.command("dance").returncode == 64
    assert stage.daemon.command("check", "--nonsense").returncode == 64


def test_output_that_cannot_be_written_is_a_failure(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    for command in (["version"], ["--help"], ["check", "--config", stage.config_path],
                    ["show", "--config", stage.config_path], ["status", "--runtime-dir", stage.daemon.runtime]):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([stage.daemon.binary, *command], stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=10, check=False)
        assert done.returncode == 1 and done.stderr, (command, done)
