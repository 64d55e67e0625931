# SPDX-License-Identifier: Apache-2.0
"""The judge of `make bench-peers` is judged first: what it cannot find, nobody did wrong."""

import socket
from types import SimpleNamespace

import pytest

from peer_ledger import Book, Verdict
from served import Answer
from wire_line import WireTcp

S = 1000


def word(unit, register, n):
    """tests/sim/unit_table.h says what a register tells."""
    return register << 11 | unit << 8 | n


def book(*entries):
    """A simulator's book with (time, unit, first register, number of the answer, fault): two registers each."""
    answers = [Answer(number=i, ts=ts, bus="line", device="u%d" % unit, unit=unit, table="holding", address=first,
                      words=[word(unit, first, n), word(unit, first + 1, n)], exception=None, fault=fault,
                      written=fault != "dropped") for i, (ts, unit, first, n, fault) in enumerate(entries)]
    return Book(SimpleNamespace(answers=lambda: answers))


def verdict(of, readings, end=100 * S):
    messages = [SimpleNamespace(ms=reading[3] + 250, reading=reading) for reading in readings]
    return Verdict(of, messages, lambda message: [message.reading], 0, end, 500)


PUNCTUAL = [(i * S, 1, 0, i, None) for i in range(10)]
ALL_OF_IT = [(1, r, word(1, r, i), i * S + 3) for i in range(10) for r in (0, 1)]


def test_what_arrives_is_delivered_and_nothing_is_wrong():
    v = verdict(book(*PUNCTUAL), ALL_OF_IT)
    assert (v.served, v.delivered, v.lost, v.wrong, v.stale) == (20, 20, 0, 0, 0)
    assert v.ages == [250] * 20


def test_a_reading_that_does_not_arrive_is_lost():
    assert verdict(book(*PUNCTUAL), ALL_OF_IT[:-1]).lost == 1


def test_a_reading_that_arrives_twice_counts_once():
    v = verdict(book(*PUNCTUAL), ALL_OF_IT[:-1] + ALL_OF_IT[:1])
    assert (v.delivered, v.lost) == (19, 1)


@pytest.mark.parametrize("value", [word(1, 1, 4), word(2, 0, 4)], ids=["register", "unit"])
def test_a_value_of_another_register_or_unit_is_wrong(value):
    v = verdict(book(*PUNCTUAL), ALL_OF_IT + [(1, 0, value, 4 * S + 10)])
    assert v.wrong == 1


def test_an_answer_that_was_lying_about_is_stale_and_not_delivered():
    v = verdict(book(*PUNCTUAL), [(1, 0, word(1, 0, 4), 5 * S + 3)])
    assert (v.stale, v.good) == (1, 0)


def test_a_late_answer_is_nobodys_loss_and_good_when_it_is_used_at_once():
    late = book(*PUNCTUAL[:4], (4 * S + 600, 1, 0, 4, "late"))
    unused, used = verdict(late, ALL_OF_IT[:8]), verdict(late, ALL_OF_IT[:8] + [(1, 0, word(1, 0, 4), 4 * S + 601)])
    assert (unused.lost, unused.good) == (0, 8)
    assert (used.lost, used.good, used.stale) == (0, 9, 0)


def test_the_same_word_again_minutes_later_is_another_answer():
    v = verdict(book((0, 1, 0, 7, None), (256 * S, 1, 0, 7, None)), [(1, 0, word(1, 0, 7), 256 * S + 2)], end=300 * S)
    assert (v.served, v.delivered) == (4, 1)
    assert v.ages == [250]


def test_periods_are_counted_wherever_the_window_begins():
    assert verdict(book(*PUNCTUAL), [], end=9 * S + 1).polled(S) == 1
    assert verdict(book(*PUNCTUAL), [], end=10 * S - 1).polled(S) == 1


def test_a_poller_that_stops_or_leaves_periods_out_has_not_polled_them():
    assert verdict(book(*PUNCTUAL), [], end=20 * S).polled(S) == pytest.approx(9 / 20)
    assert verdict(book(*PUNCTUAL[::2]), [], end=9 * S).polled(S) == pytest.approx(0.5)
    assert verdict(book(), []).polled(S) == 0


def test_the_simulators_words_are_what_the_judge_takes_them_for():
    with WireTcp("3", 4) as simulator:
        with socket.create_connection(("127.0.0.1", simulator.port), timeout=10) as master:
            master.sendall(bytes([0, 1, 0, 0, 0, 6, 3, 3, 0, 2, 0, 2]))
            answer = b""
            while len(answer) < 13:
                answer += master.recv(64)
        words = [int.from_bytes(answer[i:i + 2], "big") for i in (9, 11)]
        assert words == [word(3, 2, 0), word(3, 3, 0)]
        found = Book(simulator).served
    assert [key for _, key in found] == [(0, 2), (0, 3)]
