# SPDX-License-Identifier: Apache-2.0
"""Nothing outside delays the start or the stop: not a missing port, not a dead sensor, not an absent broker."""

import os
import signal
import subprocess
import time

import pytest

import settings as config_file
from broker import Broker
from certs import Authority
from proc import free_port

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


HANGING_RESOLVER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    static _Atomic int asked;
    const char *once = name && strstr(name, "once.example") ? name : NULL;
    while ((name && strstr(name, "hangs.example")) || (once && asked++ > 0))
        pause();
    if (once)
        name = "127.0.0.1";
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(name, port, hints, ret);
}
"""


def start_with_hanging_resolver(stage, monkeypatch):
    """hangs.example never gets an answer, once.example only the first time: 127.0.0.1."""
    source, library = stage.path("hang.c"), stage.path("hang.so")
    with open(source, "w", encoding="utf-8") as file:
        file.write(HANGING_RESOLVER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
    monkeypatch.setenv("LD_PRELOAD", library)
    monkeypatch.setenv("ASAN_OPTIONS", "verify_asan_link_order=0")
    stage.start_daemon()
    monkeypatch.undo()


def test_a_restart_while_a_name_look_up_hangs_is_a_restart(stage, monkeypatch):
    """In an outage the name server is out of reach, too."""
    stage.counter_farm(1)
    stage.configure(settings_without_broker(stage, "mqtt://hangs.example:1883"))
    start_with_hanging_resolver(stage, monkeypatch)
    first = stage.daemon.status()["started_ts"]
    os.kill(stage.daemon.pid, signal.SIGHUP)
    stage.daemon.wait_for_status(lambda s: s["started_ts"] != first)
    code, seconds = stage.daemon.stop(STOP_WITHIN)
    assert code == 0 and seconds < STOP_WITHIN


def test_a_name_that_is_looked_up_in_vain_holds_up_no_other_uplink(stage, monkeypatch):
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
    start_with_hanging_resolver(stage, monkeypatch)
    stage.subscriber.sample("counter-1", 10)
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 0, 15, "the uplink with the name")
    far.kill()
    stage.daemon.wait_for_log("FG-LINK-DOWN", 15, text="uplink=far")
    begin_ms = int(time.time() * 1000) + 3000  # its next look-up hangs by then
    stage.subscriber.sample("counter-1", 15, since_ms=begin_ms)
    stage.wait_balanced()
