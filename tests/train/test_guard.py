import pytest
import torch

from chainrule.base import TrainingError
from chainrule.train.guard import stop_when_lost, unsound_names


def test_only_steps_in_a_row_stop_a_run():
    stop_when_lost(4, 5, 100, "its batch is kept")
    with pytest.raises(TrainingError, match="5 steps in a row"):
        stop_when_lost(5, 5, 100, "its batch is kept")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_that_are_not_finite_are_found_wherever_they_lie_and_large_ones_are_none(dtype):
    tensors = {
        "large": torch.full((3, 5), torch.finfo(dtype).max, dtype=dtype),  # whose norm no number of its kind holds
        "small": torch.ones(7, dtype=dtype),
        "nan": torch.ones(9, dtype=dtype),
        "infinite": torch.ones(2, 2, dtype=dtype),
        "ids": torch.arange(3),
        "empty": torch.ones(0, dtype=dtype),
        "count": torch.tensor(3.0),
    }
    tensors["nan"][8], tensors["infinite"][1, 1] = float("nan"), float("-inf")
    assert unsound_names(tensors) == ["infinite", "nan"]
