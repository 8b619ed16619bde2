"""A model cut into stages, each on processes of its own, and micro-batches that follow each other through them.

The schedule is torch's (1F1B: Narayanan et al., arXiv 2104.04473). A stage is the whole model without what other
stages have, so every weight keeps its name. Where head and token embedding are one table, the first and the last stage
have it, and add up what they learn of it.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.pipelining import PipelineStage, Schedule1F1B

from chainrule.device import Precision
from chainrule.model import GPT, Batch, mean_loss_in_portions, same_document
from chainrule.ranks.learner import Learner, n_counted
from chainrule.ranks.parts import local

SHARED = "token_embedding.weight"


class StageLearner(Learner):
    """One of `n_stages` stages of a model: from tokens or the stream to the stream, or to the loss."""

    def __init__(self, model: GPT, place: int, n_stages: int, precision: Precision) -> None:
        super().__init__(model)
        self.place, self.n_stages, self.precision = place, n_stages, precision
        each = model.config.n_layers // n_stages
        self.blocks = range(place * each, (place + 1) * each)
        _cut(model, self.blocks, first=self.first, last=self.last)

    @property
    def first(self) -> bool:
        """Whether it embeds."""
        return self.place == 0

    @property
    def last(self) -> bool:
        """Whether it predicts."""
        return self.place == self.n_stages - 1

    def own(self, targets: Tensor) -> Tensor:
        """All targets in the last stage, and none in the others."""
        return targets if self.last else targets[:0]

    def forward(self, x: Tensor, targets: Tensor, documents: Tensor | None = None) -> Tensor:
        """The stream after its blocks; of the last stage, nats of surprise added up."""
        model = self.model
        with self.precision.autocast():
            if self.first:
                x = model.drop(model.position_embedding.embed(model.token_embedding(x), slice(0, x.shape[1])))
            position: Any = model.position_embedding
            rotation = None if position is None else position.rotation(slice(0, x.shape[1]))
            mask = None if documents is None else same_document(documents)
            for number in self.blocks:
                if model.checkpointing:
                    x = torch.utils.checkpoint.checkpoint(model.blocks[number], x, rotation, mask, use_reentrant=False)
                else:
                    x = model.blocks[number](x, rotation, mask)
            if not self.last:
                return x
            x = model.final_norm(x)
            return mean_loss_in_portions(x, model.head_weight, targets, model.logits_at_once) * n_counted(targets)


class Pipeline:
    """The stages of one line of processes, and the schedule by which micro-batches of one shape go through."""

    def __init__(self, learner: StageLearner, mesh: DeviceMesh, device: str) -> None:
        self.learner, self.group, self.device = learner, mesh["pp"].get_group(), device
        self.counted = 1.0
        self._schedules: dict[tuple[int, ...], Schedule1F1B] = {}
        self._ends = _ends_of_lines(mesh) if learner.model.config.tied_embeddings else None

    @property
    def counted_elsewhere(self) -> frozenset[str]:
        """Names of the weights whose gradients another stage counts as well."""
        return frozenset({SHARED}) if self._ends is not None and self.learner.last else frozenset()

    def backward(self, batch: Batch, n: int, counted: float) -> Tensor:
        """Adds the gradient of all of it, in `n` micro-batches; returns this process's share of the mean loss."""
        schedule, losses = self._schedule(batch.inputs, n), list[Tensor]()
        more: dict[str, Any] = {"targets": batch.targets}
        if batch.documents is not None:
            more["documents"] = batch.documents
        self.counted = counted
        if self.learner.first:
            schedule.step(batch.inputs, **more)
        elif self.learner.last:
            schedule.step(target=batch.targets, losses=losses, return_outputs=False, **more)
        else:
            schedule.step(**more)
        if self._ends is not None and (self.learner.first or self.learner.last):
            gradient = self.learner.model.token_embedding.weight.grad
            assert gradient is not None
            dist.all_reduce(local(gradient), group=self._ends)
        return sum((one.detach() for one in losses), torch.zeros((), device=self.device))

    def _schedule(self, inputs: Tensor, n: int) -> Schedule1F1B:
        shape = (len(inputs) // n, inputs.shape[1])
        if (*shape, n) not in self._schedules:
            learner, width = self.learner, self.learner.model.config.emb_dim
            stream = torch.empty(*shape, width, device="meta", requires_grad=True)
            stage = PipelineStage(
                learner,
                learner.place,
                learner.n_stages,
                torch.device(self.device),
                input_args=torch.empty(shape, dtype=torch.long, device="meta") if learner.first else stream,
                output_args=torch.empty((), device="meta", requires_grad=True) if learner.last else stream,
                group=self.group,
            )
            self._schedules[*shape, n] = Schedule1F1B(stage, n, loss_fn=self._mean, scale_grads=False)
        return self._schedules[*shape, n]

    def _mean(self, nats: Tensor, targets: Tensor) -> Tensor:
        return nats / self.counted


def stage_of(name: str, n_layers: int, n_stages: int) -> int:
    """The first stage that has the weight of that name."""
    first, _, rest = name.partition(".")
    if first == "blocks":
        return int(rest.partition(".")[0]) * n_stages // n_layers
    return n_stages - 1 if first in ("final_norm", "head") else 0


def _ends_of_lines(mesh: DeviceMesh) -> Any:
    """The group of first and last stage of this process's line; all processes make those of all lines."""
    own = None
    lines = mesh.mesh.flatten(1).T.tolist()
    for line in lines:
        group = dist.new_group([line[0], line[-1]])
        if dist.get_rank() in (line[0], line[-1]):
            own = group
    return own


def _cut(model: GPT, blocks: range, *, first: bool, last: bool) -> None:
    """Takes out of the model, which may be without memory, what other stages have."""
    whole: Any = model
    for number in range(model.config.n_layers):
        if number not in blocks:
            model.blocks[number] = nn.Identity()
    if not first:
        if model.config.position == "learned":
            whole.position_embedding = None
        if not (last and model.head is None):
            whole.token_embedding = None
    if not last:
        whole.final_norm = None
        whole.head = None
