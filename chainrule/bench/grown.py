"""Updates of one size as a run makes them, in a process of its own: their speed and the memory that they took."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.base import freed_memory_kept, peak_bytes
from chainrule.bench.contest import Reading
from chainrule.bench.growth import Shape
from chainrule.bench.sizes import SEED
from chainrule.config import Config, MachineConfig
from chainrule.data import Batches, open_dataset
from chainrule.device import MachineFacts, Precision, look_at_machine
from chainrule.health import NormMeter
from chainrule.model import GPT, Batch
from chainrule.optim import Optimizer
from chainrule.plan import flops_per_token, memory_bytes
from chainrule.train import NextToken, StepResult, StepSettings, likely_micro_batch, train_step, training_batches

LEAST_UPDATES, LOOKED_AT_WINDOWS = 2, 8


class Health:
    """What a run measures of every update: norms, for which it keeps a copy of what moves."""

    def __init__(self, model: GPT) -> None:
        self.meter = NormMeter(model)

    def first_portion(self, n_windows: int) -> None:
        """Nothing."""

    def before_update(self, norms: Float[Tensor, " P"], result: StepResult) -> None:
        """Keeps the norms of the gradients."""
        self.gradients = norms

    def moving(self, parameters: list[Tensor]) -> AbstractContextManager[object]:
        """Measures by how much they move."""
        return self.meter.moving(parameters)

    def after_update(self) -> None:
        """Measures the update."""
        self.meter.measured(self.gradients)


def grown_steps(given: Mapping[str, Any]) -> Reading:
    """Windows of prepared text through whole updates with health, and a look at held-out windows."""
    machine = MachineConfig(device="cpu", precision=given["precision"], threads=given["threads"])
    facts = look_at_machine(machine)
    dataset, shape = open_dataset(Path(given["data"])), Shape(**given["shape"])
    config = shape.config(dataset.manifest.vocab_size)
    micro_batch = likely_micro_batch(config, facts)
    with freed_memory_kept():
        model, update = _updates(config, facts, micro_batch, training_batches(config, dataset, None))
        wall, cpu = timed(update, given["seconds"])
        _look(model, training_batches(config, dataset, None), Precision("cpu", facts.precision))
    tokens = config.batch_windows * config.model.context_length
    share = 100 * tokens * flops_per_token(config.model) / given["peak_flops"]
    planned = memory_bytes(config, micro_batch=micro_batch, precision=facts.precision, device="cpu")
    return Reading(
        share / median(wall),
        sum(wall),
        sum(cpu),
        share * len(cpu) * facts.threads / sum(cpu) if sum(cpu) else None,
        tokens_per_second=tokens / median(wall),
        peak_bytes=peak_bytes(),
        planned_bytes=planned.total,
    )


def _updates(
    config: Config, facts: MachineFacts, micro_batch: int, batches: Batches
) -> tuple[GPT, Callable[[int], object]]:
    """An untrained model, and its updates by number."""
    torch.manual_seed(SEED)
    model = GPT(config.model).train()
    precision = Precision("cpu", facts.precision)
    optimizer = Optimizer(model, config, precision.dtype or torch.float32)
    settings = StepSettings(0.1, micro_batch, config.optimizer.grad_clip, precision)
    objective, health, n_windows = NextToken(model.loss), Health(model), config.batch_windows

    def update(number: int) -> object:
        windows = batches.windows(number * n_windows, n_windows)
        return train_step(model, optimizer, objective, windows, settings, health)

    return model, update


def timed(update: Callable[[int], object], seconds: float) -> tuple[list[float], list[float]]:
    """Wall and processor seconds of updates behind a first one: at least two, and until so many seconds are over."""
    wall: list[float] = []
    cpu: list[float] = []
    update(0)
    for number in count(1):
        start, used = time.perf_counter(), time.process_time()
        update(number)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
        if len(wall) >= LEAST_UPDATES and sum(wall) >= seconds:
            return wall, cpu
    raise AssertionError("counting ends nowhere")


def _look(model: GPT, batches: Batches, precision: Precision) -> None:
    """As many windows at once as a run looks at."""
    model.eval()
    batch = Batch.of(batches.windows(0, LOOKED_AT_WINDOWS))
    with torch.no_grad(), precision.autocast():
        model.token_losses(batch.inputs, batch.targets)
