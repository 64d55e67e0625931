# SPDX-License-Identifier: Apache-2.0
"""Nothing outside delays the start or the stop: not a missing port, not a dead sensor, not an absent broker."""

import os
import re
import signal
import time

import pytest

import settings as config_file
from broker import Broker
from certs import Authority
from preload import Resolver
from proc import free_port, wait_until

READY_WITHIN = 2.0
STOP_WITHIN = 5.0


def start_and_stop(stage, settings):
    """Starts, looks at READY and status.json, stops; returns the status seen."""
    stage.configure(settings)
    stage.start_daemon(wait=False)
    assert stage.daemon.wait_ready(READY_WITHIN + 3) < READY_WITHIN
    status = stage.daemon.wait_for_status(lambda s: s["gateway"] == "test-gw", READY_WITHIN)
    code, seconds = stage.daemon.stop(STOP_WITHIN)
    assert code == 0 and seconds < STOP_WITHIN
    return status


def settings_without_broker(stage, url=None, **options):
    url = url or "mqtt://127.0.0.1:%d" % free_port()
    return stage.settings(uplinks=[config_file.uplink(url)], **options)


def test_a_missing_broker_does_not_delay_the_start(stage):
    stage.standard_farm()
    start_and_stop(stage, settings_without_broker(stage))


def test_a_broker_name_that_nobody_knows_does_not_delay_the_start(stage):
    stage.standard_farm()
    start_and_stop(stage, settings_without_broker(stage, "mqtt://broker.invalid:1883"))


def test_a_missing_serial_port_does_not_delay_the_start_and_is_used_when_it_appears(stage):
    stage.farm.add_rtu("field", stage.path("ttyFIELD"))
    stage.farm.add_device("c", "field", 1, "counter")
    stage.farm.start()
    stage.start_broker()
    stage.subscribe()
    stage.farm.unplug("field")
    stage.configure(every="200ms")
    stage.start_daemon(wait=False)
    assert stage.daemon.wait_ready(5) < READY_WITHIN
    line = stage.daemon.wait_for_log("FG-BUS-PORT", 5)
    assert "bus=field" in line and "ttyFIELD" in line
    stage.farm.plug("field")
    stage.subscriber.sample("c", 30, where=lambda s: "values" in s)
    stage.farm.unplug("field")
    code, _ = stage.daemon.stop(STOP_WITHIN)
    assert code == 0


def test_a_dead_host_does_not_delay_start_or_stop(stage):
    stage.counter_farm(1)
    settings = settings_without_broker(stage)
    settings["buses"][0].update(host="192.0.2.1", timeout="10s")  # TEST-NET-1: nobody answers
    start_and_stop(stage, settings)


@pytest.mark.parametrize("protocol", ("rtu", "tcp", "rtu_over_tcp"))
def test_a_dead_sensor_does_not_delay_start_or_stop(stage, protocol):
    if protocol == "rtu":
        stage.farm.add_rtu("b", stage.path("tty"))
    else:
        getattr(stage.farm, "add_" + protocol)("b")
    stage.farm.add_device("c", "b", 1, "counter")
    stage.farm.start()
    stage.farm.fault("c", silent=True)
    settings = settings_without_broker(stage, every="1s")
    settings["buses"][0]["timeout"] = "10s"
    stage.configure(settings)
    stage.start_daemon(wait=False)
    assert stage.daemon.wait_ready(5) < READY_WITHIN
    stage.farm.ledger.wait_for(lambda book: book.requests("c"), 5, "question to the dead sensor")
    code, seconds = stage.daemon.stop(STOP_WITHIN)  # in the middle of waiting for its answer
    assert code == 0 and seconds < STOP_WITHIN


def test_a_frozen_broker_does_not_delay_the_stop(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    stage.subscriber.sample("counter-1")
    stage.broker.freeze()
    code, seconds = stage.daemon.stop(STOP_WITHIN)
    assert code == 0 and seconds < STOP_WITHIN


def test_a_second_daemon_on_the_same_store_is_refused(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    stage.subscriber.sample("counter-1")
    second = stage.daemon.command("run", "--config", stage.config_path, "--runtime-dir", stage.path("run2"),
                                  "--state-dir", stage.state_dir, seconds=10)
    assert second.returncode == 1 and "FG-START" in second.stderr
    assert stage.daemon.running


@pytest.fixture
def resolver(stage):
    return Resolver(stage.path("names"))


def test_a_restart_while_a_name_look_up_hangs_is_a_restart(stage, resolver):
    """In an outage the name server is out of reach, too."""
    resolver.know("hangs.example")
    resolver.hang("hangs.example")
    stage.counter_farm(1)
    stage.configure(settings_without_broker(stage, "mqtt://hangs.example:1883"))
    stage.start_daemon(preload=[resolver])
    wait_until(lambda: resolver.waited("hangs.example"), 10, "a look-up that hangs")
    first = stage.daemon.status()["started_ts"]
    os.kill(stage.daemon.pid, signal.SIGHUP)
    stage.daemon.wait_for_status(lambda s: s["started_ts"] != first)
    code, seconds = stage.daemon.stop(STOP_WITHIN)
    assert code == 0 and seconds < STOP_WITHIN


def test_a_name_that_is_looked_up_in_vain_holds_up_no_other_uplink(stage, resolver):
    """The TLS library's own look-up, of a name that had an answer a moment ago, must not be the one that hangs."""
    authority = Authority(stage.path("ca"))
    certificate = authority.issue("broker", "DNS:once.example")
    far = stage.ends.enter_context(Broker(stage.path("far"), tls=(authority.ca_file, *certificate)))
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    stage.configure(every="200ms", uplinks=[
        config_file.uplink("mqtts://once.example:%d" % far.port, "far", ca_file=authority.ca_file),
        config_file.uplink(stage.broker.url)])
    resolver.answer_once("once.example")
    stage.start_daemon(preload=[resolver])
    stage.subscriber.sample("counter-1", 10)
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 0, 15, "the uplink with the name")
    far.kill()
    wait_until(lambda: resolver.waited("once.example"), 30, "a look-up that hangs")
    begin_ms = int(time.time() * 1000)
    stage.subscriber.sample("counter-1", 15, since_ms=begin_ms)
    stage.wait_balanced()


# ---- what is open towards the outside

LISTENING = "0A"  # of a TCP socket, in /proc/net/tcp
ACCEPTS = "00010000"  # of a local one, in /proc/net/unix


def open_files(pid):
    return [os.readlink("/proc/%d/fd/%s" % (pid, number)) for number in os.listdir("/proc/%d/fd" % pid)]


def sockets(pid, kinds):
    """(kind, fields of the kernel's table) of each socket of the process that is of one of these kinds."""
    own = {found.group(1) for found in (re.fullmatch(r"socket:\[(\d+)\]", name) for name in open_files(pid)) if found}
    for kind in kinds:
        if not os.path.exists("/proc/%d/net/%s" % (pid, kind)):
            continue  # a kernel without IPv6
        with open("/proc/%d/net/%s" % (pid, kind), encoding="ascii", errors="replace") as file:
            for line in file:
                fields = line.split()
                if fields[6 if kind == "unix" else 9] in own:
                    yield kind, fields


def test_nothing_listens_but_the_control_socket_and_nothing_is_open_that_is_not_configured(stage):
    stage.standard_farm()
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="200ms", uplinks=[config_file.uplink(stage.broker.url, commands=["status", "poll"])])
    for device in settings["devices"]:
        device["enabled"] = device["name"] != "soil-a1"  # the only one on the serial line
    stage.configure(settings)
    stage.start_daemon()
    stage.subscriber.sample("meter", 15)
    stage.subscriber.sample("air-1", 15)
    pid = stage.daemon.pid
    network = list(sockets(pid, ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6")))
    assert len(network) >= 3, "broker, meter and converter: %s" % network
    assert all(kind.startswith("tcp") and fields[3] != LISTENING for kind, fields in network), network
    # By the name that it was made under, before it took its place.
    ways_in = [fields[7] for _, fields in sockets(pid, ("unix",)) if fields[3] == ACCEPTS]
    assert ways_in == [os.path.join(stage.daemon.runtime, "control.new")]
    assert not [name for name in open_files(pid) if name.startswith(("/dev/pts", "/dev/tty"))]
