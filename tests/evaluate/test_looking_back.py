import math

import numpy as np
import pytest
import torch

from chainrule.base import DataError
from chainrule.config import Layer, modern, resolve
from chainrule.data.mapped import Shard
from chainrule.data.store import TokenStore
from chainrule.evaluate import look_back
from chainrule.model import GPT
from chainrule.model.loss import token_losses

VOCABULARY, LENGTH = 500, 128


def store_of(ids):
    ends = np.array([len(ids)], np.uint64)
    return TokenStore([Shard(np.asarray(ids, np.uint32), ends, np.zeros(1, np.uint32))], ("all",))


class Copying(GPT):
    """Says with certainty what followed the present token when it last stood in the window."""

    def token_losses(self, ids, targets, documents=None):
        logits = torch.zeros(*ids.shape, VOCABULARY)
        for row, text in enumerate(ids.tolist()):
            last = {}
            for place, token in enumerate(text):
                if place:
                    last[text[place - 1]] = token
                if token in last:
                    logits[row, place, last[token]] = 20.0
        return token_losses(logits, targets)


def model_of(copying):
    torch.manual_seed(0)
    shape = modern(32, 1, 1, LENGTH, VOCABULARY)["model"]
    return (Copying if copying else GPT)(resolve([Layer("test", {"model": shape})]).config.model)


@pytest.fixture(scope="module")
def twice():
    """A window whose second half is its first again, several times over with other tokens."""
    chance = np.random.default_rng(0)
    return store_of(np.concatenate([np.tile(chance.integers(0, VOCABULARY, LENGTH // 2), 2) for _ in range(8)]))


def test_only_a_model_that_can_copy_gains_on_what_comes_again(twice):
    plain, copying = (look_back(model_of(copies), twice, n_windows=8) for copies in (False, True))
    assert plain.repeated == pytest.approx(plain.new, abs=0.15)
    assert copying.repeated < copying.new - 3
    assert plain.repeated_share == copying.repeated_share > 0.1


def test_places_cover_the_window_and_their_mean_is_the_mean_loss(twice):
    found = look_back(model_of(False), twice, n_windows=8)
    ends = [end for end, _ in found.by_place]
    assert ends == [1, 4, 16, 64, LENGTH]
    widths = np.diff([0, *ends])
    mean = float((widths * [loss for _, loss in found.by_place]).sum() / LENGTH)
    assert mean == pytest.approx(math.log(VOCABULARY), abs=0.5)


def test_a_text_without_repeats_has_no_figure_for_them():
    found = look_back(model_of(False), store_of(np.arange(LENGTH + 1)), n_windows=4)
    assert math.isnan(found.repeated) and math.isnan(found.misleading)
    assert found.repeated_share == 0


def test_what_another_token_followed_is_told_apart():
    run = [1, 2, 3, 4]
    ids = np.concatenate([[*run, 10 + k, 100 + k] for k in range(30)])
    found = look_back(model_of(False), store_of(ids), n_windows=1)
    assert found.repeated_share == 0 and not math.isnan(found.misleading)


def test_less_than_a_window_is_refused():
    with pytest.raises(DataError, match="one window needs 129"):
        look_back(model_of(False), store_of([1, 2, 3]))
