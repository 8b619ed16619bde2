"""What each process of a run does, the leader as well as the others: its part of an update, and of the state."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from chainrule.base import TrainingError
from chainrule.config import Config
from chainrule.data import run_dataset
from chainrule.device import Precision
from chainrule.model import GPT, IGNORED, micro_batches
from chainrule.optim import OPTIMIZERS, Optimizer
from chainrule.plan import Layout
from chainrule.ranks.group import Group
from chainrule.ranks.layout import laid_out
from chainrule.ranks.learner import Learner, loss_of
from chainrule.ranks.muon import MuonForParts
from chainrule.ranks.parts import by_whole_name, gathered, local, n_copies, shared_out
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
    unsound: list[str] = field(default_factory=list)
    """Weights that were not finite after the last update."""

    @classmethod
    def of(cls, group: Group, layout: Layout, run: RunFolder, config: Config, precision: Precision) -> "Worker":
        """Everything but the weights; reads nothing of the run but its text."""
        mesh = group.mesh(layout, precision.device)
        with torch.device("meta"):
            model = GPT(config.model)
        model.checkpointing = config.machine.activation_checkpointing
        learner, called = laid_out(model, layout, mesh, precision.device)
        in_parts = any(isinstance(one, DTensor) for one in model.parameters())
        kinds = OPTIMIZERS_OF_PARTS if in_parts else OPTIMIZERS
        optimizer = Optimizer(model, config, precision.dtype or torch.float32, kinds)
        batches = training_batches(config, run_dataset(run), old_dataset(run))
        return cls(group, layout, config, precision, batches, learner, called.train(), optimizer, in_parts)

    @property
    def reader(self) -> int:
        """Which of the readers of different text this process belongs to; those that share matrices read the same."""
        return self.group.world.rank // self.layout.tp

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
        loss = torch.zeros((), device=self.precision.device)
        for number, batch in enumerate(batches):
            with self._sent(last=number + 1 == len(batches)):
                with self._format():
                    nats = loss_of(self.called, batch) / counted
                torch.autograd.backward(nats)
            loss += nats.detach()
        result = self._result(loss, portion, judge)
        if result.applied:
            self._move(result, portion)
        self.optimizer.zero_grad()
        return Made(result, int(max(row[1] for row in heard)))

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
        for parameter in self.learner.parameters():
            gradient = parameter.grad
            if gradient is None:
                continue
            if isinstance(gradient, DTensor) and isinstance(parameter.data, DTensor):
                # Of a norm each process has the sum over its own stretch of the text.
                parameter.grad = gradient = gradient.redistribute(placements=parameter.data.placements)
            gradients.append(local(gradient))
            shares.append(1.0 / n_copies(gradient, self.group.world.size))
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
        device, named = self.precision.device, dict(self.learner.model.named_parameters())
        with torch.no_grad():
            for name, parts in by_whole_name(named).items():
                likes = [named[part] for part in parts]
                shared_out(weights[name] if weights else None, likes, device, likes)
            self.optimizer.forget()
            self._take_state(state, keys)

    def _take_state(self, state: dict[str, Tensor] | None, keys: list[str]) -> None:
        named = dict(self.learner.model.named_parameters())
        parts_of, found = by_whole_name(named), dict[str, Tensor]()
        for where in keys:
            name, _, key = where.rpartition(":")
            parts = [named[part] for part in parts_of[name]]
            if key == "step":  # a number of each parameter, whatever its parts
                likes = [torch.zeros((), device=self.precision.device)]
                shared_out(state[where] if state else None, likes, self.precision.device, likes)
                values = likes * len(parts)
            else:
                values = [torch.zeros_like(part) for part in parts]
                shared_out(state[where] if state else None, parts, self.precision.device, values)
            found |= {f"{part}:{key}": value for part, value in zip(parts_of[name], values, strict=True)}
        self.optimizer.load_state(found)

    def weights(self) -> dict[str, Tensor]:
        """All weights, whole, one after the other; every process calls it, and the leader keeps them."""
        named = dict(self.learner.model.named_parameters())
        return self._kept({name: [named[part] for part in parts] for name, parts in by_whole_name(named).items()})

    def state(self) -> dict[str, Tensor]:
        """The optimizer's state in the same way, under "parameter name:state name"."""
        known = self.optimizer.state()
        groups: dict[str, list[Tensor]] = {}
        for where in sorted(known):
            groups.setdefault(next(iter(by_whole_name([where]))), []).append(known[where])
        return self._kept(groups)

    def _kept(self, groups: dict[str, list[Tensor]]) -> dict[str, Tensor]:
        leads = self.group.world.leads
        found: dict[str, Tensor] = {}
        for name, parts in groups.items():
            whole = gathered(parts)
            if leads:
                found[name] = whole.cpu() if whole.is_cuda else whole.clone()
        return found
