"""Layouts that a run is trained with: words, numbers that multiply, and what must divide."""

import pytest

from chainrule.base import ConfigError
from chainrule.config import Config, Layer, resolve
from chainrule.plan import Layout, check_trained, layout_of, parse_layout


def config(**over) -> Config:
    model = {"emb_dim": 64, "n_heads": 4, "n_layers": 2, "context_length": 64, "vocab_size": 256}
    return resolve([Layer("small", {"model": {**model, **over}, "training": {"batch_tokens": 512}})]).config


def test_a_hybrid_is_copies_of_groups_that_share():
    assert parse_layout("hsdp=2x4,tp=2") == Layout(dp=2, fsdp=4, tp=2)
    assert layout_of("", 4) == Layout(fsdp=4)
    assert layout_of("", 1) == Layout()


@pytest.mark.parametrize(
    ("words", "ranks", "said"),
    [
        ("fsdp=4", 1, "local:4"),
        ("fsdp=4", 8, "multiply to 8"),
        ("tp=2,pp=2", 4, "not trained"),
        ("hsdp=2", 2, "no layout"),
    ],
)
def test_what_does_not_come_to_the_processes_is_refused_with_what_would(words, ranks, said):
    with pytest.raises(ConfigError, match=said):
        layout_of(words, ranks)


@pytest.mark.parametrize(
    ("over", "layout", "said"),
    [
        ({}, Layout(tp=3), "n_kv_heads=4 is not divided by tp=3"),
        ({}, Layout(fsdp=3), "batch of 8 windows"),
        ({"n_layers": 4}, Layout(fsdp=4, pp=4), "each of 4 stages needs one"),
        ({"context_length": 51, "n_heads": 2}, Layout(tp=2), "context_length=51"),
    ],
)
def test_what_does_not_divide_is_refused_by_name(over, layout, said):
    with pytest.raises(ConfigError, match=said):
        check_trained(config(**over), layout)
    check_trained(config(), Layout(fsdp=2, tp=2))
