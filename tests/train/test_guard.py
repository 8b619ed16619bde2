import math

import pytest

from chainrule.base import TrainingError
from chainrule.train.guard import check_start, stop_when_lost


def test_a_loss_near_the_logarithm_of_the_vocabulary_is_right():
    assert check_start(math.log(4096) + 0.1, 4096) is None


@pytest.mark.parametrize(
    ("loss", "cause"),
    [(12.0, "too far from zero"), (3.0, "leak"), (float("nan"), "non-finite"), (float("inf"), "non-finite")],
)
def test_a_wrong_start_is_explained_with_both_numbers(loss, cause):
    said = check_start(loss, 4096)
    assert said is not None
    assert cause in said
    assert "8.32" in said


def test_only_steps_in_a_row_stop_a_run():
    stop_when_lost(4, 5, 100, "its batch is kept")
    with pytest.raises(TrainingError, match="5 steps in a row"):
        stop_when_lost(5, 5, 100, "its batch is kept")
