"""Cross-entropy without a table of log-probabilities: logits are read, and their gradient is written once."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.kernels.fused import computed, native, usable
from chainrule.kernels.library import SUFFIXES


def cross_entropies(
    logits: Float[Tensor, "N V"], targets: Int[Tensor, " N"], ignored: int = -100
) -> Float[Tensor, " N"]:
    """-ln p(target) of each row in nats, float32 at least; 0 where the target is `ignored`."""
    found: Tensor = computed(_CrossEntropy(ignored), logits, targets)
    return found


def loss_turned_into_gradient(
    logits: Float[Tensor, "N V"], targets: Int[Tensor, " N"], share: Float[Tensor, ""], ignored: int = -100
) -> Float[Tensor, ""] | None:
    """The sum of `cross_entropies` times `share`, whose gradient takes the place of `logits`.

    None where there is no kernel for them: nothing has been done then.
    """
    kernel = _CrossEntropy(ignored)
    if not (usable(logits, targets) and kernel.fits(logits, targets) and logits.is_contiguous()):
        return None
    losses, (sums,) = kernel.forward(logits, targets)
    kernel.write_gradient(logits, targets, sums, share.float().expand(len(losses)), logits)
    return losses.sum() * share


@dataclass(frozen=True)
class _CrossEntropy:
    ignored: int

    def fits(self, logits: Tensor, targets: Tensor) -> bool:
        return logits.dtype in SUFFIXES and targets.dtype == torch.int64 and logits.numel() > 0

    def reference(self, logits: Tensor, targets: Tensor) -> Tensor:
        wide = logits if logits.dtype == torch.float64 else logits.float()
        return torch.nn.functional.cross_entropy(wide, targets, ignore_index=self.ignored, reduction="none")

    def forward(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        logits, targets = logits.contiguous(), targets.contiguous()
        losses, sums = torch.empty(2, len(logits))
        pointers = (one.data_ptr() for one in (logits, targets, losses, sums))
        wrong = native("cross_entropy_forward", logits.dtype, "ppppnnn")(*pointers, *logits.shape, self.ignored)
        if wrong >= 0:
            raise IndexError(f"target {targets[wrong]} is none of {logits.shape[1]} entries")
        return losses, (sums,)

    def backward(
        self, gradient: Tensor, inputs: tuple[Tensor, ...], kept: tuple[Tensor, ...]
    ) -> tuple[Tensor | None, ...]:
        (logits, targets), (sums,) = inputs, kept
        found = torch.empty(logits.shape, dtype=logits.dtype)
        self.write_gradient(logits.contiguous(), targets, sums, gradient, found)
        return found, None

    def write_gradient(self, logits: Tensor, targets: Tensor, sums: Tensor, shares: Tensor, to: Tensor) -> None:
        """The gradient by the logits, `shares` being those by the rows; `to` may be `logits`."""
        targets, shares = targets.contiguous(), shares.contiguous()
        pointers = (one.data_ptr() for one in (logits, targets, sums, shares, to))
        native("cross_entropy_backward", logits.dtype, "pppppnnn")(*pointers, *logits.shape, self.ignored)


def trial(dtype: torch.dtype, generator: torch.Generator) -> tuple[_CrossEntropy, Tensor, Tensor]:
    """The kernel and something to try it with."""
    logits = (4 * torch.randn(3, 37, generator=generator)).to(dtype)
    return _CrossEntropy(-100), logits, torch.tensor([0, -100, 36])
