from dataclasses import replace

import numpy as np
import pytest
import torch

from chainrule.config import resolve
from chainrule.data import Windows
from chainrule.device import Precision, look_at_machine
from chainrule.train.objective import NextToken
from chainrule.train.state import TrainState
from chainrule.train.timing import _search, first_windows, time_updates


@pytest.fixture
def ready(layers):
    config = resolve(layers()).config
    windows = Windows(np.random.default_rng(0).integers(0, 257, (4, 17)), None)
    return TrainState.fresh(config, Precision("cpu", "float32")), windows, look_at_machine(config.machine)


def test_the_quickest_number_of_threads_is_taken_and_stays_set(ready):
    state, windows, facts = ready
    timed = time_updates(state, NextToken(state.model.loss), windows, replace(facts, thread_choices=(1, 2)))
    assert timed.threads == torch.get_num_threads()
    assert timed.threads in timed.tried
    assert min(timed.window_seconds, timed.moving_seconds) > 0


def test_gradients_that_are_not_finite_move_nothing_either(ready):
    state, windows, facts = ready
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    loss = state.model.loss
    time_updates(
        state, NextToken(lambda *given: loss(*given) * float("nan")), windows, replace(facts, thread_choices=(1,))
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in state.model.state_dict().items())


def test_what_is_set_is_the_only_number_that_is_tried(ready):
    state, windows, facts = ready
    assert set(
        time_updates(state, NextToken(state.model.loss), windows, replace(facts, thread_choices=(1,))).tried
    ) == {1}


def searched(seconds: dict[int, float]) -> list[int]:
    """The numbers of threads that a search over made-up seconds a round (by torch's threads) tried, quickest first."""
    rounds = _search(lambda: (seconds[torch.get_num_threads()], 0.0), sorted(seconds), began=0.0, limit=float("inf"))
    return sorted(rounds, key=lambda count: min(map(sum, rounds[count])))


def test_the_search_goes_down_while_fewer_threads_are_quicker():
    assert searched({1: 1.0, 2: 0.6, 4: 0.5, 8: 0.8, 16: 1.5}) == [4, 2, 8, 16]  # a tiny model on many cores
    assert searched({1: 0.3, 2: 2.0}) == [1, 2]  # a busy machine
    assert searched({1: 8.0, 2: 4.0, 4: 2.0, 8: 1.0}) == [8, 4]  # a large model on an idle machine


def test_a_part_of_the_windows_keeps_their_documents():
    windows = Windows(np.zeros((3, 5), dtype=np.int64), np.ones((3, 5), dtype=np.int64), np.ones((3, 5), dtype=bool))
    assert [len(part) for part in first_windows(windows, 2)] == [2, 2, 2]
