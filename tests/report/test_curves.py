import json
import math

import pytest

from chainrule.report.curves import columns, curves
from chainrule.run import TrainRow, read_facts


def rows(n):
    return [TrainRow(i, 10 * i, i / 2, float(i)) for i in range(1, n + 1)]


def test_short_curves_are_kept_as_they_are():
    assert columns(rows(5), ["loss"], most=5)["loss"] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("n", [101, 1000, 12_345])
def test_long_curves_become_means_between_the_first_and_the_last_row(n):
    thin = columns(rows(n), ["loss"], most=100)
    assert len(thin["loss"]) == 100
    assert (thin["loss"][0], thin["loss"][-1]) == (1, n)
    # A straight line stays one: means of neighbours lie on it, in loss and in step alike.
    assert thin["loss"] == pytest.approx(thin["step"])
    assert thin["step"] == sorted(thin["step"])


def test_missing_and_non_finite_values_are_holes():
    thin = columns([TrainRow(1), TrainRow(2, loss=math.nan), TrainRow(3)], ["loss"])
    assert thin["loss"] == [None, None, None]
    assert json.dumps(thin, allow_nan=False)


def test_no_rows_are_no_points():
    assert columns([], ["loss"]) == {"step": [], "tokens": [], "seconds": [], "loss": []}


def test_counts_stand_in_the_loss_chart_at_their_own_nats_per_token(finished):
    facts = read_facts(finished)
    lines = dict(curves(facts)["lines"]["loss"])
    assert lines["guessing"] == pytest.approx(math.log(facts.manifest.vocab_size))
    nats_per_bit = facts.summary.val_loss / facts.summary.val_bits_per_byte
    assert lines["bigram"] == pytest.approx(facts.baselines.bigram * nats_per_bit)
    assert lines["5-gram"] == pytest.approx(facts.baselines.fivegram * nats_per_bit)
