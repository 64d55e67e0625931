# SPDX-License-Identifier: Apache-2.0
"""The judges are judged first: a ledger that cannot find a fault proves nothing."""

import json
import time

import paho.mqtt.client as mqtt
import pytest

from broker import Broker
from ledger import Ledger
from models import COUNTER
from served import ServedLedger
from subscriber import Message, Subscriber
from witness import Witness, now_ms


class Received:
    """Stands in for a subscriber: messages put together by hand."""

    def __init__(self):
        self._messages = []

    def messages(self, since=0):
        return self._messages[since:]

    def data(self, samples=(), events=(), stream="s1", lane="live", ts=0, **more):
        payload = {"v": 1, "gateway": "g", "stream": stream, "layout": 1, "sent": 0, **more,
                   "samples": [{"seq": q, "ts": ts, "device": "c", "values": {"count": n}} for q, n in samples],
                   "events": [{"seq": q, "ts": ts, **event} for q, event in events]}
        self._messages.append(Message(0, "t/data/" + lane, json.dumps(payload).encode(), False, "", ""))


@pytest.fixture
def balance():
    """(served n answers, received, judge) of one counting device."""
    book, received = ServedLedger(), Received()

    def serve(n):
        for _ in range(n):
            words = [0, book.count()]
            answer = book.admit(bus="b", device="c", unit=1, table="holding", address=0, words=words)
            book.settle(answer, True)

    ledger = Ledger(book, {"c": COUNTER.fields})
    return serve, received, lambda: ledger.take(received).report()


OPENED = (1, {"event": "stream_opened", "first": 1, "reason": "created"})


def test_the_ledger_balances_when_everything_arrived_once(balance):
    serve, received, judge = balance
    serve(3)
    received.data([(2, 0), (3, 1), (4, 2)], [OPENED])
    report = judge()
    assert report.balanced and (report.served, report.delivered, report.duplicates) == (3, 3, 0)


def test_the_ledger_finds_a_lost_sample(balance):
    serve, received, judge = balance
    serve(3)
    received.data([(2, 0), (3, 2)], [OPENED])
    report = judge()
    assert not report.balanced and report.waiting == 1 and report.missing[0][1].values == {"count": 1}


def test_the_ledger_finds_a_hole_in_the_numbers(balance):
    serve, received, judge = balance
    serve(2)
    received.data([(2, 0), (4, 1)], [OPENED])
    assert judge().holes == {"s1": [3]}


def test_the_ledger_finds_a_missing_beginning(balance):
    serve, received, judge = balance
    serve(1)
    received.data([(3, 0)], [OPENED])
    assert judge().holes == {"s1": [2]}


def test_the_ledger_finds_a_wrong_value_and_a_value_out_of_order(balance):
    serve, received, judge = balance
    serve(3)
    received.data([(2, 1), (3, 0), (4, 77)], [OPENED])
    assert len(judge().errors) == 2


def test_the_ledger_finds_a_value_delivered_under_two_numbers(balance):
    serve, received, judge = balance
    serve(1)
    received.data([(2, 0), (3, 0)], [OPENED])
    assert judge().errors


def test_the_ledger_accepts_equal_duplicates_and_refuses_changed_ones(balance):
    serve, received, judge = balance
    serve(2)
    received.data([(2, 0), (3, 1)], [OPENED])
    received.data([(3, 1)], lane="backlog")
    report = judge()
    assert report.balanced and report.duplicates == 1
    received.data([(3, 0)], lane="backlog")
    assert any("changed" in error for error in judge().errors)


def test_the_ledger_accepts_what_a_loss_event_names(balance):
    serve, received, judge = balance
    serve(4)
    lost = {"event": "samples_dropped", "uplink": "province", "from": 3, "to": 4, "count": 2, "reason": "store_full"}
    received.data([(2, 0), (5, 3)], [OPENED, (6, lost)])
    report = judge()
    assert report.balanced and report.dropped == 2 and not report.holes


def test_the_ledger_accepts_what_never_got_a_number_when_it_is_counted(balance):
    serve, received, judge = balance
    serve(3)
    lost = {"event": "samples_dropped", "count": 1, "reason": "queue_full"}
    received.data([(2, 0), (3, 2)], [OPENED, (4, lost)])
    assert judge().balanced
    serve(1)
    assert not judge().balanced


def test_what_never_got_a_number_counts_once_for_each_uplink_though_it_is_told_again(balance):
    serve, received, judge = balance
    serve(3)
    lost = {"event": "samples_dropped", "count": 1, "reason": "queue_full", "told_from": 4, "told_to": 4}
    received.data([(2, 0), (3, 2)], [OPENED, (4, {**lost, "uplink": "other"})])
    assert not judge().balanced
    received.data(events=[(5, {**lost, "uplink": "province"})])
    assert judge().balanced


def test_a_stream_may_go_on_after_another(balance):
    serve, received, judge = balance
    serve(4)
    received.data([(2, 0)], [OPENED], ts=100)
    received.data([(12, 1)], [(11, {"event": "stream_opened", "first": 11, "reason": "disk_failing"})], stream="s2", ts=200)
    received.data([(3, 2), (4, 3)], ts=300)
    assert judge().balanced


def test_only_a_stream_that_ended_in_memory_may_have_holes(balance):
    serve, received, judge = balance
    serve(3)
    received.data([(2, 0), (4, 2)], [OPENED], durable=False)
    report = judge()
    assert not report.holes and report.gone_with_memory == {"s1": [3]}
    assert report.waiting == 1  # what it measured is missing all the same
    received.data(events=[(5, {"event": "disk_recovered", "since": 0, "first": 1, "last": 4})])
    assert judge().holes == {"s1": [3]}


def test_a_loss_of_another_uplink_excuses_nothing(balance):
    serve, received, judge = balance
    serve(3)
    lost = {"event": "samples_dropped", "uplink": "other", "from": 3, "to": 3, "count": 1, "reason": "store_full"}
    received.data([(2, 0), (4, 2)], [OPENED, (5, lost)])
    report = judge()
    assert not report.balanced and report.dropped == 0 and report.holes


def test_a_bool_is_not_a_number_to_the_ledger(balance):
    serve, received, judge = balance
    serve(2)
    received.data([(2, 0), (3, True)], [OPENED])
    assert judge().errors


def publish(port, topic, payload):
    client = mqtt.Client(client_id="test-%d" % time.monotonic_ns(), protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(topic, payload, qos=1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def test_a_subscriber_misses_nothing_while_it_or_the_broker_is_away(folder):
    with Broker(folder) as broker:
        subscriber = Subscriber(broker.port).start()
        broker.save()
        publish(broker.port, "a", "1")
        subscriber.wait_for(lambda m: m.payload == b"1", 5)
        subscriber.stop()
        publish(broker.port, "a", "2")
        broker.stop()
        broker.start()
        again = Subscriber(broker.port).start()
        again.wait_for(lambda m: m.payload == b"2", 5)
        broker.save()
        broker.kill()
        broker.start()
        publish(broker.port, "a", "3")  # the session is known again before the subscriber is back
        again.wait_for(lambda m: m.payload == b"3", 5)
        again.stop()


def test_a_frozen_broker_keeps_its_port_and_says_nothing(folder):
    with Broker(folder) as broker:
        with Subscriber(broker.port) as subscriber:
            broker.freeze()
            client = mqtt.Client(client_id="probe", protocol=mqtt.MQTTv5)
            client.connect_async("127.0.0.1", broker.port)
            client.loop_start()
            assert not client.is_connected()
            broker.thaw()
            publish(broker.port, "a", "1")
            subscriber.wait_for(lambda m: m.payload == b"1", 5)
            client.disconnect()
            client.loop_stop()


def test_a_witness_tells_how_long_it_stood_still_and_only_of_the_time_it_is_asked_about(folder):
    with Witness(folder) as witness:
        begin = now_ms()
        witness.freeze()
        time.sleep(0.5)  # the time that is lost
        end = now_ms()
        witness.thaw()
        assert 400 <= witness.held_ms(begin, end) <= end - begin
        assert witness.held_ms(begin + 300, end) <= end - begin - 300
        assert witness.held_ms(begin, begin) == 0
