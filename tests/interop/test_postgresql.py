# SPDX-License-Identifier: Apache-2.0
"""The worked example of docs/POSTGRESQL.md: consumer.js and schema.sql, against a real PostgreSQL."""

import json
import os
from decimal import Decimal

import paho.mqtt.publish as publish
import pytest

import settings as config_file
from daemon import ROOT
from ledger import Ledger
from outside import node_environment
from postgres import Postgres
from proc import Child, wait_until
from served import wall_ms

EXAMPLE = os.path.join(ROOT, "docs", "examples", "postgresql")
# commit_every, a poll in progress, and a busy machine.
AT_RISK_MS = 800


@pytest.fixture
def database(stage):
    with Postgres(stage.path("postgres")) as one:
        one.load(os.path.join(EXAMPLE, "schema.sql"))
        yield one


class Consumer:
    """The example as a child process."""

    def __init__(self, stage, database):
        self._env = {**node_environment(), **database.env, "MQTT_URL": stage.broker.url}
        self._child = Child(["node", os.path.join(EXAMPLE, "consumer.js")], stage.path("consumer.log"))
        stage.ends.callback(self._child.kill)

    def start(self):
        self._child.launch(self._env)
        return self

    def kill(self):
        self._child.kill()

    def log(self):
        return self._child.log()


class Table:
    """The table `record` as a Ledger wants its receivers: one message for each row."""

    class Row:
        lane, topic, ms = "table", "record", 0

        def __init__(self, line):
            row = json.loads(line, parse_float=Decimal)
            self.json = {"gateway": row["gateway"], "stream": row["stream"], "layout": row["layout"],
                         row["kind"] + "s": [row["body"]]}

    def __init__(self, database):
        self._rows = [self.Row(row[0]) for row in database.rows("SELECT to_json(r) FROM record r ORDER BY seq")]

    def messages(self, since=0):
        return self._rows[since:]


def wait_stored(stage, database, consumer, count):
    wait_until(lambda: int(database.one("SELECT count(*) FROM record")) >= count, 30,
               lambda: "%d records stored:\n%s" % (count, consumer.log()))


def settle(stage, database, consumer, killed_ms):
    """Nothing more is served; waits until the tables hold all that was, but for what the kill of the gateway may cost: polls
    that were not committed. Returns the report."""
    stage.farm.mute()

    def report():
        return Ledger.of_farm(stage.farm).take(Table(database)).report()

    def complete():
        now = report()
        excused = [poll for _, poll in now.missing if killed_ms - AT_RISK_MS <= poll.ts <= killed_ms]
        return not now.errors and not now.holes and len(now.missing) == len(excused) and now

    return wait_until(complete, 60, lambda: "the tables hold what was served\n%s\n%s" % (report().text(), consumer.log()))


def wait_subscribed(stage, consumer):
    wait_until(lambda: "Sending SUBACK to postgresql" in stage.broker.log(), 20, lambda: "the consumer:\n" + consumer.log())


def begin(stage, database):
    """A broker that tells of subscriptions, and the consumer with one."""
    stage.start_broker(extra=["log_type all"])
    consumer = Consumer(stage, database).start()
    wait_subscribed(stage, consumer)
    return consumer


def test_the_tables_are_the_ledger_exactly_once_though_consumer_gateway_and_database_are_killed(stage, database):
    stage.standard_farm()
    consumer = begin(stage, database)
    stage.configure(uplinks=[config_file.uplink(stage.broker.url, compress="gzip")], every="100ms")
    stage.start_daemon()
    for _ in range(2):
        wait_stored(stage, database, consumer, int(database.one("SELECT count(*) FROM record")) + 20)
        consumer.kill()
        stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["delivered"] > 0, 10)
        consumer.start()
    wait_stored(stage, database, consumer, int(database.one("SELECT count(*) FROM record")) + 20)
    database.kill()
    wait_until(lambda: "database: connect" in consumer.log(), 20, lambda: "a message that cannot be stored:\n" + consumer.log())
    consumer.kill()  # with that message in its hand: it must come again
    database.start()
    consumer.start()
    stage.daemon.kill()
    killed_ms = wall_ms()
    stage.farm.sync()
    stage.daemon.start()
    wait_stored(stage, database, consumer, int(database.one("SELECT max(seq) FROM record")) + 20)
    report = settle(stage, database, consumer, killed_ms)
    assert report.delivered > 60
    assert database.rows("SELECT * FROM hole") == []
    assert database.one("SELECT count(*) FROM unreadable") == "0"
    # Every value has found its unit, digit by digit as it was sent.
    assert database.one("SELECT count(*) FROM measurement WHERE unit IS NULL AND point IN ('air_temperature', 'voltage')") == "0"
    assert database.rows("SELECT DISTINCT unit FROM measurement WHERE point = 'air_temperature'") == [["Cel"]]
    good = "SELECT count(*) FROM record r, jsonb_each(body -> 'values')"
    assert database.one(good) == database.one("SELECT count(*) FROM reading") != "0"
    assert database.one("SELECT count(*) FROM reading m JOIN record r USING (gateway, stream, seq) "
                        "WHERE m.value IS DISTINCT FROM nullif(r.body -> 'values' -> m.point, 'null')::numeric") == "0"


def test_a_hole_is_seen_until_a_loss_event_names_it_and_what_cannot_be_read_stops_nothing(stage, database):
    consumer = begin(stage, database)

    def send(text, topic="fieldgate/v1/g/data/live"):
        publish.single(topic, text, qos=1, hostname="127.0.0.1", port=stage.broker.port)

    def message(*samples, events=()):
        return json.dumps({"v": 1, "gateway": "g", "stream": "s", "layout": 1, "sent": 1, "samples": samples,
                           "events": list(events)})

    def sample(seq, **more):
        return {"seq": seq, "ts": 1795230245123, "device": "d", **more}

    big = 18446744073709551615  # beyond what JavaScript can count
    send(message(sample(1, values={"total": big, "on": True}), sample(2, values={"t": None}, quality={"t": "out_of_range"},
                                                                      doubtful={"t": 6553.5})))
    send("this is not JSON")
    send(b"\x1f\x8bnor is this gzip")
    send(message(sample(6, stats={"t": {"min": 1, "mean": 1.25, "max": 2, "n": 4}}, **{"from": 1795230240123}), sample(9)))
    wait_stored(stage, database, consumer, 4)
    assert database.rows("SELECT point, value, quality, doubtful FROM reading ORDER BY seq, point") == [
        ["on", "1", "", ""], ["total", str(big), "", ""], ["t", "", "out_of_range", "6553.5"]]
    assert database.rows("SELECT point, mean, n, bad FROM summary") == [["t", "1.25", "4", "0"]]
    assert database.one("SELECT count(*) FROM unreadable") == "2"
    holes = "SELECT first, last FROM hole ORDER BY first"
    assert database.rows(holes) == [["3", "5"], ["7", "8"]]
    lost = {"seq": 10, "ts": 1795230246123, "event": "samples_dropped", "uplink": "province", "from": 3, "to": 5, "count": 3,
            "first_ts": None, "last_ts": None, "reason": "store_full"}
    send(message(events=[lost]))
    send(message(sample(2, values={"t": 3})))  # delivered again: the first stands
    wait_stored(stage, database, consumer, 5)
    assert database.rows(holes) == [["7", "8"]]
    assert database.rows("SELECT first, last, reason FROM loss") == [["3", "5", "store_full"]]
    send(message(sample(7), sample(8)), "fieldgate/v1/g/data/backlog")
    wait_stored(stage, database, consumer, 7)
    assert database.rows(holes) == [] and database.one("SELECT value FROM reading WHERE seq = 2") == ""
