"""What an adapter is: its rank, its scale, and which linear layers it goes around."""

import math
from dataclasses import dataclass

from chainrule.base import ConfigError, nearest
from chainrule.config import ModelConfig

ALL_LINEAR = "all-linear"
QKV = "attention.qkv"
# In the order of their rows in `attention.qkv`.
LETTERS = ("attention.q", "attention.k", "attention.v")
Span = tuple[int, int]
"""Rows of a layer's output: from the first to before the last."""


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adaptation (Hu et al., arXiv 2106.09685): W + s B A, where A has `rank` rows and B as many columns.

    s is `alpha` / rank; with `rslora` alpha / √rank, which keeps high ranks learning (Kalajdzievski, arXiv 2312.03732).
    With `dora` the rows of W + s B A keep a norm that is learnt by itself (Liu et al., arXiv 2402.09353). `targets` are
    names of linear layers in a block (attention.qkv, or q, k and v of it; attention.out; feed_forward.up …).
    """

    rank: int = 16
    alpha: float | None = None
    """None: twice the rank."""
    rslora: bool = False
    dora: bool = False
    targets: tuple[str, ...] = (ALL_LINEAR,)

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConfigError(f"rank={self.rank} adapts nothing; use at least 1 (16 is usual)")
        if self.alpha is not None and not (math.isfinite(self.alpha) and self.alpha > 0):
            raise ConfigError(f"alpha={self.alpha} must be a number above 0; leave it out for twice the rank")
        if not self.targets:
            raise ConfigError(f"targets is empty, so nothing would be adapted; leave it out for {ALL_LINEAR}")

    @property
    def strength(self) -> float:
        """Alpha as it counts."""
        return 2.0 * self.rank if self.alpha is None else self.alpha

    @property
    def scale(self) -> float:
        """The factor s before B A."""
        return self.strength / (math.sqrt(self.rank) if self.rslora else self.rank)


def adapted_spans(config: ModelConfig, targets: tuple[str, ...]) -> dict[str, tuple[Span, ...]]:
    """By the name of each linear layer that is adapted: the rows of its output, of which each span has its own A and B.

    Queries, keys and values are one layer here and one in GPT-2, so that they share an A; in other families they are
    three layers with an A each, and so they are three spans. An adapter is thus the same function under both names.
    Raises ConfigError for a target that the model does not have.
    """
    whole = _outputs(config)
    fused = config.architecture == "gpt2"
    known = [ALL_LINEAR, *whole, *(() if fused else LETTERS)]
    for target in targets:
        if target not in known:
            raise ConfigError(f"{target!r} is no target of this model.{nearest(target, known)} Use {', '.join(known)}")
    wanted = set(whole if ALL_LINEAR in targets else targets)
    spans: dict[str, tuple[Span, ...]] = {name: ((0, rows),) for name, rows in whole.items() if name in wanted}
    if fused:
        return spans
    spans.pop(QKV, None)
    apart = tuple(span for letter, span in zip(LETTERS, qkv_spans(config), strict=True) if {letter, QKV} & wanted)
    return {QKV: apart, **spans} if apart else spans


def qkv_spans(config: ModelConfig) -> tuple[Span, Span, Span]:
    """The rows of queries, keys and values in the fused layer."""
    queries, keys = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    return (0, queries), (queries, queries + keys), (queries + keys, queries + 2 * keys)


def _outputs(config: ModelConfig) -> dict[str, int]:
    """Rows of the output of each linear layer of a block."""
    gate = {"feed_forward.gate": config.hidden_dim} if config.activation == "swiglu" else {}
    return {
        QKV: (config.n_heads + 2 * config.n_kv_heads) * config.head_dim,
        "attention.out": config.emb_dim,
        **gate,
        "feed_forward.up": config.hidden_dim,
        "feed_forward.down": config.emb_dim,
    }
