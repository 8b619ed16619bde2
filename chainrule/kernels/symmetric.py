"""Products of matrices that are symmetric for a reason: half of each is computed, and the other half copied."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.base import DeviceError
from chainrule.kernels.fused import native, usable

# Sides of a matrix from which on threads share it: by the size alone, so that no bit depends on how many there are.
WIDEST = 512


def halves_products(*matrices: Tensor) -> bool:
    """Whether `symmetric_products` of these would compute half of them; else they are torch's whole products."""
    return usable(*matrices) and all(one.dtype == torch.float32 and one.numel() > 0 for one in matrices)


def symmetric_products(
    left: Float[Tensor, "N R K"],
    right: Float[Tensor, "N K R"],
    out: Float[Tensor, "N R R"],
    add: Float[Tensor, "N R R"] | None = None,
    numbers: tuple[float, float, float] = (1.0, 0.0, 0.0),
) -> Float[Tensor, "N R R"]:
    """Writes a left right + b add + c I into `out`, for `numbers` (a, b, c), and returns it; it is none of the others.

    Only for products that are symmetric, such as of a matrix and its transpose, or of symmetric matrices that commute:
    what lies below the diagonal is a copy. No gradients.
    """
    a, b, c = numbers
    if not (halves_products(left, right, out) and out.is_contiguous() and (add is None or add.is_contiguous())):
        return by_torch(left, right, out, add, numbers)
    native("symmetric_products", left.dtype, "pnnnpnnnppnnnfff")(
        left.data_ptr(),
        *left.stride(),
        right.data_ptr(),
        *right.stride(),
        None if add is None else add.data_ptr(),
        out.data_ptr(),
        *left.shape,
        a,
        b,
        c,
    )
    return out


def short_side_factors(
    x: Float[Tensor, "N R K"], steps: Sequence[tuple[float, float, float]], least: tuple[float, float]
) -> Float[Tensor, "N R R"] | None:
    """For each matrix X the F with F X near orthogonal, by polynomials a + b G + c G² of G = X Xᵀ, one after the other.

    One matrix at a time, so that all it takes stays in the cache. G is first brought to a norm of at most 1; trace and
    norm count as `least` where they are less. None where there is no kernel for it, or X is so large that the threads
    had better share one: then `symmetric_products` are as quick.
    """
    n_matrices, n, depth = x.shape
    if not halves_products(x) or n > WIDEST:
        return None
    factors, numbers = torch.empty(n_matrices, n, n), torch.tensor(steps)
    native("short_side_factors", x.dtype, "pnnnppnnnnff")(
        x.data_ptr(), *x.stride(), factors.data_ptr(), numbers.data_ptr(), len(steps), n_matrices, n, depth, *least
    )
    return factors


def by_torch(
    left: Tensor, right: Tensor, out: Tensor, add: Tensor | None, numbers: tuple[float, float, float]
) -> Tensor:
    """The same by whole products."""
    a, b, c = numbers
    if add is None:
        torch.bmm(left, right, out=out)
        if a != 1.0:
            out.mul_(a)
    else:
        torch.baddbmm(add, left, right, beta=b, alpha=a, out=out)
    if c:
        out.diagonal(dim1=1, dim2=2).add_(c)
    return out


def trial(generator: torch.Generator) -> None:
    """Raises DeviceError when the library computes other numbers than torch: no whole tiles, long sums."""
    x = torch.randn(2, 37, 300, generator=generator)
    add = x @ x.mT
    ours = symmetric_products(x, x.mT, torch.empty_like(add), add, (0.5, 2.0, 3.0))
    theirs = by_torch(x, x.mT, torch.empty_like(add), add, (0.5, 2.0, 3.0))
    step, least = (3.4, -4.8, 2.1), (1e-12, 1e-6)
    factor = short_side_factors(x, [step, step], least)  # None where threads share a matrix
    square = add / add.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    bound = torch.linalg.matrix_norm(square @ square).sqrt()[:, None, None]
    scale = (bound * add.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]).rsqrt()
    # What two of these polynomials of G, each of what the one before leaves, come to.
    a, b, c = step
    one, square = torch.eye(37), square / bound
    first = a * one + b * square + c * square @ square
    square = first @ square @ first
    wanted = (a * one + b * square + c * square @ square) @ first * scale
    for mine, other in ((ours, theirs), (wanted if factor is None else factor, wanted)):
        if not torch.allclose(mine, other, rtol=1e-3, atol=1e-4 * other.abs().max().item()):
            raise DeviceError("products of symmetric matrices as they were built are other numbers than torch's")
