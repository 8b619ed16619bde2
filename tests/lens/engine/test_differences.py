import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from chainrule.lens.engine import coordinate_derivative, ridders
from chainrule.lens.engine.differences import computational_noise, directional_derivative, restored
from chainrule.lens.tape.randomness import RandomState, same_random_numbers
from chainrule.lens.tape.repeating import Forward, same_buffers
from chainrule.lens.tape.subject import Subject

CURVES = [
    (math.sin, math.cos),
    (math.exp, math.exp),
    (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    (lambda x: x**5 - 3 * x, lambda x: 5 * x**4 - 3),
    (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
]


@pytest.mark.parametrize(("f", "slope"), CURVES)
@settings(max_examples=40, deadline=None)
@given(at=st.floats(-2, 2))
def test_a_derivative_by_differences_is_within_ten_of_its_own_errors(f, slope, at):
    found = ridders(f, 0.1, at=at)
    assert abs(found.derivative - slope(at)) <= 10 * found.error
    assert found.error <= 1e-9 * max(1.0, abs(slope(at)))


def test_the_slope_of_a_straight_line_is_exact_to_rounding():
    found = ridders(lambda x: 3.0 * x, 0.5)
    assert found.derivative == 3.0
    assert found.error <= 1e-15


def test_noise_in_the_function_is_noise_in_the_error():
    numbers = random.Random(1)
    assert ridders(lambda x: math.sin(x) + 1e-7 * numbers.random(), 0.1).error > 1e-8


def test_the_noise_of_a_function_is_measured_within_a_factor_of_four():
    numbers = random.Random(2)
    found = [computational_noise(lambda x: math.sin(x) + numbers.gauss(0, 1e-9), 1e-13) for _ in range(20)]
    assert 0.25e-9 < sum(found) / len(found) < 4e-9


def test_a_kink_within_the_first_step_is_noticed_and_avoided():
    weight = torch.tensor([0.01, 5.0], dtype=torch.float64)
    found = coordinate_derivative(lambda: float(weight.relu().sum()), weight, (0,))
    assert found.derivative == pytest.approx(1.0, abs=1e-9)


def test_a_moved_tensor_is_put_back_bit_for_bit_even_after_an_error():
    weight = nn.Parameter(torch.randn(3, 4, dtype=torch.float64).t())  # not contiguous
    before, version = weight.detach().clone(), weight._version

    def failing() -> float:
        raise ZeroDivisionError

    coordinate_derivative(lambda: float((weight.detach() ** 2).sum()), weight, (1, 2))
    directional_derivative(lambda: float((weight.detach() ** 2).sum()), [weight], [torch.ones_like(weight)])
    for call in (
        lambda: coordinate_derivative(failing, weight, (0, 0)),
        lambda: directional_derivative(failing, [weight], [torch.ones_like(weight)]),
    ):
        with pytest.raises(ZeroDivisionError):
            call()
    with restored([weight]):
        weight.data.zero_()
    assert torch.equal(weight, before)
    assert weight._version == version


def test_a_direction_is_the_sum_of_its_coordinates():
    torch.manual_seed(0)
    a, b = torch.randn(3, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    ways = [torch.randn_like(a), torch.randn_like(b)]

    def loss() -> float:
        return float(a.sin().sum() * b.exp().sum())

    one = directional_derivative(loss, [a, b], ways).derivative
    places = [(tensor, way, index) for tensor, way in zip([a, b], ways, strict=True) for index in way.ne(99).nonzero()]
    many = sum(
        coordinate_derivative(loss, tensor, index.tolist()).derivative * float(way[tuple(index)])
        for tensor, way, index in places
    )
    assert one == pytest.approx(many, rel=1e-9)


def test_a_repeated_run_draws_the_same_dropout_mask_and_leaves_statistics_as_they_were():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1)).double()
    subject = Subject("model", model, (torch.randn(6, 4, dtype=torch.float64),), loss=lambda out: out.square().sum())
    statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
    forward = Forward(subject, RandomState(), [model])
    outside = torch.get_rng_state()
    with same_random_numbers(forward.state):
        assert forward() == forward()
    assert torch.equal(torch.get_rng_state(), outside)
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in model.named_buffers())


def test_random_numbers_outside_go_on_as_if_nothing_had_been_drawn():
    state = RandomState()
    random.seed(7), torch.manual_seed(7)
    expected = random.random(), torch.rand(1)
    random.seed(7), torch.manual_seed(7)
    with same_random_numbers(state), same_buffers([]):
        random.random(), torch.rand(3)
    assert (random.random(), torch.rand(1)) == expected
