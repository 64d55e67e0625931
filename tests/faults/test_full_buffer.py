# SPDX-License-Identifier: Apache-2.0
"""The buffer reaches its cap during an outage: what had to go is named, number by number, and only the oldest went."""

import os

import settings as config_file

MAX_BYTES = 1 << 20


def buffer_bytes(stage):
    """Database and WAL together, as the file system sees them."""
    return sum(entry.stat().st_size for entry in os.scandir(stage.state_dir) if entry.name.startswith("buffer.db")
               and not entry.name.endswith("-shm"))


def test_a_full_buffer_drops_the_oldest_and_says_so(stage):
    stage.farm.add_tcp("line")
    for unit in range(1, 9):
        stage.farm.add_device("wide-%d" % unit, "line", unit, "wide")
    stage.farm.start()
    stage.start_broker()
    stage.subscribe()
    settings = stage.settings(every="50ms", uplinks=[
        config_file.uplink(stage.broker.url, batch={"max_delay": "200ms"})])
    settings["store"]["max_size"] = "1MiB"
    stage.configure(settings)
    stage.start_daemon()
    stage.subscriber.sample("wide-1")
    stage.broker.stop()
    status = stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["dropped"] > 300, 60, "a full buffer")
    assert status["store"]["bytes"] <= MAX_BYTES
    assert buffer_bytes(stage) <= MAX_BYTES
    stage.farm.mute()
    stage.broker.start()
    report = stage.wait_balanced(60)
    assert report.dropped > 300
    losses = [e for e in stage.ledger.events("samples_dropped")]
    assert losses and all(e["reason"] == "store_full" and e["uplink"] == "province" for e in losses)
    assert sum(int(e["count"]) for e in losses) == report.dropped, losses
    # The oldest went: whatever arrived from before the cut aside, nothing older than a dropped one was kept.
    for device in stage.farm.devices:
        missing = [poll.ts for name, poll in report.missing if name == device]
        last_lost = max(missing)
        kept_older = [r for r in stage.ledger.samples(device) if r.body["ts"] < last_lost and r.lane == "backlog"]
        assert not kept_older, (device, last_lost, kept_older[:3])
