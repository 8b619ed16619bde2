"""Ways of writing PyTorch, all of them right, for lens_accused: `WAYS[name]()` is (what is run, its batch).

The first half here: expressions on a weight `w` (6×6) and an input `x` (4×6). Modules are in lens_ways_modules.py.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

N = 6
Made = tuple[Any, Any]
WAYS: dict[str, Callable[[], Made]] = {}


class Expression(nn.Module):
    """A weight, and an expression in it."""

    def __init__(self, of: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(N, N) / 2)
        self.of = of

    def forward(self, x: Tensor) -> Tensor:
        """The expression, of numbers that went through a smooth function."""
        return self.of(x.sin(), self.w)


def _made(of: Callable[[Tensor, Tensor], Tensor]) -> Made:
    return Expression(of), torch.randn(4, N)


def way(of: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Puts an expression that takes several lines on the list, under its function's name."""
    WAYS[of.__name__.strip("_").replace("_", " ")] = partial(_made, of)
    return of


INDEX, ROW_INDEX = torch.tensor([0, 2, 2, 5]), torch.tensor([[0, 1, 5, 3, 2, 4]]).repeat(4, 1)
CONSTANT = np.linspace(-1.0, 1.0, N)

SHORT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "the operator @": lambda x, w: x @ w,
    "einsum": lambda x, w: torch.einsum("bi,ij->bj", x, w),
    "einsum with an ellipsis and a trace": lambda x, w: torch.einsum("...i,jj->...i", x, w),
    "tensordot": lambda x, w: torch.tensordot(x, w, dims=([1], [0])),
    "F.linear": lambda x, w: F.linear(x, w),
    "a product by broadcasting": lambda x, w: (x[:, :, None] * w).sum(1),
    "sum() of a list": lambda x, w: sum((x[:, [i]] * w[i] for i in range(N)), torch.zeros(())),
    "a list comprehension, stacked": lambda x, w: torch.stack([row @ w for row in x]),
    "chunks, put together again": lambda x, w: torch.cat([part @ w[:3] for part in x.chunk(2, -1)], -1),
    "unbind": lambda x, w: x.unbind(0)[1] @ w,
    "slices": lambda x, w: x[1:, ::2] @ w[:3, -2:],
    "an ellipsis and None": lambda x, w: x[..., None, :] @ w[None],
    "flip and roll": lambda x, w: (x.flip(1) @ w).roll(1, 0),
    "a boolean mask": lambda x, w: (x @ w)[x > 0].sin(),
    "rows by an index": lambda x, w: w[INDEX] * x,
    "index_select": lambda x, w: w.index_select(0, INDEX) * x,
    "gather": lambda x, w: (x @ w).gather(1, ROW_INDEX),
    "scatter_add": lambda x, w: torch.zeros(4, N, dtype=x.dtype).scatter_add(1, ROW_INDEX, x @ w),
    "masked_fill with minus infinity": lambda x, w: (x @ w).masked_fill(x < -0.5, -torch.inf).softmax(-1),
    "where": lambda x, w: torch.where(x > 0, x @ w, -x),
    "a view, transposed and reshaped": lambda x, w: (x @ w).view(2, 2, N).transpose(0, 2).reshape(N, 4),
    "permute and contiguous": lambda x, w: (x @ w).reshape(2, 2, N).permute(2, 0, 1).contiguous().view(-1),
    "expand and repeat": lambda x, w: w[0].expand(4, N) * x.repeat(1, 1) + w[1].repeat(4, 1),
    "as_strided": lambda x, w: (x @ w).as_strided((3, 3), (4, 1), 2),
    "unfold": lambda x, w: (x @ w).unfold(1, 3, 2).mean(-1),
    "a diagonal, and a triangle": lambda x, w: x @ w.tril() + w.diagonal(),
    "cumsum and cumprod": lambda x, w: (x @ w).cumsum(0) + w.cumprod(1)[:4],
    "logsumexp": lambda x, w: (x @ w).logsumexp(-1),
    "topk": lambda x, w: (x @ w).topk(3, -1).values,
    "sort and argsort": lambda x, w: (x @ w).sort(-1).values * x[:, x[0].argsort()],
    "max with its index": lambda x, w: (x @ w).max(-1)[0],
    "median": lambda x, w: (x @ w).median(0).values,
    "norms": lambda x, w: x / w.norm() + torch.linalg.vector_norm(x @ w, 3, -1, keepdim=True),
    "var_mean and std": lambda x, w: torch.stack([*torch.var_mean(x @ w, 0), (x @ w).std(0)]),
    "prod": lambda x, w: (x @ w).prod(-1),
    "kron and outer": lambda x, w: torch.kron(w[:2, :2], x[:2, :2]) + torch.outer(w[0, :4], x[0, :4]),
    "distances": lambda x, w: torch.cdist(x, w),
    "a linear system": lambda x, w: torch.linalg.solve(w @ w.T + torch.eye(N, dtype=w.dtype), x.T),
    "a determinant": lambda x, w: torch.linalg.slogdet(w @ w.T + torch.eye(N, dtype=w.dtype))[1] + x,
    "singular values": lambda x, w: torch.linalg.svdvals(x @ w),
    "a Fourier transform": lambda x, w: torch.fft.rfft(x @ w).abs().square(),
    "complex numbers": lambda x, w: (torch.view_as_complex((x @ w).reshape(4, 3, 2)) * 1j).real,
    "lerp and addcmul": lambda x, w: torch.addcmul(x.lerp(x @ w, 0.3), x, w[:4], value=0.5),
    "powers": lambda x, w: (x @ w).abs().add(0.1) ** x + 2.0 ** w[:4] + (x @ w) ** 3,
    "sign, floor and remainder": lambda x, w: (x @ w).sign() * (x @ w) + (x @ w) % 1.3 + (x @ w).floor(),
    "vmap": lambda x, w: torch.vmap(lambda row: (row @ w).tanh())(x),
    "a gradient inside": lambda x, w: torch.func.grad(lambda one: (one @ w).sin().sum())(x),
    "a checkpoint": lambda x, w: checkpoint(lambda one: (one @ w).tanh(), x, use_reentrant=False),
    "a reentrant checkpoint": lambda x, w: checkpoint(lambda one: one.tanh(), x @ w, use_reentrant=True),
    "a constant of NumPy": lambda x, w: x @ w * torch.from_numpy(CONSTANT).to(x.dtype),
    "a cast to float32 inside": lambda x, w: (x @ w).float().tanh().to(x.dtype),
    "a one-hot of argmax": lambda x, w: (x @ w) * F.one_hot((x @ w).argmax(-1), N),
    "attention by F": lambda x, w: F.scaled_dot_product_attention(x[None], (x @ w)[None], x[None], is_causal=True),
    "scatter_reduce": lambda x, w: x.scatter_reduce(1, ROW_INDEX % 3, x @ w, "amax"),
}


@way
def a_while_loop(x: Tensor, w: Tensor) -> Tensor:
    n = 0
    while n < 3:
        x, n = (x @ w).tanh(), n + 1
    return x


@way
def recursion(x: Tensor, w: Tensor) -> Tensor:
    def deeper(h: Tensor, depth: int) -> Tensor:
        return h if not depth else deeper((h @ w).tanh(), depth - 1)

    return deeper(x, 3)


@way
def a_loop_until_small_enough(x: Tensor, w: Tensor) -> Tensor:
    while x.abs().max() > 0.5:
        x = (x @ w).tanh() * 0.7
    return x


@way
def in_place_on_a_copy(x: Tensor, w: Tensor) -> Tensor:
    y = (x @ w).clone()
    y.add_(x).mul_(2).tanh_()
    return y


@way
def a_slice_is_written_to(x: Tensor, w: Tensor) -> Tensor:
    y = x @ w
    y[:, 0] = y[:, 1] + y[:, 2] / 2
    y[1:, 3:] += 1.5
    return y.sin()


@way
def rows_are_filled_one_by_one(x: Tensor, w: Tensor) -> Tensor:
    y = torch.zeros(4, N, dtype=x.dtype)
    for i in range(4):
        y[i] = x[i] @ w + (y[i - 1] if i else 0)
    return y


@way
def a_mask_is_written_to(x: Tensor, w: Tensor) -> Tensor:
    y = x @ w
    y[x > 0] = 0
    y[INDEX[:2], INDEX[2:]] = x[0, :2] * 3
    return y


@way
def index_put_that_adds(x: Tensor, w: Tensor) -> Tensor:
    return (x @ w).index_put((INDEX % 4,), x * 2, accumulate=True).index_add(0, INDEX % 4, x)


@way
def copy_into_what_was_allocated(x: Tensor, w: Tensor) -> Tensor:
    y = torch.empty_like(x)
    y.copy_(x @ w)
    y += x
    return y.exp_()


@way
def relu_in_place(x: Tensor, w: Tensor) -> Tensor:
    return F.relu(F.relu(x @ w, inplace=True) - 0.1, inplace=True)


@way
def a_gradient_penalty(x: Tensor, w: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad((x @ w).tanh().sum(), x, create_graph=True)
    return (slope.norm(dim=1) - 1) ** 2


@way
def straight_through_by_detach(x: Tensor, w: Tensor) -> Tensor:
    y = x @ w
    return (y + (y.round() - y).detach()) * x


@way
def a_scale_that_is_a_python_number(x: Tensor, w: Tensor) -> Tensor:
    y = x @ w
    return y / max(y.abs().max().item(), 1e-3)


@way
def a_branch_on_a_number(x: Tensor, w: Tensor) -> Tensor:
    return (x @ w).tanh() if (x @ w).sum() > -1e3 else x


@way
def numbers_by_tolist(x: Tensor, w: Tensor) -> Tensor:
    return x @ w * torch.tensor(x[0].tolist(), dtype=x.dtype)


@way
def a_hook_that_only_looks(x: Tensor, w: Tensor) -> Tensor:
    y = x @ w
    seen: list[float] = []
    y.register_hook(lambda g: seen.append(float(g.norm())))  # type: ignore[no-untyped-call]
    y.retain_grad()
    return y.tanh()


@way
def rotary_positions(x: Tensor, w: Tensor) -> Tensor:
    turned = torch.polar(torch.ones(4, 3, dtype=x.dtype), torch.outer(torch.arange(4.0), torch.rand(3)).to(x.dtype))
    return torch.view_as_real(torch.view_as_complex((x @ w).reshape(4, 3, 2)) * turned).flatten(1)


@way
def gumbel_softmax_hard(x: Tensor, w: Tensor) -> Tensor:
    return F.gumbel_softmax(x @ w, tau=0.7, hard=True) * x


WAYS.update({name: partial(_made, of) for name, of in SHORT.items()})
