# SPDX-License-Identifier: Apache-2.0
"""A receiver that lost its books has what is still stored sent once more, under the same keys."""


def test_what_was_delivered_comes_again_with_the_same_keys(stage):
    stage.counter_farm(1)
    stage.up(every="100ms")
    stage.subscriber.wait_until(lambda: stage.report().delivered >= 20, 20)
    stage.wait_balanced()
    stage.daemon.wait_for_status(lambda s: s["uplinks"][0]["waiting"] == 0)  # the broker's word has come, too
    before = set(stage.ledger.records)
    answer = stage.daemon.ask(command="resend", uplink="province", **{"from": 3, "to": 12})
    assert answer == {"id": 1, "ok": True, "count": 10}
    stage.subscriber.wait_until(lambda: stage.report().duplicates >= 10, 20)
    report = stage.report()
    assert not report.errors and report.duplicates == 10, report.text()
    assert {seq for _, seq in before} >= set(range(3, 13))


def test_an_uplink_that_is_not_there_is_named(stage):
    stage.counter_farm(1)
    stage.up()
    answer = stage.daemon.ask(command="resend", uplink="nobody", **{"from": 1, "to": 2})
    assert not answer["ok"] and answer["code"] == "not_found" and "nobody" in answer["error"]
