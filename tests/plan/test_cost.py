"""Operations follow the formula, and agree with what torch counts."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from chainrule.config import Config, ModelConfig, preset, resolve
from chainrule.model import GPT
from chainrule.plan import Machine, flops_per_token, run_tokens, tokens_per_second, training_seconds

LAPTOP = Machine(cores=2, memory_bytes=8 * 2**30, peak_flops=2e12)


@pytest.mark.parametrize(
    ("shape", "millions"),
    [
        ({"vocab_size": 65, "context_length": 64, "emb_dim": 128, "n_heads": 4, "n_layers": 4}, 4.98),
        ({"vocab_size": 65, "context_length": 256, "emb_dim": 384, "n_heads": 6, "n_layers": 6}, 67.4),
        ({}, 798),
    ],
)
def test_the_count_agrees_with_published_figures(shape, millions):
    assert flops_per_token(ModelConfig(**shape)) / 1e6 == pytest.approx(millions, rel=0.005)


def test_torch_counts_the_same_but_for_the_half_that_causality_saves():
    model = ModelConfig(vocab_size=128, context_length=64, emb_dim=64, n_heads=4, n_layers=2, drop_rate=0.0)
    ids = torch.zeros(1, 64, dtype=torch.long)
    network = GPT(model)
    # Plain matrix products on every class of processor: the fused kernel's backward pass computes the scores again.
    for block in network.blocks:
        block.attention.products_pay = True
    with FlopCounterMode(display=False) as counter, torch.autocast("cpu", torch.bfloat16):
        network.loss(ids, ids).backward()
    unused_half = 6 * model.n_layers * model.emb_dim * model.context_length
    assert counter.get_total_flops() == 64 * (flops_per_token(model) + unused_half)


def test_a_runs_tokens_are_whole_windows():
    config = Config(model=ModelConfig(context_length=100), training={"batch_tokens": 249, "steps": 7})
    assert run_tokens(config) == 7 * 200


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda", "cuda:1"])
def test_time_is_tokens_over_speed(device):
    machine = Machine(2, 2**33, 2e12, device)
    config = resolve([preset("cpu-small")]).config
    seconds = training_seconds(config, machine)
    assert seconds == pytest.approx(run_tokens(config) / tokens_per_second(config.model, machine))


def test_a_wider_model_uses_the_machine_better():
    shapes = [resolve([preset(name)]).config.model for name in ("cpu-tiny", "cpu-small", "gpt2-124m")]
    achieved = [tokens_per_second(shape, LAPTOP) * flops_per_token(shape) for shape in shapes]
    assert achieved == sorted(achieved)
    assert achieved[-1] < LAPTOP.peak_flops
