"""Which small models a ladder has: cheap together, of several sizes, and some of them longer than the others."""

import pytest

from chainrule.base import ConfigError
from chainrule.config import Layer, modern, resolve
from chainrule.ladder.rungs import LONGER, Rung, rungs_below, top_rung, weights_of
from chainrule.plan import flops_per_token

SHAPE = {section: dict(values) for section, values in modern(512, 8, 10, 512, 8192).items()}
LARGE = resolve([Layer("large", {**SHAPE, "training": {"steps": 20_000, "batch_tokens": 16_384}})]).config


def test_the_top_is_what_the_settings_say():
    top = top_rung(LARGE)
    assert (top.emb_dim, top.n_layers, top.tokens) == (512, 10, 20_000 * 16_384)
    assert top.compute == flops_per_token(LARGE.model) * top.tokens


@pytest.mark.parametrize("times", [8.0, 20.0, 100.0])
def test_the_largest_rung_has_so_many_times_less_computation_and_all_cost_little(times):
    top, below = top_rung(LARGE), rungs_below(LARGE, times, 5)
    assert max(one.compute for one in below) == pytest.approx(top.compute / times, rel=0.1)
    assert sum(one.compute for one in below) < 4.5 * top.compute / times
    assert len({(one.emb_dim, one.n_layers) for one in below}) >= 4
    assert len({one.name for one in below}) == len(below)


def test_some_have_more_tokens_a_weight():
    below = rungs_below(LARGE, 20.0, 5)
    longer = [one for one in below if one.name.endswith("-longer")]
    for one in longer:
        other = next(two for two in below if two.name == one.name.removesuffix("-longer"))
        assert one.tokens == pytest.approx(LONGER * other.tokens, rel=0.05)
    assert len(longer) == 3
    assert sum(one.name.endswith("-longer") for one in rungs_below(LARGE, 20.0, 4)) == 2


def test_a_rung_as_settings_is_the_model_that_was_counted():
    for one in rungs_below(LARGE, 20.0, 5):
        values = one.values(LARGE)
        config = resolve([Layer("large", {**SHAPE, **values, "model": SHAPE["model"] | values["model"]})]).config
        assert weights_of(config.model) == one.weights
        assert config.batch_windows * config.model.context_length * config.training.steps == one.tokens
        assert Rung.of(one.row()) == one


def test_a_top_with_nothing_below_it_is_refused():
    shape = {section: dict(values) for section, values in modern(32, 1, 1, 64, 512).items()}
    tiny = resolve([Layer("tiny", {**shape, "training": {"steps": 100, "batch_tokens": 1024}})]).config
    with pytest.raises(ConfigError, match="no room for smaller ones"):
        rungs_below(tiny, 20.0, 5)
