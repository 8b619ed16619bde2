"""Which small models tell of a large one: their shapes, and how many tokens each learns from. Arithmetic alone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.base import ConfigError
from chainrule.config import Config, ModelConfig
from chainrule.plan import flops_per_token, step_law
from chainrule.run import Record

# From a rung to the next so many times the computation; so all of them together cost about twice the largest.
GROWTH = 2.0
# Runs of the smallest rungs with more tokens: without them size and tokens would only ever grow together, and which of
# the two the loss falls by could not be told.
LONGER, N_LONGER = 4.0, 3
LEAST_WIDTH, WIDTH_STEP, HEAD_WIDTH = 32, 32, 32
LEAST_STEPS = 100
# The top has so many times the weights of the smallest model that there is, or more.
LEAST_SHARE = 1.5
LEAST_BATCH = 2048


@dataclass(frozen=True)
class Rung(Record):
    """A model that is trained, the top or a smaller one; `weights` are what a token is multiplied with."""

    name: str
    emb_dim: int
    n_heads: int
    n_layers: int
    weights: float
    batch_tokens: int
    steps: int

    @property
    def tokens(self) -> int:
        """That it learns from, repeats counted."""
        return self.batch_tokens * self.steps

    @property
    def compute(self) -> float:
        """Operations of its training."""
        return 6 * self.weights * self.tokens

    def values(self, top: Config) -> dict[str, dict[str, Any]]:
        """What it changes of the top's settings."""
        shape = {"emb_dim": self.emb_dim, "n_heads": self.n_heads, "n_layers": self.n_layers}
        model = _shaped(top.model, self.emb_dim, self.n_heads, self.n_layers)
        shape |= {"n_kv_heads": model.n_kv_heads, "head_dim": model.head_dim, "hidden_dim": model.hidden_dim}
        return {"model": shape, "training": {"batch_tokens": self.batch_tokens, "steps": self.steps}}


def weights_of(model: ModelConfig) -> float:
    """Weights that a token is multiplied with, and its attention as if it were weights: operations a token over 6.

    In small models most parameters are an embedding that is looked up, and count for little.
    """
    return flops_per_token(model) / 6


def top_rung(top: Config) -> Rung:
    """The large one, as its settings have it."""
    model = top.model
    batch = top.batch_windows * model.context_length
    return Rung("top", model.emb_dim, model.n_heads, model.n_layers, weights_of(model), batch, top.training.steps)


def rungs_below(top: Config, times: float, n: int) -> list[Rung]:
    """The small ones, the smallest first: the largest has `times` less computation than the top.

    Each has as many tokens a weight as the top, and of the smallest three shapes, where that is no more computation
    than the largest has, there is another with four times as many. Raises ConfigError for a top that is hardly larger
    than the smallest.
    """
    whole = top_rung(top)
    if whole.weights < LEAST_SHARE * _smallest(top.model):
        raise ConfigError(
            f"a model of width {top.model.emb_dim} and {top.model.n_layers} blocks leaves no room for smaller ones "
            "below it; give more --minutes, or a larger model.emb_dim and model.n_layers"
        )
    found: list[Rung] = []
    for place in range(n):
        compute = whole.compute / times / GROWTH ** (n - 1 - place)
        wanted = math.sqrt(compute / whole.compute) * whole.weights
        emb_dim, n_layers = min(_shapes(top.model), key=lambda one: _off(top.model, one, wanted))
        name = f"width-{emb_dim}-blocks-{n_layers}"
        found.append(_rung(top, name, emb_dim, n_layers, compute))
    # Steps of width are coarse: two rungs of one shape differ in their tokens, and are told apart by them.
    small = [one for one in found if LONGER * one.compute <= 1.01 * found[-1].compute]
    shapes = list(dict.fromkeys((one.emb_dim, one.n_layers) for one in small))[:N_LONGER]
    first = [next(one for one in small if (one.emb_dim, one.n_layers) == shape) for shape in shapes]
    longer = [_rung(top, f"{one.name}-longer", one.emb_dim, one.n_layers, LONGER * one.compute) for one in first]
    return _named_apart([*found, *longer])


def _rung(top: Config, name: str, emb_dim: int, n_layers: int, compute: float) -> Rung:
    n_heads = emb_dim // HEAD_WIDTH
    weights = weights_of(_shaped(top.model, emb_dim, n_heads, n_layers))
    tokens, window = compute / 6 / weights, top.model.context_length
    wanted = min(max(LEAST_BATCH, step_law(weights, tokens)[1]), tokens / LEAST_STEPS)
    batch = window * max(1, round(wanted / window))
    return Rung(name, emb_dim, n_heads, n_layers, weights, batch, max(1, round(tokens / batch)))


def _smallest(top: ModelConfig) -> float:
    return weights_of(_shaped(top, LEAST_WIDTH, LEAST_WIDTH // HEAD_WIDTH, 1))


def _named_apart(rungs: list[Rung]) -> list[Rung]:
    """Without those that are the same run twice; names of the others are made different."""
    found: dict[str, Rung] = {}
    for one in rungs:
        name = one.name if one.name not in found else f"{one.name}-steps-{one.steps}"
        found.setdefault(name, Rung(**{**one.row(), "name": name}))
    return list(found.values())


def _shapes(top: ModelConfig) -> Iterator[tuple[int, int]]:
    """Widths and depths up to the top's."""
    for emb_dim in range(LEAST_WIDTH, top.emb_dim + 1, WIDTH_STEP):
        for n_layers in range(1, top.n_layers + 1):
            yield emb_dim, n_layers


def _off(top: ModelConfig, shape: tuple[int, int], wanted: float) -> float:
    """How far a shape is from the wanted weights, and from the top's proportions (half as important)."""
    emb_dim, n_layers = shape
    weights = weights_of(_shaped(top, emb_dim, emb_dim // HEAD_WIDTH, n_layers))
    aspect = (emb_dim / n_layers) / (top.emb_dim / top.n_layers)
    return abs(math.log(weights / wanted)) + 0.25 * abs(math.log(aspect))


def _shaped(top: ModelConfig, emb_dim: int, n_heads: int, n_layers: int) -> ModelConfig:
    """The top's kind of model in another size; what follows from the size is made anew."""
    kept = top.model_dump(exclude={"emb_dim", "n_heads", "n_layers", "n_kv_heads", "head_dim", "hidden_dim"})
    return ModelConfig(**kept, emb_dim=emb_dim, n_heads=n_heads, n_layers=n_layers)
