"""What a process learns with: a model from outside, whose forward pass is the loss of its part of a batch.

Its loss is a sum in nats and not a mean, so that those of all processes add up to that of the batch, however many
tokens of it each has.
"""

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Partial

from chainrule.model import GPT, IGNORED, Batch, mean_loss_in_portions, same_document


class Learner(nn.Module):
    """A model, and the loss of a batch that this process has for itself."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.model = model

    def own(self, targets: Tensor) -> Tensor:
        """The targets that this process predicts."""
        return targets

    def forward(self, inputs: Tensor, targets: Tensor, documents: Tensor | None = None) -> Tensor:
        """Nats of surprise over the targets that count, added up."""
        return self.model.loss(inputs, targets, documents) * n_counted(targets)


class StretchLearner(Learner):
    """Under tensor parallelism: of each text that the processes read together one embeds and predicts its stretch.

    `place` of `n_places` is which. The blocks bring the stretches together where they need all of the text.
    """

    def __init__(self, model: GPT, place: int, n_places: int) -> None:
        super().__init__(model)
        self.place, self.n_places = place, n_places

    def own(self, targets: Tensor) -> Tensor:
        """The targets of its stretch."""
        return targets[:, self._stretch(targets.shape[1])]

    def forward(self, inputs: Tensor, targets: Tensor, documents: Tensor | None = None) -> Tensor:
        """Nats of surprise over the targets of its stretch that count, added up."""
        model, stretch = self.model, self._stretch(inputs.shape[1])
        table = _whole(model.token_embedding.weight)
        x = nn.functional.embedding(inputs[:, stretch], table)
        places = getattr(model.position_embedding, "weight", None)
        if places is not None:
            x = x + _whole(places)[stretch]
        x = model.drop(x)
        rotation = model.position_embedding.rotation(slice(0, inputs.shape[1]))
        mask = None if documents is None else same_document(documents)
        for block in model.blocks:
            if model.checkpointing:
                x = torch.utils.checkpoint.checkpoint(block, x, rotation, mask, use_reentrant=False)
            else:
                x = block(x, rotation, mask)
        x = model.final_norm(x)
        head = table if model.head is None else _whole(model.head_weight)
        own = self.own(targets).contiguous()
        return mean_loss_in_portions(x, head, own, model.logits_at_once) * n_counted(own)

    def _stretch(self, length: int) -> slice:
        return slice(self.place * length // self.n_places, (self.place + 1) * length // self.n_places)


def loss_of(learner: nn.Module, batch: Batch) -> Tensor:
    """The sum that `learner`, wrapped or not, gives for a batch."""
    return learner(batch.inputs, batch.targets, batch.documents)


def n_counted(targets: Tensor) -> Tensor:
    """How many targets count; at least one, by which a mean over none was divided."""
    return (targets != IGNORED).sum().clamp(min=1)


def _whole(weight: Tensor) -> Tensor:
    """All of a weight for now; what it learns goes back to the parts, added up over the stretches."""
    return weight.full_tensor(grad_placements=[Partial()]) if isinstance(weight, DTensor) else weight
