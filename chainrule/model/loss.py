"""The chain rule of probability: the loss of a text is the sum of the surprises of its tokens."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from chainrule.kernels import cross_entropies, loss_turned_into_gradient

IGNORED = -100
# Logits that are alive at once where there would be more: 256 MiB of float32. For a vocabulary of 50,257 that is 1,335
# tokens, enough to keep matrix products at full speed; all logits of 65,536 tokens and their gradient are 39 GB.
LOGITS_AT_ONCE = 2**26
# Without gradients a quarter of that: logits and their log-softmax are two blocks, which must find room in a heap that
# training has left in pieces. With whole portions a look added up to 0.8 GB to the peak of 14.5M parameters.
LOOKED_AT_SHARE = 4
# From logits, targets and how many targets count to a portion's share of the mean loss and its gradient by the logits.
Portion = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def token_losses(logits: Float[Tensor, "... V"], targets: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
    """-ln p(target) of each token in nats, float32 at least; 0 where the target is IGNORED (-100)."""
    return cross_entropies(logits.flatten(0, -2), targets.flatten(), IGNORED).view(targets.shape)


def mean_loss(losses: Float[Tensor, "..."], targets: Int[Tensor, "..."]) -> Float[Tensor, ""]:
    """Mean over the targets that count; 0 (never NaN) when none does."""
    return losses.sum() / (targets != IGNORED).sum().clamp(min=1)


def in_portions(n_tokens: int, vocab_size: int, at_once: int) -> list[slice]:
    """Stretches of tokens whose logits are at most `at_once`, or of one token."""
    size = max(1, at_once // vocab_size)
    return [slice(start, min(start + size, n_tokens)) for start in range(0, n_tokens, size)]


def mean_loss_in_portions(
    x: Float[Tensor, "... D"],
    weight: Float[Tensor, "V D"],
    targets: Int[Tensor, "..."],
    at_once: int = LOGITS_AT_ONCE,
    portion: Portion | None = None,
) -> Float[Tensor, ""]:
    """The `mean_loss` of the logits x weightᵀ, of which at most `at_once` are alive; under autocast in its format.

    The gradient is made in the forward pass, beside the logits that it needs: nothing of their size is kept for the
    backward pass. It can be differentiated once. `portion` makes the losses and gradients of portions; None: torch's
    operations do, or a kernel of our own.
    """
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
    result: Tensor = _MeanLoss.apply(x.flatten(0, -2), weight, targets.flatten(), at_once, dtype, portion)  # type: ignore[no-untyped-call]
    return result


def compiled_portions(backend: str) -> Callable[[Tensor, Tensor, Tensor, int], Tensor]:
    """`mean_loss_in_portions` that torch.compile leaves alone in its caller, each portion compiled by itself.

    By torch's operations a portion is read and written some ten times in float32: by arithmetic that takes longer, on a
    GPU of 3 TB/s, than the products of the head.
    """
    portion = torch.compile(loss_and_gradient_to_compile, backend=backend)

    def loss(x: Tensor, weight: Tensor, targets: Tensor, at_once: int) -> Tensor:
        return mean_loss_in_portions(x, weight, targets, at_once, portion)

    left_alone: Callable[[Tensor, Tensor, Tensor, int], Tensor] = torch.compiler.disable(loss)  # type: ignore[no-untyped-call]
    return left_alone


class _MeanLoss(torch.autograd.Function):
    """From (x, weight) to the mean loss; keeps both gradients, which the backward pass only scales."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        targets: Tensor,
        at_once: int,
        dtype: torch.dtype,
        loss_and_gradient: Portion | None,
    ) -> Tensor:
        total = torch.zeros((), dtype=_wide(dtype), device=x.device)
        x_gradient = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        weight_gradient = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        n_counted = (targets != IGNORED).sum().clamp(min=1)
        made_by = loss_and_gradient or _loss_and_gradient
        with torch.autocast(x.device.type, enabled=False):
            narrow = weight.to(dtype)
            for portion in in_portions(len(x), len(weight), at_once):
                rows = x[portion].to(dtype)
                loss, logits_gradient = made_by(rows @ narrow.T, targets[portion], n_counted)
                total += loss
                if x_gradient is not None:
                    x_gradient[portion] = logits_gradient @ narrow
                if weight_gradient is not None:
                    _add_product(weight_gradient, logits_gradient.T, rows)
                del logits_gradient  # or it would be there beside the next portion's logits
        ctx.gradients = x_gradient, weight_gradient
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None  # scaled in place, so there is no second time
        if gradients is None:
            raise RuntimeError("the loss of many logits keeps its gradient for one backward pass; make the loss again")
        scaled = (None if one is None else one.mul_(upstream.to(one.dtype)) for one in gradients)
        return (*scaled, None, None, None, None)


def _loss_and_gradient(logits: Tensor, targets: Tensor, n_counted: Tensor) -> tuple[Tensor, Tensor]:
    """The portion's share of the mean loss and its gradient by the logits, in their format; made in their place."""
    loss = loss_turned_into_gradient(logits, targets, 1 / n_counted, IGNORED)
    if loss is not None:
        return loss, logits
    wide = logits.to(_wide(logits.dtype))
    counted = (targets != IGNORED).unsqueeze(1)
    places = targets.where(counted[:, 0], 0).unsqueeze(1)
    share = counted / n_counted.to(wide.dtype)
    wide.sub_(wide.amax(1, keepdim=True))
    at_target = wide.gather(1, places)
    total = wide.exp_().sum(1, keepdim=True)
    loss = ((total.log() - at_target) * share).sum()
    # softmax minus one at the target, where the target counts
    wide.mul_(share / total).scatter_add_(1, places, -share)
    return loss, wide.to(logits.dtype)


def loss_and_gradient_to_compile(
    logits: Float[Tensor, "N V"], targets: Int[Tensor, " N"], n_counted: Int[Tensor, ""]
) -> tuple[Float[Tensor, ""], Float[Tensor, "N V"]]:
    """The same for a compiler, which makes it in two passes: nothing is written in place, and nothing scattered."""
    wide = logits.to(_wide(logits.dtype))
    counted = (targets != IGNORED)[:, None]
    places = targets.where(counted[:, 0], 0)[:, None]
    share = counted / n_counted.to(wide.dtype)
    log_total = wide.logsumexp(1, keepdim=True)
    loss = ((log_total - wide.gather(1, places)) * share).sum()
    at_target = torch.arange(wide.shape[1], device=wide.device) == places
    return loss, (((wide - log_total).exp() - at_target.to(wide.dtype)) * share).to(logits.dtype)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32
