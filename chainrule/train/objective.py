"""What a run learns to do: from a batch to a loss, and how much of a batch counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from chainrule.model import GPT, Batch, WindowsLike

LossFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]
ALL = slice(None)


@runtime_checkable
class Objective(Protocol):
    """A loss that can be made in portions: the mean over what counts, weighted by how much that is."""

    def loss(self, batch: Batch) -> Tensor:
        """Mean loss over what counts of the batch; 0 where nothing does."""

    def counted(self, windows: WindowsLike, rows: slice = ALL) -> int:
        """How much of these windows counts, known before any of them is computed."""


@dataclass(frozen=True)
class NextToken:
    """Every token that is learnt is predicted from those before it (the chain rule of probability).

    `function` is the model's own loss of (inputs, targets, documents), compiled or not.
    """

    function: LossFunction

    def loss(self, batch: Batch) -> Tensor:
        """Mean nats of surprise over the targets."""
        return self.function(batch.inputs, batch.targets, batch.documents)

    def counted(self, windows: WindowsLike, rows: slice = ALL) -> int:
        """The targets that are learnt: all, unless the windows say which."""
        if windows.trained is not None:
            return int(windows.trained[rows, 1:].sum())
        ids = windows.ids[rows]
        return len(ids) * (ids.shape[1] - 1)


def next_token(model: GPT, function: LossFunction) -> NextToken:
    """The objective of pretraining."""
    return NextToken(function)
