import math

import pytest

from chainrule.verdict import judge_start


def test_a_loss_near_the_logarithm_of_the_vocabulary_is_right():
    assert judge_start(math.log(4096) + 0.1, 4096).mark == "good"


@pytest.mark.parametrize(
    ("loss", "mark", "cause"),
    [
        (12.0, "bad", "too far from zero"),
        (3.0, "note", "leak"),
        (float("nan"), "bad", "non-finite"),
        (float("inf"), "bad", "non-finite"),
    ],
)
def test_a_wrong_start_is_explained_with_both_numbers(loss, mark, cause):
    start = judge_start(loss, 4096)
    assert start.mark == mark
    assert cause in start.remedy and "8.32" in start.sentence
