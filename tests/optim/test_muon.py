"""Muon's update is the polar factor of its momentum, up to a stated error, at any size of the gradient."""

import pytest
import torch
from torch import Tensor

from chainrule.optim import Muon, orthogonalise
from chainrule.optim import muon as muon_file
from chainrule.optim.orthogonal import STEPS

SHAPES = [(24, 24), (16, 48), (48, 16), (40, 36), (1, 8), (8, 1)]


def matrix(shape: tuple[int, int], values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A matrix with these singular values, and its singular vectors as rows of U Vᵀ: left [R, K], right [K, C]."""
    random = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(random, full_matrices=False)
    return left * values.double() @ right, left, right


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e9])
@pytest.mark.parametrize("shape", SHAPES)
def test_singular_vectors_stay_and_values_from_a_thirtieth_on_end_near_one(shape, size):
    given, left, right = matrix(shape, torch.linspace(1.0, 1 / 30, min(shape)))
    result = orthogonalise((given * size).float()[None])[0].double()
    inside = left.mT @ result @ right.mT
    torch.testing.assert_close(inside, inside.diagonal().diag(), atol=1e-4, rtol=0)
    assert inside.diagonal().min() > 0.90
    assert inside.diagonal().max() < 1.10
    assert torch.linalg.matrix_norm(result - left @ right, 2) < 0.10  # the polar factor


def test_smaller_singular_values_grow_without_changing_sign_and_none_beyond_the_rest():
    given, left, right = matrix((32, 32), torch.logspace(0, -4, 32))
    grown = (left.mT @ orthogonalise(given.float()[None])[0].double() @ right.mT).diagonal()
    small = torch.logspace(0, -4, 32).double() < 0.02
    assert (grown[small] > 45 * torch.logspace(0, -4, 32)[small]).all()
    assert (grown[small] < 1.1).all()


def test_in_bfloat16_the_values_end_between_eight_and_twelve_tenths():
    given, left, right = matrix((48, 24), torch.linspace(1.0, 0.05, 24))
    result = orthogonalise(given.bfloat16()[None])[0].double()
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.8
    assert values.max() < 1.2
    assert torch.linalg.matrix_norm(result - left @ right, 2) < 0.3


def test_a_matrix_of_zeros_stays_one_and_a_batch_is_its_matrices():
    given = torch.randn(3, 12, 20, generator=torch.Generator().manual_seed(0))
    given[1] = 0
    result = orthogonalise(given)
    assert not result[1].any()
    for row in (0, 2):
        torch.testing.assert_close(result[row], orthogonalise(given[row : row + 1])[0])


def test_each_polynomial_is_the_best_for_the_interval_that_the_one_before_leaves():
    low, high = 0.02, 1.0
    for a, b, c in STEPS:
        x = torch.linspace(low, high, 100_001, dtype=torch.float64)
        error = a * x + b * x**3 + c * x**5 - 1
        turns = error[1:-1][(error[2:] - error[1:-1]) * (error[1:-1] - error[:-2]) <= 0]
        # Chebyshev: an error that reaches its bound with alternating signs at four places cannot be improved on.
        extremes, bound = torch.cat((error[:1], turns, error[-1:])), error.abs().max().item()
        assert extremes.tolist() == pytest.approx([-bound, bound, -bound, bound], rel=1e-5)
        low, high = 1 - bound, 1 + bound


def test_stacked_matrices_are_orthogonalised_apart_and_scaled_for_their_shape():
    weight = torch.nn.Parameter(torch.zeros(48, 16))
    weight.grad = torch.randn(48, 16, generator=torch.Generator().manual_seed(0))
    Muon([{"params": [weight], "pieces": [32, 8, 8]}], lr=0.5).step()
    for piece, gradient in zip(weight.detach().split([32, 8, 8]), weight.grad.split([32, 8, 8]), strict=True):
        scale = max(1.0, len(piece) / 16) ** 0.5
        torch.testing.assert_close(piece, -0.5 * scale * orthogonalise(gradient[None])[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_slices_change_how_much_is_alive_and_nothing_else(dtype, monkeypatch):
    def moved() -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        weights = [torch.nn.Parameter(torch.randn(8, 24, generator=generator)) for _ in range(5)]
        muon = Muon([{"params": weights}], lr=0.1, weight_decay=0.3, dtype=dtype)
        for _ in range(3):
            for weight in weights:
                weight.grad = torch.randn(8, 24, generator=generator)
            muon.step()
        return [weight.detach() for weight in weights]

    at_once = moved()
    monkeypatch.setattr(muon_file, "SLICE_NUMBERS", 2 * 8 * 24)
    for one, other in zip(at_once, moved(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_update_is_momentum_with_nesterovs_look_ahead_and_decoupled_decay():
    generator = torch.Generator().manual_seed(0)
    start, gradients = torch.randn(6, 6, generator=generator), torch.randn(2, 6, 6, generator=generator)
    weight = torch.nn.Parameter(start.clone())
    muon = Muon([{"params": [weight]}], lr=0.1, momentum=0.9, weight_decay=0.5)
    expected, memory = start.clone(), torch.zeros(6, 6)
    for gradient in gradients:
        weight.grad = gradient.clone()
        muon.step()
        memory = 0.9 * memory + 0.1 * gradient
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * orthogonalise((0.1 * gradient + 0.9 * memory)[None])[0]
    torch.testing.assert_close(weight.detach(), expected, atol=1e-4, rtol=0)
