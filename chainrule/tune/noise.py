"""How large a batch is worth its tokens: the gradient noise scale of a model that has learnt as long as a trial does.

McCandlish et al., arXiv 1812.06162: with a batch of the noise scale B a run needs twice the fewest tokens and twice the
fewest steps; with b tokens 1 + b / B times the fewest tokens. It is measured at the end of a trial because it grows
while the loss falls: a batch that is right for the end is large for the beginning.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from chainrule.checkpoint import open_model
from chainrule.config import load_toml, resolve
from chainrule.data import Windows, run_dataset
from chainrule.model import GPT, Batch
from chainrule.run import NoiseScale, RunFolder, noise_scale, read_summary, sealed_path
from chainrule.train import gradient_norms, training_batches
from chainrule.verdict import jackknife_half

GROUPS, PARTS = 6, 4


@dataclass(frozen=True)
class Noise:
    """The noise scale in tokens, and the ends of its 95 % interval; None where the groups do not tell one."""

    tokens: float
    low: float | None
    high: float | None


def measure_noise(run: RunFolder) -> Noise | None:
    """From gradients of a trial's model on text that it would have read next; None where they do not tell it.

    The parts of a batch are a quarter of it; of them six groups of four give an estimate each, and the interval is what
    leaving one out does to their ratio (jackknife).
    """
    config = resolve([load_toml(sealed_path(run, run.config))]).config
    device = config.machine.device
    model = open_model(run.path, device=device).model.train()
    batches = training_batches(config, run_dataset(run), None)
    size = max(1, config.batch_windows // PARTS)
    first = (read_summary(run).step or 0) * config.batch_windows
    torch.manual_seed(config.training.seed)  # dropout draws
    scales = []
    for group in range(GROUPS):
        at = first + group * PARTS * size
        scales.append(_one(model, [batches.windows(at + part * size, size) for part in range(PARTS)], device))
    told = of_groups(scales)
    if told is None:
        return None
    window = config.model.context_length
    return Noise(told[0] * window, *(None if end is None else end * window for end in told[1:]))


def of_groups(scales: list[NoiseScale]) -> tuple[float, float | None, float | None] | None:
    """The ratio of the means in samples, with its interval; None where an estimate is not positive."""
    whole = _ratio(scales)
    if whole is None:
        return None
    without = [_ratio(scales[:place] + scales[place + 1 :]) for place in range(len(scales))]
    known = [math.log(one) for one in without if one is not None]
    if len(known) < len(scales):
        return whole, None, None
    half = jackknife_half(known)
    return whole, whole * math.exp(-half), whole * math.exp(half)


def _ratio(scales: list[NoiseScale]) -> float | None:
    return sum(scales, NoiseScale()).samples


def _one(model: GPT, parts: Sequence[Windows], device: str) -> NoiseScale:
    """One group: the squared norms of its parts' gradients against that of their mean."""
    total: list[Tensor] = []
    squares = []
    for windows in parts:
        batch = Batch.of(windows, device=device)
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(model.loss(batch.inputs, batch.targets, batch.documents))
        squares.append(float(gradient_norms(model).square().sum()))
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        total = [a + b for a, b in zip(total, gradients, strict=True)] if total else [one.clone() for one in gradients]
    mean = math.sqrt(sum(float(one.square().sum()) for one in total)) / len(parts)
    size = len(parts[0].ids)
    model.zero_grad(set_to_none=True)
    return noise_scale(math.sqrt(fmean(squares)), size, mean, size * len(parts))
