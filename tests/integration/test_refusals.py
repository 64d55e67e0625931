# SPDX-License-Identifier: Apache-2.0
"""A broker that refuses messages: what is about the account waits, what is about one record does not keep the others,
and nothing is thrown away without proof. The first pause is a fraction of a second here instead of 5 s."""

import pytest

import settings as config_file
from refuser import Refuser

QUOTA, FORMAT, BY_A_RULE = 151, 153, 131
PAUSE_MS = 100
POISON = 20
PATIENCE_S = 60


def grow(stage, answers, seconds=30):
    """Waits for so many more answers."""
    stage.farm.ledger.wait_for(lambda book, n=stage.farm.ledger.count(): book.count() >= n + answers, seconds)


@pytest.fixture
def refuser(stage, request):
    """A farm of three counters, a broker that keeps everything (and has this line in its configuration), and what
    refuses before it."""
    stage.counter_farm(3)
    stage.start_broker(extra=[getattr(request, "param", "# nothing more")])
    stage.subscribe()
    return stage.ends.enter_context(Refuser(stage.broker.port))


def start(stage, refuser, **options):
    uplink = config_file.uplink(refuser.url, batch={"max_samples": 10}, **options)
    stage.configure(uplinks=[uplink], every="200ms")
    stage.start_daemon(env={"FG_REFUSAL_FIRST_MS": str(PAUSE_MS)})


def collect_a_backlog(stage, refuser, **options):
    stage.broker.stop()
    start(stage, refuser, **options)
    grow(stage, 90)
    stage.broker.start()


def dropped(stage):
    return stage.daemon.status()["uplinks"][0]["dropped"]


def wait_for_the_loss(stage):
    """The poison is set aside, told, and nothing else is missing."""
    def losses(message):
        return [e for e in message.json.get("events", ()) if e["event"] == "samples_dropped"] if message.lane else []

    told = losses(stage.subscriber.wait_for(losses, PATIENCE_S))
    assert [(e["from"], e["to"], e["count"], e["reason"]) for e in told] == [(POISON, POISON, 1, "refused")]
    assert "reason=%d" % FORMAT in stage.daemon.wait_for_log("FG-LINK-REFUSED", text="seq=%d" % POISON)
    assert stage.wait_balanced(PATIENCE_S).dropped == 1


def refusals(refuser):
    """What was offered from one refusal of the poison to the next, each time."""
    offers = refuser.offers()
    refused = [i for i, one in enumerate(offers) if POISON in one.seqs]
    return [offers[a:b + 1] for a, b in zip(refused, refused[1:])]


def test_a_record_that_is_never_taken_is_set_aside_with_an_event_and_all_others_arrive(stage, refuser):
    refuser.judge = lambda message: FORMAT if POISON in message.seqs else 0
    start(stage, refuser)
    wait_for_the_loss(stage)
    proofs = [between for between in refusals(refuser)
              if any(not one.reason and one.lane == between[-1].lane for one in between)]
    assert len(proofs) >= 5, "between its refusals the same topic took others"


@pytest.mark.parametrize("refuser", ["max_inflight_messages 1"], indirect=True)
def test_a_record_of_the_backlog_that_is_never_taken_keeps_neither_live_nor_backlog(stage, refuser):
    refuser.judge = lambda message: FORMAT if POISON in message.seqs else 0
    collect_a_backlog(stage, refuser)
    wait_for_the_loss(stage)
    meanwhile = [one for between in refusals(refuser) for one in between if not one.reason]
    assert {one.lane for one in meanwhile} == {"live", "backlog"}
    assert any(one.seqs[0] > POISON for one in meanwhile if one.lane == "backlog")


def test_a_quota_that_is_used_up_for_a_while_costs_nothing(stage, refuser):
    refuser.judge = lambda message: QUOTA
    start(stage, refuser)
    offers = refuser.wait_for(lambda seen: len(seen) >= 4, PATIENCE_S, "a fourth try")
    for lane in {one.lane for one in offers}:
        firsts = [one.seqs[0] for one in offers if one.lane == lane]
        assert firsts[-1] == min(firsts), "what was refused comes again before what is behind it"
    stage.daemon.wait_for_log("FG-LINK-REFUSED", text="reason=%d" % QUOTA)
    refuser.judge = lambda message: 0
    assert stage.wait_balanced(PATIENCE_S).dropped == 0
    assert dropped(stage) == 0 and not stage.ledger.events("samples_dropped")


@pytest.mark.parametrize("lane", ("live", "backlog"))
def test_a_broker_that_refuses_everything_by_a_rule_gets_everything_once_it_has_come_to_its_senses(stage, refuser, lane):
    refuser.judge = lambda message: BY_A_RULE
    start(stage, refuser) if lane == "live" else collect_a_backlog(stage, refuser)
    refuser.wait_for(lambda seen: sum(len(one.seqs) == 1 for one in seen) >= 3, PATIENCE_S, "single records")
    assert dropped(stage) == 0
    refuser.judge = lambda message: 0
    assert stage.wait_balanced(PATIENCE_S).dropped == 0
    assert dropped(stage) == 0 and not stage.ledger.events("samples_dropped")


def test_beside_a_live_lane_that_is_taken_a_refused_backlog_keeps_its_growing_pause(stage, refuser):
    refuser.judge = lambda message: QUOTA if message.lane == "backlog" else 0
    collect_a_backlog(stage, refuser)
    offers = refuser.wait_for(lambda seen: sum(one.lane == "backlog" for one in seen) >= 7, PATIENCE_S, "seven tries")
    tries = [i for i, one in enumerate(offers) if one.lane == "backlog"]
    pauses = [offers[b].at - offers[a].at for a, b in zip(tries, tries[1:])]
    assert pauses[-1] > PAUSE_MS / 1000 * 4, pauses
    assert any(one.lane == "live" and not one.reason for one in offers[tries[-2]:tries[-1]]), "live went on meanwhile"
    refuser.judge = lambda message: 0
    assert stage.wait_balanced(PATIENCE_S).dropped == 0
