# SPDX-License-Identifier: Apache-2.0
"""The link to the broker: TLS and what is wrong with it, credentials, fall-back brokers, refusals."""

import os

import pytest

import settings as config_file
from certs import Authority
from proc import free_port, wait_until
from proxy import Proxy

SECRET = "corr3ct-h0rse"


def tls_broker(stage, authority, certificate=None, **options):
    """A TLS broker with this certificate; a good one by default."""
    certificate = certificate or authority.issue("broker")
    return stage.start_broker(tls=(authority.ca_file, *certificate), **options)


def run_uplink(stage, **options):
    url = options.pop("url", None) or stage.broker.url
    stage.configure(uplinks=[config_file.uplink(url, **options)], every="200ms")
    return stage.start_daemon()


def refused(stage, word):
    """The daemon must say FG-LINK-TLS with the word, stay unconnected and go on measuring."""
    line = stage.daemon.wait_for_log("FG-LINK-TLS", 15)
    assert word.lower() in line.lower(), line
    assert "uplink=province" in line
    status = stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] > 3)
    assert status["uplinks"][0]["connected"] is False and status["uplinks"][0]["delivered"] == 0
    assert not stage.daemon.lines("FG-LINK-UP")


def test_tls_with_a_good_certificate_delivers(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    tls_broker(stage, authority)
    stage.subscribe(tls=(authority.ca_file, None, None))
    run_uplink(stage, ca_file=authority.ca_file)
    stage.subscriber.sample("counter-1")
    stage.wait_balanced()
    stage.daemon.wait_for_log("FG-LINK-UP")


def test_tls_names_a_wrong_authority(stage):
    stage.counter_farm(1)
    tls_broker(stage, Authority(stage.path("ca")))
    run_uplink(stage, ca_file=Authority(stage.path("other-ca"), "Another CA").ca_file)
    refused(stage, "CA")


def test_tls_names_an_expired_certificate(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    tls_broker(stage, authority, authority.issue("broker", days=-1))
    run_uplink(stage, ca_file=authority.ca_file)
    refused(stage, "expired")


def test_tls_names_a_certificate_for_another_host(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    tls_broker(stage, authority, authority.issue("broker", "DNS:mqtt.elsewhere.example"))
    run_uplink(stage, ca_file=authority.ca_file)
    refused(stage, "mqtt.elsewhere.example")


def test_tls_against_a_plain_broker_is_told(stage):
    stage.counter_farm(1)
    stage.start_broker()
    run_uplink(stage, url=stage.broker.url.replace("mqtt:", "mqtts:"),
               ca_file=Authority(stage.path("ca")).ca_file)
    refused(stage, "TLS")


def test_a_broker_that_wants_a_client_certificate_gets_it(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    tls_broker(stage, authority, client_certificates=True)
    certificate, key = authority.issue("gateway")
    stage.subscribe(tls=(authority.ca_file, certificate, key))
    run_uplink(stage, ca_file=authority.ca_file, cert_file=certificate, key_file=key)
    stage.subscriber.sample("counter-1")


def test_a_missing_client_certificate_is_told(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    tls_broker(stage, authority, client_certificates=True)
    run_uplink(stage, ca_file=authority.ca_file)
    refused(stage, "client certificate")


def test_certificate_files_are_read_again_at_each_connect(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    tls_broker(stage, authority)
    stage.subscribe(tls=(authority.ca_file, None, None))
    ca_file = stage.path("ca-in-use.pem")
    replace(ca_file, read(Authority(stage.path("other-ca")).ca_file))
    run_uplink(stage, ca_file=ca_file)
    stage.daemon.wait_for_log("FG-LINK-TLS", 15)
    replace(ca_file, read(authority.ca_file))
    stage.subscriber.sample("counter-1", 20)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def replace(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def test_user_and_password_are_sent_and_never_shown(stage):
    stage.counter_farm(1)
    stage.start_broker(users={"gw": SECRET})
    stage.subscribe(user=("gw", SECRET))
    replace(stage.path("password"), SECRET + "\n")
    run_uplink(stage, username="gw", password_file=stage.path("password"))
    stage.subscriber.sample("counter-1")
    texts = [stage.daemon.log(), str(stage.daemon.status()),
             *(stage.daemon.command(*c).stdout + stage.daemon.command(*c).stderr
               for c in (("show", "--config", stage.config_path), ("check", "--config", stage.config_path),
                         ("status", "--runtime-dir", stage.daemon.runtime)))]
    assert not any(SECRET in text for text in texts)
    assert all(SECRET.encode() not in m.payload for m in stage.subscriber.messages())


def test_a_wrong_password_is_told_and_a_corrected_one_is_taken_without_a_restart(stage):
    stage.counter_farm(1)
    stage.start_broker(users={"gw": SECRET})
    stage.subscribe(user=("gw", SECRET))
    replace(stage.path("password"), "wrong-" + SECRET)
    run_uplink(stage, username="gw", password_file=stage.path("password"))
    line = stage.daemon.wait_for_log("FG-LINK-FAILED", 10)
    assert "password" in line.lower() or "authori" in line.lower(), line
    assert SECRET not in stage.daemon.log()
    replace(stage.path("password"), SECRET)
    stage.subscriber.sample("counter-1", 20)
    stage.wait_balanced()


def test_the_second_broker_is_used_when_the_first_is_dead(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    run_uplink(stage, url=["mqtt://127.0.0.1:%d" % free_port(), stage.broker.url])
    stage.subscriber.sample("counter-1", 15)
    status = stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"])
    assert status["uplinks"][0]["url"] == stage.broker.url


def metrics(stage):
    with open(os.path.join(stage.daemon.runtime, "metrics.prom"), encoding="utf-8") as file:
        return file.read()


def test_a_broker_where_nobody_listens_is_told_in_log_status_and_metrics(stage):
    stage.counter_farm(1)
    stage.start_broker()
    run_uplink(stage)
    line = stage.daemon.wait_for_log("FG-LINK-UNHEARD", 15, text="data/live")
    assert "topic=fieldgate/v1/test-gw/data/live" in line, line
    uplink = stage.daemon.wait_for_status(lambda s: s["uplinks"][0].get("unheard") == ["live"]
                                          and s["uplinks"][0]["unheard_records"] >= 5)["uplinks"][0]
    assert uplink["delivered"] > 0 and uplink["dropped"] == 0 and uplink["refused"] == 0
    page = stage.daemon.command("status", "--runtime-dir", stage.daemon.runtime).stdout
    assert "NOBODY IS SUBSCRIBED to data/live" in " ".join(page.split()), page
    # Written right after the status.
    wait_until(lambda: 'fieldgate_uplink_unheard{uplink="province"} 1' in metrics(stage), 10, "it in the metrics")
    assert 'fieldgate_uplink_unheard_records_total{uplink="province"} 0' not in metrics(stage)
    stage.subscribe()
    stage.daemon.wait_for_log("FG-LINK-HEARD", 15)
    stage.daemon.wait_for_status(lambda s: "unheard" not in s["uplinks"][0])
    assert len(stage.daemon.lines("FG-LINK-UNHEARD")) == 1


@pytest.mark.parametrize("tls", (False, True))
def test_a_broker_that_worked_is_knocked_at_once_before_the_reason_is_looked_for(stage, tls):
    """When it restarts its whole fleet is at the door: each look for a reason would be one more knock."""
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    stage.start_broker(tls=(authority.ca_file, *authority.issue("broker")) if tls else None)
    door = stage.ends.enter_context(Proxy(stage.broker.port))
    scheme, files = ("mqtts", {"ca_file": authority.ca_file}) if tls else ("mqtt", {})
    run_uplink(stage, url="%s://127.0.0.1:%d" % (scheme, door.port), **files)
    stage.daemon.wait_for_log("FG-LINK-UP")
    assert door.accepted == 1
    stage.broker.stop()
    first = stage.daemon.wait_for_log("FG-LINK-FAILED", 15)
    assert "worked until now" in first, first
    wait_until(lambda: len(stage.daemon.lines("FG-LINK-FAILED")) == 2, 15, "the reason")
    assert "worked until now" not in stage.daemon.lines("FG-LINK-FAILED")[1]
    wait_until(lambda: door.accepted >= 4, 15, "somebody who looks for the reason")
    _, knock, next_knock, *_ = door.arrivals()
    assert next_knock - knock > 0.5  # the next attempt, a second later; who looks for a reason comes at once
    stage.broker.start()
    wait_until(lambda: len(stage.daemon.lines("FG-LINK-UP")) == 2, 15, "the link")


def test_what_a_broker_forbids_is_kept_and_delivered_once_it_allows_it(stage):
    stage.counter_farm(1)
    stage.start_broker(acl=["topic readwrite fieldgate/v1/test-gw/state", "topic read #"])
    stage.subscribe()
    run_uplink(stage)
    stage.daemon.wait_for_log("FG-LINK-REFUSED", 15)
    stage.farm.ledger.wait_for(lambda book, n=stage.farm.ledger.count(): book.count() >= n + 5, 10)
    status = stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["accepted"] >= 5)["uplinks"][0]
    assert status["delivered"] == 0
    assert status["accepted"] == status["waiting"] and status["dropped"] == 0
    assert not stage.subscriber.messages("data")
    stage.broker.stop()
    stage.broker.allow_everything()
    stage.broker.start()
    stage.wait_balanced(30)


def test_a_frozen_broker_is_noticed_and_nothing_is_lost(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    run_uplink(stage, keepalive="5s")
    stage.subscriber.sample("counter-1")
    stage.broker.freeze()
    stage.daemon.wait_for_log("FG-LINK-DOWN", 45)
    stage.broker.kill()
    stage.broker.start()
    stage.daemon.wait_for_log("FG-LINK-UP", 30, after=stage.daemon.log().find("FG-LINK-DOWN"))
    stage.wait_balanced(20)
