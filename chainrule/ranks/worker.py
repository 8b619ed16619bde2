"""What each process of a run does, the leader as well as the others: its part of an update, and of the state."""

import json
import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from chainrule.base import TrainingError
from chainrule.config import Config
from chainrule.data import run_dataset
from chainrule.device import Precision
from chainrule.model import GPT, IGNORED, Batch, micro_batches
from chainrule.optim import OPTIMIZERS, Optimizer
from chainrule.plan import Layout
from chainrule.ranks.group import Group
from chainrule.ranks.layout import laid_out
from chainrule.ranks.learner import Learner, loss_of
from chainrule.ranks.muon import MuonForParts
from chainrule.ranks.parts import by_whole_name, gathered, local, n_copies, shared_out, whole_name
from chainrule.ranks.pipeline import Pipeline, StageLearner, stage_of
from chainrule.run import RunFolder
from chainrule.train import (
    BatchSource,
    Judge,
    Made,
    Portion,
    StepResult,
    check_ids,
    old_dataset,
    seed_step,
    training_batches,
    unsound_names,
)

# Ranks that read other text drop other units out: their generators begin apart by this.
APART = 0x51ED270B
NAMES_SHOWN = 3
OPTIMIZERS_OF_PARTS = {**OPTIMIZERS, "muon": MuonForParts.of}


@dataclass
class Worker:
    """Model, optimizer and text of one process."""

    group: Group
    layout: Layout
    config: Config
    precision: Precision
    batches: BatchSource
    learner: Learner
    called: nn.Module
    optimizer: Optimizer
    in_parts: bool
    shapes: dict[str, torch.Size]
    """Of all weights, whole, those of other stages too."""
    pipeline: Pipeline | None = None
    unsound: list[str] = field(default_factory=list)
    """Weights that were not finite after the last update."""

    @classmethod
    def of(cls, group: Group, layout: Layout, run: RunFolder, config: Config, precision: Precision) -> "Worker":
        """Everything but the weights; reads nothing of the run but its text."""
        mesh = group.mesh(layout, precision.device)
        with torch.device("meta"):
            model = GPT(config.model)
        model.checkpointing = config.machine.activation_checkpointing
        shapes = {name: one.shape for name, one in model.named_parameters()}
        learner, called = laid_out(model, layout, mesh, precision)
        pipeline = None
        if isinstance(learner, StageLearner):
            pipeline = Pipeline(learner, mesh, precision.device)
        in_parts = any(isinstance(one, DTensor) for one in model.parameters())
        kinds = OPTIMIZERS_OF_PARTS if in_parts else OPTIMIZERS
        optimizer = Optimizer(model, config, precision.dtype or torch.float32, kinds)
        batches = training_batches(config, run_dataset(run), old_dataset(run))
        return cls(
            group, layout, config, precision, batches, learner, called.train(), optimizer, in_parts, shapes, pipeline
        )

    @property
    def reader(self) -> int:
        """Which of the readers of different text it belongs to; those that share matrices and stages read the same."""
        return self.group.world.rank // self.layout.tp % self.layout.readers

    def update(self, portion: Portion, signal: int, judge: Judge | None) -> Made:
        """Its part of one update. All come to the same result, but for the excess, which the leader judges."""
        seed_step(self.config.training.seed + APART * self.group.world.rank, portion.step)
        share = portion.count // self.layout.readers
        windows = self.batches.windows(portion.first + self.reader * share, share, portion.n_pieces)
        check_ids(windows, self.config.model.vocab_size, portion.step + 1)
        batches = list(micro_batches(windows, portion.micro_batch * portion.n_pieces, self.precision.device))
        own = sum(int((self.learner.own(batch.targets) != IGNORED).sum()) for batch in batches)
        heard = self.group.table((own, signal, len(self.unsound)))
        if any(row[2] for row in heard):
            self._give_up(portion.step)
        counted = max(1.0, sum(row[0] for row in heard))
        if self.pipeline is None:
            loss = self._backward(batches, counted)
        else:
            loss = self.pipeline.backward(Batch.of(windows, device=self.precision.device), len(batches), counted)
        result = self._result(loss, portion, judge)
        if result.applied:
            self._move(result, portion)
        self.optimizer.zero_grad()
        return Made(result, int(max(row[1] for row in heard)))

    def _backward(self, batches: list[Batch], counted: float) -> Tensor:
        """Adds the gradient of all micro-batches; returns this process's share of the mean loss."""
        loss = torch.zeros((), device=self.precision.device)
        for number, batch in enumerate(batches):
            with self._sent(last=number + 1 == len(batches)):
                with self._format():
                    nats = loss_of(self.called, batch) / counted
                torch.autograd.backward(nats)
            loss += nats.detach()
        return loss

    def _format(self) -> AbstractContextManager[object]:
        """Autocast; where weights are in parts it keeps no casts, which would be the whole model at the last block."""
        if self.precision.dtype is None or not self.in_parts:
            return self.precision.autocast()
        return torch.autocast(self.precision.device, dtype=self.precision.dtype, cache_enabled=False)

    def _sent(self, *, last: bool) -> AbstractContextManager[object]:
        """Copies send their gradients once, after the last micro-batch; where weights are shared, after each."""
        return self.called.no_sync() if isinstance(self.called, DistributedDataParallel) and not last else nullcontext()

    def _result(self, loss: Tensor, portion: Portion, judge: Judge | None) -> StepResult:
        """Loss and norm of the whole batch, and whether the weights move."""
        squares = self._squares()
        rows = self.group.table((loss.item(), squares))
        total, norm = sum(row[0] for row in rows), math.sqrt(sum(row[1] for row in rows))
        ranks = tuple(rank for rank, row in enumerate(rows) if not math.isfinite(row[0]))
        excess = judge(total, norm) if judge else ()
        # What the leader holds of it is the first row.
        held = portion.judged and self.group.table((float(bool(excess)),))[0][0]
        applied = math.isfinite(total) and math.isfinite(norm) and not held
        return StepResult(total, norm, applied, excess, ranks=ranks)

    def _squares(self) -> float:
        """Of this process its share of the squared norm of the whole gradient; of equal parts each counts a share."""
        gradients, shares = [], []
        once = self.pipeline.counted_elsewhere if self.pipeline else frozenset()
        for name, parameter in self.learner.model.named_parameters():
            gradient = parameter.grad
            if gradient is None:
                continue
            if isinstance(gradient, DTensor) and isinstance(parameter.data, DTensor):
                # Of a norm each process has the sum over its own stretch of the text.
                parameter.grad = gradient = gradient.redistribute(placements=parameter.data.placements)
            gradients.append(local(gradient))
            shares.append(0.0 if name in once else 1.0 / n_copies(gradient, self.group.world.size // self.layout.pp))
        norms = torch.stack(torch._foreach_norm(gradients)).tolist()
        return math.fsum(share * norm * norm for share, norm in zip(shares, norms, strict=True))

    def _move(self, result: StepResult, portion: Portion) -> None:
        """The update, and a look at the weights: what is not finite is told with the next one, before anything is done.

        What is saved in between is looked at as a whole.
        """
        clip = self.config.optimizer.grad_clip
        if clip and result.grad_norm > clip:
            gradients = [local(one.grad) for one in self.learner.parameters() if one.grad is not None]
            torch._foreach_mul_(gradients, clip / (result.grad_norm + 1e-6))
        self.optimizer.step(portion.factor)
        parts = {name: local(one.detach()) for name, one in self.learner.model.named_parameters()}
        self.unsound = unsound_names(parts)

    def _give_up(self, step: int) -> None:
        """Raises TrainingError on every process, with the ranks of which a weight is not finite."""
        said = self.group.texts(", ".join(self.unsound[:NAMES_SHOWN]))
        found = "; ".join(f"rank {rank}: {names}" for rank, names in enumerate(said) if names)
        raise TrainingError(
            f"the weights are not finite at step {step} ({found}). Nothing of this is saved, and no update mends it: a "
            "fault of memory or processor, or an update far too large; the last checkpoint is intact"
        )

    def take(self, weights: dict[str, Tensor] | None, state: dict[str, Tensor] | None, keys: list[str]) -> None:
        """Takes its parts of what the leader has, whole; `keys` are those of the optimizer's state."""
        device, parts_of = self.precision.device, self._parts_of()
        with torch.no_grad():
            for name, shape in self.shapes.items():
                parts = [part for _, part in parts_of.get(name, [])]
                shared_out(weights[name] if weights else None, shape, device, parts)
            self.optimizer.forget()
            found: dict[str, Tensor] = {}
            for where in keys:
                name, _, key = where.rpartition(":")
                parts = [part for _, part in parts_of.get(name, [])]
                one = key == "step"  # a number of each parameter, whatever its parts
                values = [torch.zeros((), device=device) if one else torch.zeros_like(part) for part in parts]
                shape = torch.Size() if one else self.shapes[name]
                shared_out(state[where] if state else None, shape, device, values)
                names = [part for part, _ in parts_of.get(name, [])]
                found |= {f"{part}:{key}": value for part, value in zip(names, values, strict=True)}
            self.optimizer.load_state(found)

    def weights(self) -> dict[str, Tensor]:
        """All weights, whole, one after the other; every process calls it, and the leader keeps them."""
        parts_of = self._parts_of()
        return self._kept({name: [part for _, part in parts_of.get(name, [])] for name in self.shapes})

    def state(self) -> dict[str, Tensor]:
        """The optimizer's state in the same way, under "parameter name:state name"."""
        known = self.optimizer.state()
        groups: dict[str, list[Tensor]] = {}
        for where in sorted(known):
            groups.setdefault(whole_name(where), []).append(known[where])
        of_all = sorted({where for said in self.group.texts(json.dumps(list(groups))) for where in json.loads(said)})
        return self._kept({where: groups.get(where, []) for where in of_all})

    def _parts_of(self) -> dict[str, list[tuple[str, Tensor]]]:
        """Its parameters with their names, under those of a whole model."""
        named = dict(self.learner.model.named_parameters())
        return {whole: [(name, named[name]) for name in names] for whole, names in by_whole_name(named).items()}

    def _kept(self, groups: dict[str, list[Tensor]]) -> dict[str, Tensor]:
        """The whole tensors, for the leader; of other stages they are sent to it."""
        leads, rank = self.group.world.leads, self.group.world.rank
        found: dict[str, Tensor] = {}
        for where, parts in groups.items():
            stage = stage_of(where, self.config.model.n_layers, self.layout.pp)
            owner = stage * (self.group.world.size // self.layout.pp)
            if rank // (self.group.world.size // self.layout.pp) == stage:
                whole = gathered(parts)
                if owner and rank == owner:
                    dist.send(whole.contiguous(), 0)
            elif leads:
                name, _, key = where.partition(":")
                shape = torch.Size() if key == "step" else self.shapes[name]
                whole = torch.empty(shape, device=self.precision.device)
                dist.recv(whole, owner)
            if leads:
                found[where] = whole.cpu() if whole.is_cuda else whole.clone()
        return found
