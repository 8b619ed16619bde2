"""Scaled rotary positions in a GGUF: `linear` is two settings; `llama3` a tensor, by what each pair is slowed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from chainrule.base import CheckpointError
from chainrule.checkpoint.gguf_header import Place
from chainrule.config import ModelConfig
from chainrule.model import rope_speeds, unscaled_speeds

FREQUENCIES = "rope_freqs.weight"
# Of float32 numbers that were worked out in another order.
ROUNDING = 1e-5
# Llama 3's own ratio of high_freq_factor to low_freq_factor, where a file leaves it open.
USUAL_RATIO = 4.0
TINY = 1e-12
Numbers = Float[np.ndarray, " pairs"]


def rope_freqs(config: ModelConfig) -> Iterator[tuple[str, Tensor]]:
    """The tensor by which llama.cpp slows the pairs of a `llama3`; raises CheckpointError where it reads none."""
    if config.rope_scaling != "llama3":
        return
    if config.architecture != "llama":
        raise CheckpointError(
            "llama.cpp computes rope_scaling=llama3 in the architecture llama alone, and this model is "
            f"{config.architecture}; export it with: chainrule export hf"
        )
    yield FREQUENCIES, unscaled_speeds(config) / rope_speeds(config)


def expected_freqs(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of that tensor in an architecture that may have it."""
    return {FREQUENCIES: (config.head_dim // 2,)} if config.architecture == "llama" else {}


def read_freqs(path: Path, place: Place, config: ModelConfig) -> dict[str, Any]:
    """The fields of a ModelConfig whose pairs are slowed as the tensor of the file says.

    Raises CheckpointError when neither `linear` nor `llama3` does that, whatever their settings.
    """
    if place.kind.name != "F32":
        raise CheckpointError(f"{path} holds {FREQUENCIES} in {place.kind.name}; it is read in F32")
    factors = np.fromfile(path, dtype="<f4", count=place.shape[0], offset=place.start).astype(np.float64)
    if not np.isfinite(factors).all() or (factors <= 0).any():
        raise CheckpointError(f"{path}: {FREQUENCIES} must hold positive numbers")
    if config.rope_scaling != "none" and (factors != 1).any():
        raise CheckpointError(f"{path} scales its rotary positions twice: by rope.scaling and by {FREQUENCIES}")
    found = settings_of(factors, config)
    if found is None:
        raise CheckpointError(
            f"{path}: {FREQUENCIES} slows the rotary positions in a way that is neither linear nor llama3 (1 for fast "
            "pairs, one factor for slow ones, a line between); it is not computed here"
        )
    return found


def settings_of(factors: Numbers, config: ModelConfig) -> dict[str, Any] | None:
    """The fields of a ModelConfig that slow the pairs of `config` by these factors; None when there are none."""
    tried = _candidates(factors, config)
    return next((fields for fields in tried if _reproduce(fields, factors, config)), None)


def _candidates(factors: Numbers, config: ModelConfig) -> Iterator[dict[str, Any]]:
    """Settings that may have made the factors, the roundest first."""
    if (factors == factors[0]).all():
        yield {} if factors[0] == 1 else {"rope_scaling": "linear", "rope_factor": _short(factors[0], 7)}
        return
    if factors[-1] == 1:  # the slowest pair keeps its speed, and a faster one does not
        return
    for digits in (3, 5, 7, 17):
        yield {"rope_scaling": "llama3", **_llama3(factors, config, digits)}


def _llama3(factors: Numbers, config: ModelConfig, digits: int) -> dict[str, Any]:
    """The share of its speed that a pair keeps is a line over how often it turns at a place, cut at 0 and 1.

    The line has two numbers, the settings three (low, high and the context, of which each may be stretched with the
    others): of all that mean the same, low is near 1, as Llama has it.
    """
    turns = unscaled_speeds(config).numpy().astype(np.float64) / (2 * np.pi)
    slope, start = _line(turns, (1 / factors - 1 / factors[-1]) / (1 - 1 / factors[-1]))
    # A line that no setting has is left for the comparison to refuse.
    slope, start = max(slope, TINY), min(start, -TINY)
    context = max(1, round(slope / -start))
    low, width = context * -start / slope, context / slope
    return {
        "rope_factor": _short(factors[-1], digits),
        "rope_low_freq_factor": _short(low, digits),
        "rope_high_freq_factor": _short(low + width, digits),
        "rope_original_context": context,
    }


def _line(turns: Numbers, kept: Numbers) -> tuple[float, float]:
    """Slope and start (below 0) of the line that the pairs lie on which keep some of their speed and not all."""
    inside = (kept > ROUNDING) & (kept < 1 - ROUNDING)
    slow, fast = turns[kept <= ROUNDING].max(), turns[kept >= 1 - ROUNDING].min(initial=np.inf)
    if inside.sum() > 1:
        slope, start = np.polyfit(turns[inside], kept[inside], 1)
        return float(slope), float(start)
    if not inside.any():
        return 1 / (fast - slow), -slow / (fast - slow)
    # One point leaves the slope open: Llama's, or as steep as the pairs at both sides need it.
    turn, share = turns[inside].item(), kept[inside].item()
    needed = max(share / (turn - slow), (1 - share) / (fast - turn))
    slope = max(needed, (share + 1 / (USUAL_RATIO - 1)) / turn)
    return slope, share - slope * turn


def _reproduce(fields: Mapping[str, Any], factors: Numbers, config: ModelConfig) -> bool:
    try:
        scaled = ModelConfig(**{**config.model_dump(), **fields})
    except ValueError:
        return False
    found = (unscaled_speeds(scaled) / rope_speeds(scaled)).numpy()
    return bool(np.allclose(found, factors, rtol=ROUNDING, atol=0))


def _short(number: float, digits: int) -> float:
    return float(f"{number:.{digits}g}")
