# SPDX-License-Identifier: Apache-2.0
"""The judge of the benchmark's grid is judged first: it pays for points, not for questions."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench"))

from bench_grid import Cost, Judge, cheapest, chosen, points_of, read_profile  # noqa: E402

BAUD = 9600


def profile(*addresses, max_hole=0):
    return {"points": [{"register": "holding", "address": a} for a in addresses], "limits": {"max_hole": max_hole}}


def answers(judge_cost, polls):
    """As the simulator writes them down: (unit, function, address, count, microseconds); the first one only begins."""
    now_us, times = 0, [(1, 3, 0, 1, 0)]
    for unit, function, address, count in polls:
        now_us += judge_cost.of(function, count) * 1e6
        times.append((unit, function, address, count, now_us))
    return times


@pytest.mark.parametrize("devices", [1, 8, 32])
@pytest.mark.parametrize("baud", [1200, 9600, 115200])
def test_a_line_that_carries_only_the_cheapest_polls_is_full(devices, baud):
    cost, profiles = Cost(baud), {unit: read_profile(name) for unit, name in enumerate(chosen(devices), 1)}
    polls = [(unit, *read) for _ in range(3) for unit in profiles for read in cheapest(profiles[unit], cost)]
    assert Judge(profiles, cost).share(answers(cost, polls)) == pytest.approx(1.0)


def test_asking_each_register_by_itself_is_worth_what_one_question_would_have_cost():
    cost = Cost(BAUD)
    judge = Judge({1: profile(10, 11, 12, 13)}, cost)
    alone = judge.share(answers(cost, [(1, 3, a, 1) for a in (10, 11, 12, 13)]))
    assert alone == pytest.approx(cost.of(3, 4) / (4 * cost.of(3, 1)))


def test_registers_that_nobody_wanted_are_worth_nothing():
    cost = Cost(BAUD)
    judge = Judge({1: profile(10, 11)}, cost)
    assert judge.share(answers(cost, [(1, 3, 100, 2)])) == 0
    assert judge.share(answers(cost, [(1, 3, 10, 60)])) == pytest.approx(cost.of(3, 2) / cost.of(3, 60))


def test_another_plan_in_the_middle_is_worth_no_more_and_no_less_than_its_points():
    cost = Cost(BAUD)
    judge = Judge({1: profile(10, 11, 14, max_hole=4)}, cost)
    whole, parts = (1, 3, 10, 5), [(1, 3, 10, 2), (1, 3, 14, 1)]
    took = 2 * cost.of(3, 5) + cost.of(3, 2) + cost.of(3, 1)
    assert judge.share(answers(cost, [whole, *parts, whole])) == pytest.approx(3 * cost.of(3, 5) / took)


def test_a_value_of_which_half_was_read_is_worth_nothing():
    cost = Cost(BAUD)
    wide = {"points": [{"register": "input", "address": 4, "type": "float32"}]}
    assert points_of(wide) == [(4, 4, 6)]
    assert Judge({1: wide}, cost).share(answers(cost, [(1, 4, 4, 1), (1, 4, 5, 1)])) == 0
