# SPDX-License-Identifier: Apache-2.0
"""Two gateways with the same id on one broker: noticed, said, and no war without end."""

import os

import settings as config_file
from daemon import Daemon
from proc import wait_until


def twin(stage, uplink=None):
    """A second gateway with the configuration of the first, its id included: a folder of its own."""
    folder = stage.path("twin")
    os.makedirs(os.path.join(folder, "state"))
    path = os.path.join(folder, "fieldgate.yaml")
    settings = stage.settings(every="200ms", **({"uplinks": [uplink]} if uplink else {}))
    settings["store"]["path"] = os.path.join(folder, "state", "buffer.db")
    config_file.write(path, settings)
    other = Daemon(folder, path, state_dir=os.path.join(folder, "state"))
    stage.ends.callback(other.close)
    return other


def test_two_gateways_with_one_id_are_told_apart_and_take_turns(stage):
    stage.counter_farm(1)
    stage.up(every="200ms")
    first = stage.daemon
    first.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 0)
    second = twin(stage).start()
    second.wait_for_status(lambda s: s["uplinks"][0]["connects"] > 0)
    # Each pushes the other one out, until one of them has seen enough. This broker closes without a word.
    both = [first, second]
    loser = wait_until(lambda: [d for d in both if d.lines("FG-ID-CLASH")], 60, "FG-ID-CLASH")[0]
    winner = both[1 - both.index(loser)]
    line = loser.lines("FG-ID-CLASH")[0]
    for word in ("client_id=test-gw-province", "gateway=test-gw", "second gateway"):
        assert word in line, line
    uplink = loser.wait_for_status(lambda s: s["uplinks"][0].get("id_clash"))["uplinks"][0]
    assert uplink["connected"] is False and uplink["next_try_in_ms"] > 20000, uplink
    said = loser.command("status", "--runtime-dir", loser.runtime)
    assert "ANOTHER CLIENT USES OUR client_id" in " ".join(said.stdout.split()), said.stdout
    # The one that stands delivers; the one that waits measures on and loses nothing.
    delivered = winner.status()["uplinks"][0]["delivered"]
    now = winner.wait_for_status(lambda s: s["uplinks"][0]["delivered"] >= delivered + 10)["uplinks"][0]
    assert now["connected"] and now["connects"] <= 6, now
    kept = loser.wait_for_status(lambda s: s["uplinks"][0]["waiting"] > 5)["uplinks"][0]
    assert kept["accepted"] == kept["delivered"] + kept["waiting"] and kept["dropped"] == 0, kept
    assert kept["connects"] <= 6 and len(loser.lines("FG-ID-CLASH")) == 1
    assert not winner.lines("FG-ID-CLASH"), "the other one stays away"


def test_two_gateways_with_client_ids_of_their_own_on_one_topic_are_noticed(stage):
    stage.counter_farm(1)
    stage.start_broker()
    stage.subscribe()
    uplink = config_file.uplink(stage.broker.url, commands=["status"], client_id="first-box")
    stage.configure(uplinks=[uplink], every="200ms")
    stage.start_daemon()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 0)
    second = twin(stage, {**uplink, "client_id": "second-box"}).start()
    second.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 0)
    line = stage.daemon.wait_for_log("FG-ID-CLASH", 20)
    for word in ("topic=fieldgate/v1/test-gw", "gateway=test-gw", "another gateway publishes on our topic"):
        assert word in line, line
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0].get("topic_clash"))
    said = stage.daemon.command("status", "--runtime-dir", stage.daemon.runtime)
    assert "ANOTHER GATEWAY PUBLISHES ON OUR TOPIC" in " ".join(said.stdout.split()), said.stdout
    # Neither is held up by it.
    for daemon in (stage.daemon, second):
        delivered = daemon.status()["uplinks"][0]["delivered"]
        uplink = daemon.wait_for_status(lambda s, n=delivered: s["uplinks"][0]["delivered"] >= n + 5)["uplinks"][0]
        assert uplink["connects"] == 1 and "id_clash" not in uplink, uplink
    assert len(stage.daemon.lines("FG-ID-CLASH")) == 1


def test_a_broker_that_comes_and_goes_is_no_clash(stage):
    """Its restarts end connections early, too, but attempts fail between."""
    stage.counter_farm(1)
    stage.up(every="200ms")
    for connects in range(1, 5):
        stage.daemon.wait_for_status(lambda s, n=connects: s["uplinks"][0]["connects"] >= n and s["uplinks"][0]["connected"])
        mark = stage.daemon.mark()
        stage.subscriber.wait_until(lambda n=len(stage.subscriber): len(stage.subscriber) > n, 10)
        stage.broker.stop()
        stage.daemon.wait_for_log("FG-LINK-FAILED", 15, after=mark)
        stage.broker.start()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["connected"], 15)
    assert not stage.daemon.lines("FG-ID-CLASH")
