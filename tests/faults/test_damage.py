# SPDX-License-Identifier: Apache-2.0
"""A damaged or shortened database: measuring goes on, no number is used twice, and what is gone is named."""

import contextlib
import os
import sqlite3

PAGE = 4096


def filled(stage, answers=300, broker_away=True):
    """A database with undelivered records in it, and the daemon stopped in good order; or killed."""
    stage.counter_farm(2)
    stage.up(every="50ms")
    stage.subscriber.sample("counter-1")
    if broker_away:
        stage.broker.stop()
    stage.farm.ledger.wait_for(lambda book, n=stage.farm.ledger.count(): book.count() >= n + answers, 60)


def database(stage):
    return os.path.join(stage.state_dir, "buffer.db")


def back_again(stage):
    """Daemon and broker run again; returns when new readings have arrived."""
    stage.farm.sync()
    newest = stage.farm.ledger.answers()[-1].ts
    stage.start_daemon()
    if not stage.broker.running:
        stage.broker.start()
    stage.subscriber.sample("counter-1", 20, since_ms=newest + 1)


def settle(stage):
    """Mutes the farm and waits for the last reading; what is missing then will not come. Returns the report."""
    stage.farm.mute()
    newest = {name: stage.ledger_polls(name)[-1].values["count"] for name in stage.farm.devices}
    for name, count in newest.items():
        stage.subscriber.sample(name, 20, where=lambda s, c=count: s.get("values", {}).get("count") == c)
    return stage.report()


def test_a_database_without_its_first_page_is_saved(stage):
    filled(stage)
    stage.daemon.stop()
    with open(database(stage), "r+b") as file:
        file.write(os.urandom(PAGE))
    back_again(stage)
    report = stage.wait_balanced(30)
    assert len(stage.ledger.streams) == 2
    opened = stage.ledger.events("stream_opened")[1]
    assert opened["reason"] == "damaged"
    assert report.dropped == 0
    (line,) = stage.daemon.lines("FG-STORE-SALVAGED")
    assert " path=%s " % database(stage) in line and "/%s " % opened["kept_as"] in line and " lost=0:" in line, line
    assert not stage.daemon.lines("FG-STORE-STREAM"), "told once"


def test_what_a_shortened_database_lost_is_named(stage):
    filled(stage)
    stage.daemon.stop()
    with open(database(stage), "r+b") as file:
        file.truncate(os.path.getsize(database(stage)) // 2 // PAGE * PAGE)
    back_again(stage)
    settle(stage)
    stage.subscriber.wait_for(lambda m: any(e["event"] == "samples_dropped" for e in m.json.get("events", ())),
                              20, "a loss event")
    report = stage.report()
    assert report.dropped == len(report.missing), report.text()
    assert all(e["reason"] == "corrupt" for e in stage.ledger.events("samples_dropped"))
    (line,) = stage.daemon.lines("FG-STORE-SALVAGED")
    told = sum(int(e["count"]) for e in stage.ledger.events("samples_dropped"))
    assert " lost=%d:" % told in line, (line, told)


def test_a_log_that_lost_its_last_writes_does_not_use_a_number_twice(stage):
    """What was published since then was real. Here within one boot, where only a failing disk cuts the log; after a
    power cut a new stream begins anyway, because cards may confirm a flush and forget it."""
    filled(stage, broker_away=False)
    stage.subscriber.wait_until(lambda: stage.report().delivered >= 250, 20)
    stage.daemon.kill()
    log = database(stage) + "-wal"
    with open(log, "r+b") as file:
        file.truncate(os.path.getsize(log) // 2)
    back_again(stage)
    report = settle(stage)
    assert not report.errors, report.text()
    assert [e["reason"] for e in stage.ledger.events("stream_opened")] == ["created", "log_cut"]
    (line,) = stage.daemon.lines("FG-STORE-STREAM")
    assert " reason=log_cut stream=%s:" % stage.daemon.status()["store"]["stream"] in line, line


def test_a_large_damaged_database_is_saved_beside_the_work(stage):
    """More than is saved at once: readings go on from memory meanwhile, then everything arrives under its own key."""
    filled(stage)
    stage.daemon.stop()
    with contextlib.closing(sqlite3.connect(database(stage))) as db, db:
        db.execute("CREATE TABLE ballast(bytes)")
        db.execute("INSERT INTO ballast VALUES(zeroblob(?))", (10 << 20,))
    with open(database(stage), "r+b") as file:
        file.write(os.urandom(PAGE))
    back_again(stage)
    stage.daemon.wait_for_status(lambda s: s["store"]["durable"], 60, "a saved database")
    report = stage.wait_balanced(30)
    assert report.dropped == 0
    assert [e["reason"] for e in stage.ledger.events("stream_opened")] == ["created", "damaged"]
    assert [e["kept_as"][:18] for e in stage.ledger.events("disk_recovered")] == ["buffer.db.damaged-"]
    (line,) = stage.daemon.lines("FG-STORE-SALVAGED")
    assert " path=%s " % database(stage) in line and " lost=0:" in line, line
