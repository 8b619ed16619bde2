"""Products of which half is computed: the whole ones of torch, and what Muon makes of them."""

import pytest
import torch

from chainrule.base import DeviceError
from chainrule.kernels import halves_products, short_side_factors, symmetric, symmetric_products, use_kernels
from chainrule.kernels.build import _compiler
from chainrule.kernels.symmetric import by_torch
from chainrule.optim import orthogonalise
from chainrule.optim.orthogonal import STEPS

try:
    _compiler({})
except DeviceError:
    pytest.skip("no C++ compiler is here", allow_module_level=True)

SHAPES = [(1, 1, 1), (2, 5, 7), (3, 12, 32), (2, 33, 300), (1, 130, 65), (2, 64, 515), (1, 257, 40)]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_half_a_product_and_its_mirror_are_the_product(shape, tall):
    use_kernels("auto")
    n_matrices, n, _ = shape
    x = random(*shape).mT.contiguous() if tall else random(*shape)
    left, right = (x.mT, x) if tall else (x, x.mT)
    add, out = random(n_matrices, n, n, seed=1), torch.full((n_matrices, n, n), float("nan"))
    add = add + add.mT
    assert halves_products(left, right, out)
    for more, numbers in ((None, (1.0, 0.0, 0.0)), (add, (0.5, -2.0, 3.0))):
        found = symmetric_products(left, right, out, more, numbers)
        wide = None if more is None else more.double()
        expected = by_torch(left.double(), right.double(), torch.empty_like(out, dtype=torch.float64), wide, numbers)
        assert found is out
        assert (found - expected).abs().max() <= 2e-6 * expected.abs().max()


def test_matrices_that_commute_have_a_symmetric_product():
    use_kernels("auto")
    x = random(2, 70, 70) / 8
    square = x @ x.mT
    cube = square @ square @ square
    found = symmetric_products(square, cube, torch.empty_like(square))
    assert torch.allclose(found, square @ cube, rtol=1e-4, atol=1e-5)


def test_no_bit_depends_on_the_number_of_threads():
    use_kernels("auto")
    x, found, before = random(3, 130, 200), [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            found.append([symmetric_products(x, x.mT, torch.empty(3, 130, 130)), orthogonalise(x)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for one in found[1:] for a, b in zip(one, found[0], strict=True))


def test_without_a_library_in_other_formats_and_of_nothing_they_are_torchs():
    x = random(2, 5, 7)
    assert not halves_products(x)
    assert torch.equal(symmetric_products(x, x.mT, torch.empty(2, 5, 5)), x @ x.mT)
    use_kernels("auto")
    assert not halves_products(x.double()) and not halves_products(x.bfloat16()) and not halves_products(x[:0])
    wide = symmetric_products(x.double(), x.double().mT, torch.empty(2, 5, 5, dtype=torch.float64))
    assert torch.equal(wide, x.double() @ x.double().mT)


@pytest.mark.parametrize("shape", [(3, 40, 40), (2, 24, 90), (2, 90, 24), (1, 64, 80), (1, 8, 1)], ids=str)
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e9])
@pytest.mark.parametrize("widest", [0, 512], ids=["threads share a matrix", "each has its own"])
def test_muons_update_is_that_of_torchs_products(shape, size, widest, monkeypatch):
    monkeypatch.setattr(symmetric, "WIDEST", widest)
    given = random(*shape) * size
    given[0, 0] = 0
    expected = orthogonalise(given)
    use_kernels("auto")
    found = orthogonalise(given)
    assert not torch.equal(found, expected) or 1 in shape[1:], "ours were not used"
    assert (short_side_factors(given, STEPS, (1e-30, 1e-9)) is None) is (widest == 0)
    assert (found - expected).abs().max() <= 2e-4 * expected.abs().max()


def test_a_muon_update_by_halves_keeps_singular_vectors_and_brings_values_near_one():
    use_kernels("auto")
    left, _, right = torch.linalg.svd(random(48, 48).double())
    given = left * torch.linspace(1, 1 / 30, 48).double() @ right
    values = torch.linalg.svdvals(orthogonalise(given.float()[None])[0].double())
    assert values.min() > 0.9 and values.max() < 1.1


def test_what_is_no_number_stays_none():
    use_kernels("auto")
    given = random(2, 20, 20)
    given[1, 3, 3] = float("nan")
    found = orthogonalise(given)
    assert found[0].isfinite().all() and found[1].isnan().all()
