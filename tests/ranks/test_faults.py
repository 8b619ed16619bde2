"""A process that goes wrong is told of by the one that leads, with its rank and the step."""

import pytest
from several import together

pytestmark = [pytest.mark.xdist_group("ranks"), pytest.mark.timeout(600)]


def test_a_rank_without_a_number_and_one_that_fails_are_named_with_the_step(run, tmp_path):
    trial = {"parallel": "fsdp=2", "steps": 5}
    seen = together(tmp_path, run, 2, [trial], script="faulty.py", failing=(1,))
    assert seen[:3] == [[True, []], [False, [1]], [True, []]]
    assert seen[3] == "rank 1 failed at step 4: DataError: the disk with the text is gone"


def test_a_weight_that_is_no_number_ends_all_with_its_rank_and_its_name(run, tmp_path):
    trial = {"parallel": "fsdp=2", "steps": 5, "weights": True}
    seen = together(tmp_path, run, 2, [trial], script="faulty.py", failing=(1,))
    assert seen[:2] == [[True, []], [True, []]]
    assert "not finite at step 2 (rank 1: final_norm.weight)" in seen[2]
