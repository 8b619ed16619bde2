"""What is tried next follows from what was measured, and nothing is recommended by the seed that found it."""

import math

import pytest

from chainrule.run import NoiseScale
from chainrule.tune.noise import of_groups
from chainrule.tune.planning import worthwhile_batches
from chainrule.tune.range_test import found
from chainrule.tune.trials import MOST_PAIRS, Bounds, Setting, Trial, best, diverged, judged, next_trial
from chainrule.verdict import judge_tuning, paired

DEFAULT = Setting(1.0, 1024)
BOUNDS = Bounds(n_rates=4, n_batches=2, n_pairs=3, batches=(512, 2048), window_tokens=64)


def searched(figure, bounds=BOUNDS, n_trials=99):
    """All trials of a search in which `figure(setting, seed)` is measured."""
    done = []
    while (trial := next_trial(DEFAULT, done, bounds, n_trials - len(done))) is not None:
        done.append(Trial(trial.setting, trial.seed, figure(trial.setting, trial.seed)))
    return done


def bowl(lowest, batch=1024):
    """Bits per byte that are lowest at that factor of the rates and that batch."""

    def figure(one, seed):
        return 2 + 0.1 * abs(math.log2(one.rate / lowest)) + 0.05 * abs(math.log2(one.batch_tokens / batch))

    return figure


def names(done, seed=0):
    return [(round(one.setting.rate, 3), one.setting.batch_tokens) for one in done if one.seed == seed]


def test_rates_climb_while_that_pays_and_then_batches_are_tried():
    assert names(searched(bowl(4)))[:4] == [(1, 1024), (2, 1024), (4, 1024), (8, 1024)]
    assert names(searched(bowl(0.25)))[:5] == [(1, 1024), (2, 1024), (0.5, 1024), (0.25, 1024), (0.125, 1024)]


def test_a_batch_that_pays_is_followed_and_changes_the_rate_by_its_root():
    tried = names(searched(bowl(1, batch=256)))
    assert tried[-2:] == [(0.707, 512), (0.5, 256)]


def test_no_rate_beyond_the_edge_is_tried_and_the_range_test_says_where_to_begin():
    assert max(rate for rate, _ in names(searched(bowl(8), Bounds(4, 0, 1, edge=3.0)))) == 2
    started = names(searched(bowl(0.25), Bounds(4, 0, 1, edge=0.9, start=0.125)))
    assert started[:2] == [(1, 1024), (0.125, 1024)]


def test_the_winner_and_the_default_are_tried_in_as_many_fresh_seeds_as_there_is_time_for():
    done = searched(bowl(2), n_trials=15)
    fresh = [(one.setting == DEFAULT, one.seed) for one in done if one.seed]
    assert len(done) == 14 or len(done) == 15
    assert fresh[:4] == [(True, 1), (False, 1), (True, 2), (False, 2)]
    assert sum(is_default for is_default, _ in fresh) == len(fresh) / 2, "no seed is left without its pair"
    assert max(one.seed for one in searched(bowl(2))) == MOST_PAIRS


def test_time_for_judging_is_kept_when_there_is_little():
    for n_trials in range(7, 14):
        done = searched(bowl(8), n_trials=n_trials)
        assert sum(one.seed > 0 for one in done) >= 6 or best(DEFAULT, done) == DEFAULT
    assert len(searched(bowl(8), n_trials=1)) == 1


def test_where_nothing_is_better_the_default_stays_and_no_time_is_spent_on_seeds():
    done = searched(bowl(1))
    assert {one.seed for one in done} == {0} and best(DEFAULT, done) == DEFAULT
    assert "none of 4 other settings" in judge_tuning(None, 4, None).text


def test_what_diverges_is_never_best_and_counts_against_its_setting():
    def diverging(one, seed):
        return None if one.rate > 2 or (one.rate == 2 and seed == 2) else bowl(2)(one, seed)

    done = searched(diverging, Bounds(4, 0, 3))
    assert best(DEFAULT, done) == Setting(2.0, 1024)
    assert judged(DEFAULT, Setting(2.0, 1024), done).outcome == "better"  # of the seeds in which it did not
    assert diverged(Setting(2.0, 1024), done) == 1 and diverged(DEFAULT, done) == 0
    assert "stays: 2 times the rates diverged in 1" in judge_tuning("2 times the rates", 4, None, diverged=1).text


def test_only_fresh_seeds_judge_and_only_what_is_better_by_more_than_noise_is_recommended():
    winner = Setting(2.0, 1024)
    lucky = [Trial(DEFAULT, seed, 2.0) for seed in range(4)] + [Trial(winner, 0, 1.0)]
    lucky += [Trial(winner, seed, 2.0 + 0.01 * (-1) ** seed) for seed in (1, 2, 3)]
    found_ = judged(DEFAULT, winner, lucky)
    assert found_.n == 3 and found_.mean == pytest.approx(-0.01 / 3)
    assert "default stays" in judge_tuning("2 times the rates", 1, found_).text
    assert "within noise" in judge_tuning("2 times the rates", 1, found_).text
    sure = paired({1: 2.0, 2: 2.1, 3: 2.2}, {1: 1.9, 2: 1.99, 3: 2.11})
    assert "more than noise, and recommended" in judge_tuning("2 times the rates", 1, sure).text
    assert "no time for fresh ones" in judge_tuning("2 times the rates", 1, None).text
    worse = paired({1: 2.0, 2: 2.0}, {1: 2.1, 2: 2.1})
    assert "first seed alone" in judge_tuning("2 times the rates", 1, worse).text


def test_the_range_test_finds_where_the_loss_rises():
    falling = [(0.125 * step, 5 - 0.02 * step) for step in range(1, 129)]
    assert found(falling).edge is None and found(falling).start == 1.0
    rising = [(x, y if x < 8 else y + (x - 8)) for x, y in falling]
    assert 8 < found(rising).edge < 10 and found(rising).start == 1.0
    early = [(x, y if x < 1 else y + (x - 1)) for x, y in falling]
    assert 1 < found(early).edge < 2.5 and found(early).start in (0.25, 0.5)
    torn = [*falling[:60], (7.6, math.nan), (7.7, math.nan)]
    assert found(torn).edge == 7.6
    assert found([]).edge is None


def test_the_noise_scale_has_an_interval_from_its_groups():
    scales = [NoiseScale(1.0, 90.0 + 5 * number, 1) for number in range(5)]
    middle, low, high = of_groups(scales)
    assert middle == 100 and low < 100 < high
    assert of_groups([NoiseScale(1.0, 100.0, 1)] * 5) == (100, 100, 100)
    assert of_groups([NoiseScale(-1.0, 100.0, 1)] * 3) is None


def test_the_noise_scale_says_which_batch_is_tried_first():
    assert worthwhile_batches(1024, 1000, 64) == (512, 2048)
    assert worthwhile_batches(1024, 100_000, 64) == (2048, 512)
    assert worthwhile_batches(64, 100, 64) == (128,)
