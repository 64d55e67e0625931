# SPDX-License-Identifier: Apache-2.0
"""Which brokers an uplink works with, how it gets there safely, and which it refuses, each with its own word."""

import socket
import ssl
import subprocess
import threading
import time
import warnings

import pytest

import settings as config_file
from broker import Broker
from certs import Authority
from proc import free_port, wait_until
from proxy import Proxy


def run(stage, url, env=None, **options):
    stage.configure(uplinks=[config_file.uplink(url, **options)], every="200ms")
    return stage.start_daemon(env=env)


def plain_and(stage, port, *lines, authority=None, **options):
    """A broker with a plain listener for the subscriber and, on `port`, one of another kind."""
    tls = []
    if authority:
        certificate, key = authority.issue("broker")
        tls = ["cafile " + authority.ca_file, "certfile " + certificate, "keyfile " + key]
    stage.start_broker(extra=["listener %d 127.0.0.1" % port, *lines, *tls, "allow_anonymous true"], **options)
    stage.subscribe()


# ---- transports

@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss", "mqtts with our certificate", "wss with our certificate"])
def test_readings_arrive_over(stage, scheme):
    stage.counter_farm(1)
    word, _, mutual = scheme.partition(" ")
    authority = Authority(stage.path("ca"))
    port = free_port()
    plain_and(stage, port, *(["protocol websockets"] if word.startswith("ws") else []),
              *(["require_certificate true"] if mutual else []),
              authority=authority if word in ("mqtts", "wss") else None)
    files = {"ca_file": authority.ca_file} if word in ("mqtts", "wss") else {}
    if mutual:
        files["cert_file"], files["key_file"] = authority.issue("gateway")
    run(stage, "%s://127.0.0.1:%d" % (word, port), **files)
    stage.subscriber.sample("counter-1", 15)
    stage.wait_balanced()


def test_3_1_1_works_and_its_silence_about_refusals_is_told_at_each_start(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    run(stage, stage.broker.url, version="3.1.1")
    stage.subscriber.sample("counter-1", 15)
    assert "lost unseen" in stage.daemon.wait_for_log("FG-CONFIG-WARNING", text="3.1.1")
    stage.daemon.stop()
    mark = stage.daemon.mark()
    stage.daemon.start()
    stage.daemon.wait_for_log("FG-CONFIG-WARNING", text="3.1.1", after=mark)
    stage.wait_balanced()


# ---- whom it refuses

def broker_with(stage, authority, certificate):
    return stage.start_broker(tls=(authority.ca_file, *certificate))


def refused(stage, uplink, *words):
    """Its own line says why, at once and not when our patience ends, and it has nothing."""
    line = stage.daemon.wait_for_log("FG-LINK-TLS", 20, text="uplink=%s " % uplink)
    for word in words:
        assert word in line, line
    failed = stage.daemon.wait_for_log("FG-LINK-FAILED", text="uplink=%s " % uplink)
    assert "no answer from" not in failed, failed
    status = stage.daemon.wait_for_status(lambda s: one_of(s, uplink)["waiting"] > 2)
    assert one_of(status, uplink)["connected"] is False and one_of(status, uplink)["delivered"] == 0


def one_of(status, uplink):
    return next(u for u in status["uplinks"] if u["name"] == uplink)


class TlsServer:
    """Takes whoever trusts it and keeps what it is told. authority: whose clients it wants to see a certificate of.
    version: the only one it speaks, an old one. Its key exchange by RSA then needs no signature of the old kind: with
    others OpenSSL 3 would give up for another reason."""

    def __init__(self, certificate, authority=None, version=None):
        self.told = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if authority:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(authority.ca_file)
        if version:
            self._context.set_ciphers("AES128-SHA:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self._context.minimum_version = self._context.maximum_version = version
        self._context.load_cert_chain(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:  # nobody waits for another's silence
            threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, client):
        client.settimeout(30)
        try:
            with self._context.wrap_socket(client, server_side=True) as talk:
                heard = talk.recv(100)
                self.told += [heard] if heard else []
        except OSError:
            pass  # a handshake that failed, as it should


def uplinks_to(servers, **files):
    """Two for each {name: TlsServer}, one for each scheme."""
    return [config_file.uplink("%s://127.0.0.1:%d" % (scheme, server.port), "%s-%s" % (name, scheme), username="gw", **files)
            for name, server in servers.items() for scheme in ("mqtts", "wss")]


def test_a_broker_that_is_not_the_right_one_is_refused_over_mqtts_and_wss_before_it_hears_anything(stage):
    stage.counter_farm(1)
    authority, other = Authority(stage.path("ca")), Authority(stage.path("other"), "Another CA")
    good = authority.issue("broker")
    servers = {
        "stranger": TlsServer(other.issue("broker")),
        "self-signed": TlsServer(Authority.self_signed(stage.path("self"))),
        "expired": TlsServer(authority.issue("expired", days=-1)),
        "tomorrow": TlsServer(authority.issue_later("tomorrow")),
        "elsewhere": TlsServer(authority.issue("elsewhere", "DNS:mqtt.elsewhere.example")),
    }
    without, unknown = {"no-certificate": TlsServer(good, authority)}, {"unknown-certificate": TlsServer(good, authority)}
    certificate, key = other.issue("gateway")
    files = {"ca_file": authority.ca_file}
    stage.configure(every="200ms", uplinks=uplinks_to({**servers, **without}, **files)
                    + uplinks_to(unknown, cert_file=certificate, key_file=key, **files))
    stage.start_daemon()
    for scheme in ("mqtts", "wss"):
        refused(stage, "stranger-" + scheme, "authority")
        refused(stage, "self-signed-" + scheme, "self-signed")
        refused(stage, "expired-" + scheme, "expired at")
        refused(stage, "tomorrow-" + scheme, "valid only from", "set the clock")
        refused(stage, "elsewhere-" + scheme, "for mqtt.elsewhere.example, not for 127.0.0.1")
        refused(stage, "no-certificate-" + scheme, "none is configured")
        refused(stage, "unknown-certificate-" + scheme, "does not accept")
    assert not any(server.told for server in [*servers.values(), *without.values(), *unknown.values()])


def test_tls_older_than_1_2_is_refused_even_where_the_machine_would_allow_it(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    certificate = authority.issue("old", kind="rsa:2048")
    servers = {"tls-1-0": TlsServer(certificate, version=ssl.TLSVersion.TLSv1),
               "tls-1-1": TlsServer(certificate, version=ssl.TLSVersion.TLSv1_1)}
    lax = {"OPENSSL_CONF": stage.path("lax.cnf")}
    with open(lax["OPENSSL_CONF"], "w", encoding="utf-8") as file:
        file.write("openssl_conf = all\n[all]\nssl_conf = modules\n[modules]\nsystem_default = lax\n"
                   "[lax]\nMinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n")
    for server in servers.values():
        subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port], input=b"hello", env=lax,
                       check=False, capture_output=True)
        assert server.told == [b"hello"]  # the machine would allow it
    stage.configure(every="200ms", uplinks=uplinks_to(servers, ca_file=authority.ca_file))
    stage.start_daemon(env=lax)
    for name, server in servers.items():
        for scheme in ("mqtts", "wss"):
            refused(stage, "%s-%s" % (name, scheme), "only TLS older than 1.2")
        assert server.told == [b"hello"]


def test_any_host_name_is_accepted_only_by_its_own_key_and_that_is_never_silent(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    broker_with(stage, authority, authority.issue("broker", "DNS:mqtt.elsewhere.example"))
    run(stage, stage.broker.url, ca_file=authority.ca_file, tls={"insecure_accept_any_host_name": True})
    stage.daemon.wait_for_log("FG-LINK-UP", 15)
    for _ in range(2):
        line = stage.daemon.wait_for_log("FG-CONFIG-WARNING", text="insecure_accept_any_host_name")
        assert "pose as the broker" in line
        stage.daemon.stop()
        stage.daemon.start()
    assert len(stage.daemon.lines("FG-CONFIG-WARNING")) >= 2
    state = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(stage.broker.port), "--cafile",
                            authority.ca_file, "--insecure", "-t", "fieldgate/v1/test-gw/state", "-C", "1", "-W", "10"],
                           capture_output=True, text=True, check=True).stdout
    assert '"insecure":["any_host_name"]' in state


def test_a_wrong_authority_is_refused_although_any_host_name_is_accepted(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"))
    broker_with(stage, authority, authority.issue("broker"))
    run(stage, stage.broker.url, ca_file=Authority(stage.path("other"), "Another CA").ca_file,
        tls={"insecure_accept_any_host_name": True})
    refused(stage, "province", "authority")


# ---- certificates over time

def test_our_certificate_is_read_again_at_each_connect_and_its_end_told_once(stage):
    stage.counter_farm(1)
    authority = Authority(stage.path("ca"), days=20)
    stage.start_broker(tls=(authority.ca_file, *authority.issue("broker")), client_certificates=True,
                       extra=["use_identity_as_username true"])
    first, key = authority.issue("gateway", days=12)
    second, second_key = authority.issue("gateway-renewed")
    run(stage, stage.broker.url, ca_file=authority.ca_file, cert_file=first, key_file=key)
    stage.daemon.wait_for_log("FG-LINK-UP", 15)
    assert "'gateway'" in stage.broker.log()
    for new, old in ((second, first), (second_key, key)):
        with open(new, encoding="utf-8") as source, open(old, "w", encoding="utf-8") as target:
            target.write(source.read())
    stage.broker.stop()
    mark = stage.daemon.mark()
    stage.broker.start()
    stage.daemon.wait_for_log("FG-LINK-UP", 15, after=mark)
    wait_until(lambda: "'gateway-renewed'" in stage.broker.log(), 5, "the renewed certificate at the broker")
    lines = stage.daemon.lines("FG-LINK-EXPIRES")
    assert len(lines) == 2, lines
    assert any("cert_file=" in line and "days_left=11" in line for line in lines), lines
    assert any("ca_file=" in line and "days_left=19" in line for line in lines), lines


# ---- back to the first broker

def test_the_uplink_returns_to_the_first_broker_and_stays_there(stage):
    stage.counter_farm(2)
    stage.start_broker()
    stage.subscribe()
    first, second = stage.broker, Broker(stage.path("second"))
    stage.ends.callback(second.kill)
    first.stop()
    second.start()
    run(stage, [first.url, second.url], env={"FG_RETURN_EVERY_MS": "500"})
    stage.daemon.wait_for_log("FG-LINK-UP", 15, text=second.url)
    stage.daemon.wait_for_log("FG-LINK-RETURN", 15, text="cannot be used yet")
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 5)
    first.start()
    stage.daemon.wait_for_log("FG-LINK-UP", 15, text=first.url)
    assert not stage.daemon.lines("FG-LINK-DOWN")
    stage.subscriber.sample("counter-1", 10)
    time.sleep(1.5)  # three times as long as it takes to think of moving again
    assert len(stage.daemon.lines("FG-LINK-UP")) == 2


def test_one_broker_behind_both_urls_ends_the_old_connection_and_nothing_is_lost(stage):
    stage.counter_farm(2)
    stage.start_broker()
    stage.subscribe()
    with Proxy(stage.broker.port) as first:
        first.refuse()
        url = "mqtt://127.0.0.1:%d" % first.port
        run(stage, [url, stage.broker.url], env={"FG_RETURN_EVERY_MS": "500"})
        stage.daemon.wait_for_log("FG-LINK-UP", 15, text=stage.broker.url)
        stage.subscriber.sample("counter-1", 10)
        first.admit()
        stage.daemon.wait_for_log("FG-LINK-UP", 15, text=url)
        stage.wait_balanced()
        assert len(stage.daemon.lines("FG-LINK-UP")) == 2
