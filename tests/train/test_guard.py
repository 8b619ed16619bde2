import pytest

from chainrule.base import TrainingError
from chainrule.train.guard import stop_when_lost


def test_only_steps_in_a_row_stop_a_run():
    stop_when_lost(4, 5, 100, "its batch is kept")
    with pytest.raises(TrainingError, match="5 steps in a row"):
        stop_when_lost(5, 5, 100, "its batch is kept")
