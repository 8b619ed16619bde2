"""Shares of right answers are told with their uncertainty."""

import pytest

from chainrule.run import TaskResult
from chainrule.verdict import task_words
from chainrule.verdict.words import share_interval


def test_the_interval_is_wilsons():
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662, 15 of 148 0.0624 to 0.1605, 0 of 20 0 to 0.1611.
    assert share_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert share_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert share_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert share_interval(20, 20) == pytest.approx((1 - 0.1611, 1), abs=5e-5)


def test_a_result_is_one_sentence():
    asked = TaskResult("pairs:x", 50, 30, "pairs are told apart", of_n=80, guess=0.5)
    assert (
        task_words(asked) == "30 of 50 pairs are told apart, of 80 there are: 60% (46% to 72%); chance gets 50% right"
    )
    assert task_words(TaskResult("x", 0, 0)) == "nothing was asked of x"
