"""A typo is answered with the word that was meant, or with nothing."""

import pytest

from chainrule.base import nearest


@pytest.mark.parametrize(
    ("word", "meant"), [("n_layer", "n_layers"), ("N_LAYERS", "n_layers"), ("gpt2-124", "GPT2-124M")]
)
def test_a_near_word_is_found_in_its_own_spelling(word, meant):
    assert nearest(word, ["n_layers", "GPT2-124M", "emb_dim"]) == f" Did you mean {meant!r}?"


def test_a_far_word_is_not_guessed():
    assert nearest("banana", ["n_layers", "emb_dim"]) == ""


def test_nothing_is_near_to_nothing():
    assert nearest("x", []) == ""


def test_what_is_longer_than_any_word_is_near_to_none():
    # Compared it would take as long as the product of both lengths: minutes.
    assert nearest("x" * 10**6, ["x" * 10**6 + "y", "emb_dim"]) == ""
    assert nearest("emb_di", ["x" * 10**6, "emb_dim"]) == " Did you mean 'emb_dim'?"
