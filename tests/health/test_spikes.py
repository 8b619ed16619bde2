"""The criterion: real spikes are found, and noise, falls and new levels are none."""

import math
import random

import pytest

from chainrule.health import SpikeDetector, ratio_score
from chainrule.health.spikes import robust_score


def curve(step, chance, tail=0.0):
    """Loss and gradient norm of a usual run: a fall, then noise; with `tail` a twentieth of it is that much wider."""
    noise = chance.gauss(0, 1) * (1 + tail * (chance.random() < 0.05))
    return 2.5 + 5 * math.exp(-step / 60) + 0.05 * noise, (0.5 + 2 * math.exp(-step / 40)) * math.exp(0.2 * noise)


@pytest.mark.parametrize("tail", [0.0, 1.0])
def test_five_thousand_ordinary_steps_raise_no_alarm(tail):
    chance, detector = random.Random(0), SpikeDetector()
    assert not any(detector.see(*curve(step, chance, tail)) for step in range(5_000))


@pytest.mark.parametrize(("what", "loss", "norm"), [("loss", 1.0, 1.0), ("gradient norm", 0.0, 8.0)])
def test_a_step_out_of_line_is_found_with_what_was_usual(what, loss, norm):
    chance, detector = random.Random(1), SpikeDetector()
    for step in range(300):
        detector.see(*curve(step, chance))
    usual = curve(300, chance)
    (found,) = detector.see(usual[0] + loss, usual[1] * norm)
    assert found.what == what
    assert found.usual == pytest.approx(usual[0] if what == "loss" else usual[1], rel=0.6)
    assert found.score > 8


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_counts_at_once_and_is_not_remembered(value):
    detector = SpikeDetector()
    assert [one.what for one in detector.see(value, 1.0)] == ["loss"]
    assert [one.what for one in detector.see(2.0, value)] == ["gradient norm"]
    assert list(detector.losses) == [2.0]


def test_a_fall_is_no_spike_and_the_first_steps_are_not_judged():
    detector = SpikeDetector()
    assert not any(detector.see(loss, 1.0) for loss in [7.0, 9.0, 6.0, 12.0, 5.0])
    for _ in range(40):
        detector.see(5.0, 1.0)
    assert detector.see(1.0, 0.01) == ()


def test_a_new_level_stops_being_a_spike_once_half_of_the_window_knows_it():
    detector = SpikeDetector()
    for step in range(64):
        detector.see(3.0 + 0.01 * (step % 5), 1.0)
    alarms = [bool(detector.see(4.0 + 0.01 * (step % 5), 1.0)) for step in range(64)]
    assert alarms[0] and not alarms[40]


def test_scores_are_blind_to_a_few_outliers_and_to_scale():
    usual = [1.0, 1.1, 0.9, 1.05, 0.95, 50.0]
    assert robust_score(1.0, usual, 0.01) < 1 < robust_score(3.0, usual, 0.01)
    assert ratio_score(3.0, usual) == pytest.approx(ratio_score(3000.0, [1000 * one for one in usual]))
    assert robust_score(5.0, [], 0.1) == ratio_score(5.0, []) == 0.0
