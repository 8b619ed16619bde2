"""One rank of many without its memory: counts that must come out, whatever the tracker does."""

import pytest
import torch.distributed as dist

from chainrule.base import ConfigError
from chainrule.config import Config, Layer, modern, resolve
from chainrule.plan import Layout, parameters, rank_memory
from chainrule.simulate import simulate


@pytest.fixture
def config() -> Config:
    shape = {section: dict(values) for section, values in modern(256, 8, 4, 128, 1024).items()}
    return resolve([Layer("small", {**shape, "optimizer": {"kind": "adamw"}})]).config


def test_weights_and_moments_of_a_rank_are_its_share(config):
    found = simulate(config, Layout(fsdp=4), 4)
    count = parameters(config.model).total
    assert found.memory["weights"] == pytest.approx(count, rel=0.01)  # four bytes of a quarter
    assert found.memory["optimizer"] == pytest.approx(2 * count, rel=0.01)
    assert not dist.is_initialized(), "the group is left"


def test_what_is_sent_is_gathered_twice_in_bfloat16_and_scattered_in_float32(config):
    sent = {one.what: one for one in simulate(config, Layout(fsdp=4), 8).sent}
    count = parameters(config.model).total
    # Two micro-batches; three quarters of each gathering come from others. The root stays gathered in between.
    root = config.model.vocab_size * config.model.emb_dim
    gathered = 2 * 0.75 * 2 * (2 * (count - root) + root)
    assert sent["weights gathered"].n_bytes == pytest.approx(gathered, rel=0.02)
    assert sent["gradients scattered"].n_bytes == pytest.approx(2 * 0.75 * 4 * count, rel=0.02)
    assert {one.link for one in sent.values()} == {"machine"}


def test_activations_are_those_of_the_arithmetic(config):
    """The plan's tables were counted from what autograd keeps; here torch's tracker counts it."""
    layout = Layout(fsdp=2, micro_batch=8)
    found, told = simulate(config, layout, 16), rank_memory(config, layout, 16)
    assert found.memory["activations"] == pytest.approx(told.activations, rel=0.1)


def test_computing_anew_keeps_less_and_a_narrower_part_is_smaller(config):
    plain = simulate(config, Layout(fsdp=2, micro_batch=8), 16)
    anew = simulate(config, Layout(fsdp=2, micro_batch=8, recompute="all"), 16)
    halves = simulate(config, Layout(tp=2, micro_batch=8), 8)
    assert anew.memory["activations"] < 0.6 * plain.memory["activations"]
    assert halves.memory["weights"] == pytest.approx(2 * parameters(config.model).total, rel=0.02)
    assert [one.what for one in halves.sent] == ["sums of the stream"]


def test_copies_sum_their_gradients_over_the_network_and_stages_hand_on(config):
    found = simulate(config, Layout(dp=16, fsdp=8, pp=2), 256)
    links = {one.what: (one.among, one.link) for one in found.sent}
    assert links["gradients summed"] == (16, "network")
    assert links["weights gathered"] == (8, "machine")
    assert links["handed to the next stage"] == (2, "network")


@pytest.mark.parametrize(
    ("layout", "word"), [(Layout(tp=3), "tp=3"), (Layout(pp=3), "stages"), (Layout(fsdp=3), "batch")]
)
def test_a_layout_that_does_not_divide_is_refused(config, layout, word):
    with pytest.raises(ConfigError, match=word):
        simulate(config, layout, 4)
    assert not dist.is_initialized()
