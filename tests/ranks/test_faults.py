"""A process that goes wrong is told of by the one that leads, with its rank and the step."""

from several import together


def test_a_rank_without_a_number_and_one_that_fails_are_named_with_the_step(run, tmp_path):
    trial = {"parallel": "fsdp=2", "steps": 5}
    seen = together(tmp_path, run, 2, [trial], script="faulty.py", failing=(1,))
    assert seen[:3] == [[True, []], [False, [1]], [True, []]]
    assert seen[3] == "rank 1 failed at step 4: DataError: the disk with the text is gone"
