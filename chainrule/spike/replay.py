"""A step out of line, made again: its bundle becomes a case that the lens can explain."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.base import CheckpointError, LensError
from chainrule.checkpoint import load_checkpoint, load_weights, step_folder, steps_of
from chainrule.config import Config, load_toml, resolve
from chainrule.data import Windows, run_dataset
from chainrule.device import Precision, use_threads
from chainrule.health import Portion, SpikeCase
from chainrule.kernels import use_kernels
from chainrule.model import GPT, Batch
from chainrule.run import RunFolder, read_tuning
from chainrule.tokenizer import Tokenizer, load_tokenizer
from chainrule.train import old_dataset, seed_step, training_batches

ORDINARY = 4


@dataclass(frozen=True)
class Bundle:
    """A step as it was kept: `state` has its numbers (see save_bundle), `windows` its batch, `model` its weights."""

    path: Path
    step: int
    state: Mapping[str, Any]
    windows: Windows
    model: GPT
    config: Config
    tokenizer: Tokenizer

    @property
    def precision(self) -> Precision:
        """The run's own, on a CUDA GPU when it ran on one and one is here, else on the CPU (MPS has no float64)."""
        here = self.state["device"] == "cuda" and torch.cuda.is_available()
        return Precision("cuda" if here else "cpu", str(self.state["precision"]))

    def number(self, name: str) -> float:
        """The "loss" or "grad_norm" of the step, which may be no finite number."""
        return float(self.state[name])

    def usual(self, key: str) -> list[float]:
        """The "loss" or "grad_norm" of the steps that it was held against, oldest first."""
        return [float(value) for value in self.state["usual"][key]]


def open_bundle(run: RunFolder, step: int | None = None) -> Bundle:
    """The bundle of `step`, or the first that the run left; raises LensError when there is none."""
    known = steps_of(run.spikes)
    if not known:
        raise LensError(
            f"{run.path} holds no bundle: no step of it was out of line while training.health_every was above 0. "
            "`chainrule report` shows its curves"
        )
    if step is not None and step not in known:
        raise LensError(f"{run.path} holds no bundle of step {step}; it has: {', '.join(map(str, known))}")
    tuning = read_tuning(run)
    if tuning is not None and (tuning.lora is not None or tuning.objective != "answers"):
        what = "an adapter" if tuning.lora is not None else "preferences"
        raise LensError(
            f"{run.path} learnt {what}, and a step of that kind is not made again yet; its batch and numbers are in "
            f"{run.spikes}"
        )
    path = step_folder(run.spikes, known[0] if step is None else step)
    saved = load_checkpoint(path)
    config = resolve([load_toml(path / "config.toml")]).config
    model = GPT(config.model)
    model.checkpointing = config.machine.activation_checkpointing
    model.logits_at_once = sys.maxsize  # the lens records the loss operation by operation
    load_weights(model, saved.tensors("model"), str(path))
    batch = saved.tensors("batch")
    documents, trained = batch.get("documents"), batch.get("trained")
    windows = Windows(
        batch["ids"].numpy(),
        None if documents is None else documents.numpy(),
        None if trained is None else trained.numpy().astype(bool),
    )
    missing = {
        "past",
        "usual",
        "seed",
        "first_sample",
        "micro_batch",
        "loss",
        "grad_norm",
        "precision",
    } - saved.state.keys()
    if missing:
        raise CheckpointError(f"{path} is not a bundle of a spike: its state has no {', '.join(sorted(missing))}")
    return Bundle(path, saved.step, saved.state, windows, model, config, load_tokenizer(path / "tokenizer.json"))


def case_of(
    bundle: Bundle, run: RunFolder, say: Callable[[str], object] = lambda phase: None, n_ordinary: int = ORDINARY
) -> SpikeCase:
    """What `diagnose` needs: the step's batch and the batches around it, at the step's weights, dropout as it was."""
    if bundle.config.machine.threads:
        use_threads(bundle.config.machine.threads)  # bits depend on it
    precision = bundle.precision
    use_kernels(bundle.config.machine.kernels if precision.device == "cpu" else "off")
    model = bundle.model.to(precision.device).train()
    return SpikeCase(
        model=model,
        batch=portions_of(bundle.windows, int(bundle.state["micro_batch"])),
        ordinary=[portions_of(w, int(bundle.state["micro_batch"])) for w in neighbours(bundle, run, n_ordinary)],
        losses=bundle.usual("loss"),
        norms=bundle.usual("grad_norm"),
        own=precision.autocast,
        own_name=precision.name,
        prepare=partial(seed_step, int(bundle.state["seed"]), bundle.step - 1),
        say=say,
    )


def neighbours(bundle: Bundle, run: RunFolder, count: int = ORDINARY) -> list[Windows]:
    """The batches of the steps around this one, the nearest first; LensError when the text is gone."""
    if not run.manifest.is_file():
        raise LensError(
            f"{run.path} has no {run.data.name}/ any more, and without its token shards there are no ordinary batches "
            "to hold this one against; bring that folder back"
        )
    text = run_dataset(run)
    text.check_tokenizer(bundle.tokenizer.fingerprint, str(bundle.path))
    batches = training_batches(bundle.config, text, old_dataset(run))
    size, first = bundle.config.batch_windows, int(bundle.state["first_sample"])
    distances = [sign * distance for distance in range(1, count + 1) for sign in (-1, 1)]
    starts = [first + distance * size for distance in distances]
    n_pieces = len(bundle.windows.ids) // size
    return [batches.windows(start, size, n_pieces) for start in starts if start >= 0][:count]


def portions_of(windows: Windows, micro_batch: int) -> list[Portion]:
    """The micro-batches as the run cut them, each weighted by its share of the windows."""
    return [
        partial(_loss, windows, slice(start, start + micro_batch)) for start in range(0, len(windows.ids), micro_batch)
    ]


def _loss(windows: Windows, rows: slice, model: nn.Module) -> Tensor:
    assert isinstance(model, GPT)
    batch = Batch.of(windows, rows, device=next(model.parameters()).device)
    return model.loss(batch.inputs, batch.targets, batch.documents) * (len(batch) / len(windows.ids))
