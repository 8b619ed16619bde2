import math

import pytest
import torch
from torch import nn

from chainrule.lens import Policy, record, reverse
from chainrule.lens.engine.comparison import difference
from chainrule.lens.engine.limits import sampled_limits
from chainrule.lens.engine.noisy import number_formats, sample_reverse
from chainrule.lens.engine.replaying import replay
from chainrule.lens.engine.rounding import Noise, accumulator, unit_roundoff
from chainrule.lens.engine.terms import terms_of_gradient, terms_of_value
from chainrule.lens.engine.tolerances import student_quantile, tolerance


def small_run():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)).double()
    return record(model, torch.randn(7, 6, dtype=torch.float64), loss=lambda out: out.logsumexp(-1).mean())


@pytest.mark.parametrize(
    ("freedom", "confidence", "table"),
    [(1, 0.95, 12.706), (2, 0.95, 4.303), (3, 0.95, 3.182), (4, 0.99, 4.604), (7, 0.999, 5.408), (30, 0.95, 2.042)],
)
def test_students_quantiles_are_those_of_the_tables(freedom, confidence, table):
    assert student_quantile(confidence, freedom) == pytest.approx(table, abs=5e-4)


@pytest.mark.parametrize(
    ("dtype", "u"),
    [(torch.float64, 2**-53), (torch.float32, 2**-24), (torch.float16, 2**-11), (torch.bfloat16, 2**-8)],
)
def test_the_unit_roundoff_is_the_largest_error_of_rounding(dtype, u):
    assert unit_roundoff(dtype) == u
    if dtype != torch.float64:
        numbers = torch.rand(20_000, dtype=torch.float64) + 1
        error = ((numbers.to(dtype).double() - numbers) / numbers).abs().max()
        assert 0.9 * u < error <= u
    assert unit_roundoff(accumulator(dtype)) <= 2**-24


def test_noise_is_uniform_within_its_bound_and_leaves_masks_and_integers_alone():
    noise = Noise(1, scale=4.0)
    found = noise(torch.ones(50_000, dtype=torch.float64), 1e-3) - 1
    assert found.abs().max() <= 4e-3
    assert float(found.square().mean().sqrt()) == pytest.approx(4e-3 / math.sqrt(3), rel=0.02)
    large = noise(torch.ones(2**20 + 99, 2, dtype=torch.float64), 1e-3) - 1
    assert large.abs().max() <= 4e-3
    assert float(large.square().mean().sqrt()) == pytest.approx(4e-3 / math.sqrt(3), rel=0.02)
    masked = noise(torch.tensor([-math.inf, 0.0], dtype=torch.float64), 1e-3)
    assert masked.tolist() == [-math.inf, 0.0]
    assert noise(torch.tensor([3]), 0.5).tolist() == [3]


def test_more_samples_and_fewer_tensors_make_a_narrower_tolerance():
    wide, narrow = tolerance([1.0] * 2, 100, 0.0), tolerance([1.0] * 8, 100, 0.0)
    assert wide.limit > narrow.limit > tolerance([1.0] * 8, 1, 0.0).limit > narrow.expected
    assert tolerance([0.0], 5, 1e-16).limit == 1e-16
    assert narrow.noticed == narrow.limit + narrow.expected


def test_the_number_of_terms_is_that_of_the_definition():
    tape = small_run()
    node = next(node for node in tape.nodes if node.rule_name == "addmm")
    assert terms_of_value(tape, node) == 6
    assert terms_of_gradient(tape, node, "mat1") == 5
    assert terms_of_gradient(tape, node, "mat2") == 7
    assert terms_of_gradient(tape, node, "self") == 7
    norm = next(node for node in tape.nodes if node.rule_name == "native_layer_norm")
    assert terms_of_value(tape, norm) == 5
    assert terms_of_gradient(tape, norm, "weight") == 7


def test_a_replay_without_noise_is_the_run_bit_for_bit():
    tape = small_run()
    again = replay(tape)
    assert torch.equal(again.values[again.loss].tensor, tape.values[tape.loss].tensor)
    mine, theirs = reverse(again), reverse(tape)
    assert all(torch.equal(mine[value], theirs[value]) for value in theirs)


def test_a_replay_follows_writes_in_place_and_views_of_them():
    def program(x):
        y = x * 2
        head = y[:2]
        head.mul_(x[1:] + 3)
        y[2] = x[0] * x[1]
        return (y * y).sum()

    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    tape = record(program, x)
    again = replay(tape)
    assert torch.equal(again.values[again.loss].tensor, tape.values[tape.loss].tensor)
    expected = torch.autograd.grad(program(x), x)[0]
    assert torch.allclose(next(iter(reverse(again).values())), expected, rtol=1e-14)


def test_the_effect_of_noise_is_in_proportion_to_it():
    tape = small_run()
    reference = reverse(tape)

    def usual(scale: float) -> dict[int, float]:
        sums: dict[int, float] = {}
        for seed in range(12):
            noise = Noise(seed, scale)
            found = sample_reverse(tape, reference, noise, number_formats(tape))
            for value in reference:
                sums[value] = sums.get(value, 0.0) + found[value]
        return sums

    small, large = usual(2.0**20), usual(2.0**30)
    for value, one in small.items():
        assert one == pytest.approx(large[value], rel=1e-3)


def test_rounding_in_float32_stays_within_the_limits_that_were_sampled_for_it():
    """The same walk in float32 beside float64: its true errors, and what the model of rounding allows."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(64, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 4))
    batch = torch.randn(50, 64)
    single = record(model, batch, loss=lambda out: out.logsumexp(-1).mean())
    exact = reverse(replay(single))
    found = reverse(single)
    differences = {value: difference(value, exact[value], found[value].double(), 2**-23) for value in found}
    limits = sampled_limits(single, found, differences, policy=Policy(), seed=0, seconds=5)
    for value, one in differences.items():
        assert 0.05 * limits.of(value).expected < one.relative <= limits.of(value).limit
