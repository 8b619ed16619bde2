"""Paired differences: Student's factor as the tables have it, and no sentence that says more than the seeds do."""

import re
from random import Random
from statistics import fmean, stdev

import pytest

from chainrule.verdict import judge_pair, paired, shared_confidence, spread_text
from chainrule.verdict.pairs import student

# Two-sided, from the tables of Student's distribution.
TABLE = {
    (0.95, 1): 12.706,
    (0.95, 2): 4.303,
    (0.95, 3): 3.182,
    (0.95, 4): 2.776,
    (0.95, 9): 2.262,
    (0.95, 10): 2.228,
    (0.95, 100): 1.984,
    (0.99, 1): 63.657,
    (0.99, 5): 4.032,
    (0.99, 6): 3.707,
    (0.5, 7): 0.711,
}


@pytest.mark.parametrize(("asked", "t"), TABLE.items())
def test_students_factor_is_the_tables(asked, t):
    assert student(*asked) == pytest.approx(t, abs=6e-4)


def test_only_equal_seeds_are_held_against_each_other():
    found = paired({0: 1.30, 1: 1.34, 7: 9.9}, {0: 1.28, 1: 1.30, 8: 0.1})
    assert found.n == 2 and found.mean == pytest.approx(-0.03) and found.of == pytest.approx(1.32)
    assert found.half == pytest.approx(12.706 * stdev([-0.02, -0.04]) / 2**0.5, rel=1e-3)
    assert paired({0: 1.0}, {1: 1.0}) is None


def test_intervals_hold_as_often_as_they_say():
    chance, held = Random(0), 0
    for _ in range(2000):
        luck = {seed: chance.gauss(1.3, 0.05) for seed in range(3)}
        low, high = paired(luck, {seed: luck[seed] - 0.01 + chance.gauss(0, 0.004) for seed in luck}).interval
        held += low <= -0.01 <= high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("differences", "outcome", "told"),
    [
        ([-0.03], "unknown", "b is better than a by 0.0300 .* a single seed cannot tell. --seeds 3"),
        ([-0.030, -0.031, -0.032], "better", r"b is better than a .* more than noise \(3 seeds are few\)"),
        ([0.030, 0.031, 0.032], "worse", "a is better than b .* more than noise"),
        ([-0.03, 0.02, 0.01, -0.04], "noise", "within noise"),
        ([-0.03, -0.02], "noise", "b is better than a .* within noise. 2 seeds are few"),
        ([0.0, 0.0], "noise", "a and b are equal in 2 seeds"),
        ([-0.03, -0.03], "better", "more than noise"),
    ],
)
def test_the_sentence_says_no_more_than_the_interval(differences, outcome, told):
    found = paired(dict.fromkeys(range(4), 1.0), {seed: 1.0 + one for seed, one in enumerate(differences)})
    assert found.outcome == outcome
    assert re.search(told, judge_pair("a", "b", found).text)


def test_without_a_common_seed_nothing_is_said():
    assert "no seed in common" in judge_pair("a", "b", None).text


def test_several_comparisons_need_more_each():
    assert shared_confidence(1) == 0.95 and shared_confidence(5) == pytest.approx(0.99)


def test_a_figure_says_its_spread():
    assert spread_text([1.25]) == "1.2500 (one seed)" and spread_text([]) == "–"
    values = [1.2, 1.3, 1.25]
    assert spread_text(values) == f"{fmean(values):.4f} ± {stdev(values):.4f}"
