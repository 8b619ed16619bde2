import tracemalloc
from itertools import pairwise

import pytest

from chainrule.run import Sample
from chainrule.run.facts import some_rounds


def rounds(n):
    for step in range(0, 10 * n, 10):
        yield from (Sample(step, f"{step} " * 200, prompt) for prompt in "ab")


@pytest.mark.parametrize("n", [1, 2, 20, 21, 37, 1000])
def test_of_many_rounds_of_samples_the_first_the_last_and_evenly_spread_ones_are_held(n):
    kept = some_rounds(rounds(n), 20)
    steps = [row.step for row in kept][::2]
    assert (steps[0], steps[-1]) == (0, 10 * (n - 1)) and min(n, 10) <= len(steps) <= min(n, 21)
    assert [row.prompt for row in kept] == ["a", "b"] * len(steps)
    assert len({b - a for a, b in pairwise(steps[:-1])}) <= 1


def test_no_rounds_are_no_rows():
    assert some_rounds([], 20) == []


def test_the_memory_is_that_of_the_rounds_that_are_held():
    tracemalloc.start()
    some_rounds(rounds(20_000), 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6  # all of them: some 50 MB
