"""Training steps of one side, timed: ours by the step that a run makes, nanoGPT's by its model and optimizer."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from chainrule.base import freed_memory_kept
from chainrule.bench import nanogpt
from chainrule.bench.contest import Reading
from chainrule.bench.sizes import GRAD_CLIP, SEED, Size, drawn_windows, same_architecture, text_ids
from chainrule.config import Config, Layer, modern, resolve
from chainrule.data import Windows
from chainrule.device import Precision
from chainrule.kernels import use_kernels
from chainrule.model import GPT
from chainrule.optim import Optimizer
from chainrule.train import NextToken, StepSettings, train_step


def given_size(given: Mapping[str, Any]) -> Size:
    """The size that a request describes."""
    return Size(**{**given["size"], "short": tuple(given["size"]["short"])})


def request(size: Size, text: Path, *, short: bool) -> dict[str, Any]:
    """What a process of a side is told of the size and the text."""
    if short:
        batch, steps, warm = size.short
        size = replace(size, batch=batch, steps=steps, warm=warm)
    return {"size": asdict(size), "text": str(text)}


def our_steps(given: Mapping[str, Any]) -> Reading:
    """Ours, in `given["precision"]`: the same architecture with AdamW, or the modern one with Muon.

    With our kernels where they can be had, as a run has them by default.
    """
    use_kernels("auto")
    size = given_size(given)
    ids, n_letters = text_ids(Path(given["text"]))
    vocab_size = size.vocab_size or n_letters
    config = same_architecture(size, vocab_size) if given["recipe"] == "same" else modern_recipe(size, vocab_size)
    precision = Precision("cpu", given["precision"])
    torch.manual_seed(SEED)
    model = GPT(config.model)
    optimizer = Optimizer(model, config, precision.dtype or torch.float32)
    objective = NextToken(model.loss)
    settings = StepSettings(1.0, size.batch, GRAD_CLIP, precision)

    def step(windows: np.ndarray) -> float:
        return train_step(model, optimizer, objective, Windows(windows, None), settings).loss

    with freed_memory_kept():
        return timed(step, drawn_windows(ids, size), size)


def nanogpt_steps(given: Mapping[str, Any]) -> Reading:
    """nanoGPT's, in float32 as it runs on a CPU, from the same weights and on the same windows."""
    size = given_size(given)
    ids, n_letters = text_ids(Path(given["text"]))
    vocab_size = size.vocab_size or n_letters
    config = same_architecture(size, vocab_size).model
    torch.manual_seed(SEED)
    weights = GPT(config).state_dict()
    model = nanogpt.built(Path(given["peer"]), size, vocab_size)
    nanogpt.take_weights(model, config, weights)
    del weights
    optimizer = nanogpt.adamw(model, size)
    return timed(
        lambda windows: nanogpt.update(model, optimizer, torch.from_numpy(windows)), drawn_windows(ids, size), size
    )


def modern_recipe(size: Size, vocab_size: int) -> Config:
    """The modern block with Muon, of the same width and depth."""
    values = modern(size.emb_dim, size.n_heads, size.n_layers, size.context_length, vocab_size)
    return resolve([Layer("benchmark", values)]).config


def timed(step: Callable[[np.ndarray], float], windows: np.ndarray, size: Size) -> Reading:
    """Tokens a second by the median of the steps behind the warm ones; all losses."""
    losses, seconds, spent = [], [], []
    for batch in windows:
        start, used = time.perf_counter(), time.process_time()
        losses.append(step(batch))
        seconds.append(time.perf_counter() - start)
        spent.append(time.process_time() - used)
    tokens = size.batch * size.context_length
    return Reading(
        tokens / median(seconds[size.warm :]),
        sum(seconds),
        sum(spent),
        # A mean, because the clock of processor time is coarse beside a short step.
        tokens * len(spent[size.warm :]) / sum(spent[size.warm :]),
        tuple(losses),
    )
