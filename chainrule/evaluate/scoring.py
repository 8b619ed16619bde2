"""How surprised the model is by a text: loss, perplexity and bits per byte, over all of it and by source."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from chainrule.base import ModelError
from chainrule.checkpoint import OpenedModel
from chainrule.data import TokenStore
from chainrule.device import Precision
from chainrule.evaluate.places import PlaceTally
from chainrule.evaluate.windows import Windows, windows_of
from chainrule.kernels import use_kernels
from chainrule.model import GPT, IGNORED, evaluating


@dataclass(frozen=True)
class Scores:
    """Surprise over `n_tokens` targets that stand for `n_bytes` bytes of text."""

    nats: float
    """Sum of -ln p over the targets."""
    n_tokens: int
    n_bytes: int
    by_source: Mapping[str, "Scores"] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / self.n_tokens

    @property
    def perplexity(self) -> float:
        """The exponential of the loss: among how many equally likely tokens the model hesitates."""
        return math.exp(min(self.loss, 700.0))

    @property
    def bits_per_byte(self) -> float:
        """Bits that the model needs for a byte of text; comparable between vocabularies. Infinite without bytes.

        Control tokens have no bytes, but their surprise counts: a text includes where it ends.
        """
        return self.nats / math.log(2) / self.n_bytes if self.n_bytes else math.inf

    def figures(self) -> dict[str, float]:
        """All of it by name, for a file."""
        names = ("loss", "perplexity", "bits_per_byte", "nats", "n_tokens", "n_bytes")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Scoring:
    """How text is scored: all that the last digit of a figure depends on, but the weights and the machine.

    Windows move by `stride` (None: context_length, the fastest) and count only what no earlier window has counted: a
    smaller stride gives each token at least context_length - stride tokens to look back on, and costs context_length /
    stride times as much. `max_tokens` takes that many, rounded to windows, from windows spread evenly over the text.
    `precision` is the number format of matrix products, float32 or bfloat16. `documents` keeps attention inside a
    document. `threads` are the processor's; 0 is whatever torch has. `kernels` are ours ("auto") where they can be had,
    or torch's ("off"). Windows are as long as the context, or `window` where that is shorter.
    """

    max_tokens: int | None = None
    stride: int | None = None
    micro_batch: int = 8
    precision: str = "float32"
    documents: bool = False
    threads: int = 0
    kernels: str = "off"
    window: int | None = None

    @property
    def autocast(self) -> torch.dtype | None:
        """The type of matrix products where it is not that of the weights."""
        return torch.bfloat16 if self.precision == "bfloat16" else None

    def of(self, opened: OpenedModel, store: TokenStore) -> Scores:
        """The model's scores on the store; threads and kernels are left as they are here."""
        on_cpu = opened.model.token_embedding.weight.device.type == "cpu"
        if self.threads and on_cpu:
            torch.set_num_threads(self.threads)
        use_kernels(self.kernels if on_cpu else "off")
        return score(opened.model, store, opened.tokenizer.byte_lengths, self)

    def row(self) -> dict[str, Any]:
        """By name, for a file."""
        return asdict(self)


AS_IT_IS = Scoring()
OnProgress = Callable[[int, int], None]
"""Hears (windows done, windows in all), and may raise to stop."""


def score(
    model: GPT,
    store: TokenStore,
    byte_lengths: NDArray[np.int32],
    scoring: Scoring = AS_IT_IS,
    *,
    on_progress: OnProgress | None = None,
    places: PlaceTally | None = None,
) -> Scores:
    """Scores every token of the store but the first, each exactly once, from windows of context_length tokens.

    `byte_lengths[id]` is how many bytes a token stands for. `places` takes in the losses of all of each window, also of
    what was counted by the window before. Deterministic; the model's mode, the random state and the
    number of threads are left as they are. Raises DataError for a store with fewer than two tokens, ModelError when the
    store's vocabulary is larger than the model's.
    """
    check_vocabulary(model, byte_lengths)
    length = min(model.config.context_length, scoring.window or model.config.context_length)
    windows = windows_of(store.n_tokens, length, scoring.stride, scoring.max_tokens)
    tally = _Tally(store, byte_lengths)
    with evaluating(model), Precision(model.token_embedding.weight.device.type, scoring.precision).casts_kept():
        for done, counted in _losses(model, store, windows, scoring, places):
            tally.add(counted)
            if on_progress:
                on_progress(done, len(windows.ends))
    return tally.scores()


def check_vocabulary(model: GPT, byte_lengths: NDArray[np.int32]) -> None:
    """Raises ModelError when the text's vocabulary is larger than the model's."""
    if len(byte_lengths) > model.config.vocab_size:
        raise ModelError(
            f"the text has ids of a vocabulary of {len(byte_lengths)}, the model has "
            f"vocab_size={model.config.vocab_size}; prepare the text with the model's tokenizer"
        )


@contextmanager
def looking(device: torch.device, autocast: torch.dtype | None) -> Iterator[None]:
    """No gradients inside, and matrix products in the format of `autocast`; None: in that of the weights."""
    with torch.no_grad(), torch.autocast(device.type, autocast or torch.bfloat16, enabled=autocast is not None):
        yield


class _Counted(NamedTuple):
    """Targets that count: where they stand, what they are, and their losses in nats."""

    positions: NDArray[np.int64]
    tokens: NDArray[np.int64]
    losses: NDArray[np.float64]


def _losses(
    model: GPT, store: TokenStore, windows: Windows, scoring: Scoring, places: PlaceTally | None
) -> Iterator[tuple[int, _Counted]]:
    """In micro-batches: how many windows are done, and the targets that count."""
    device, micro_batch = model.token_embedding.weight.device, scoring.micro_batch
    for place in range(0, len(windows.ends), micro_batch):
        ends = windows.ends[place : place + micro_batch]
        starts = ends - 1 - windows.length
        ids = torch.from_numpy(store.gather(starts, windows.length + 1)).to(device)
        numbers = torch.from_numpy(store.document_ids(starts, windows.length)).to(device) if scoring.documents else None
        positions = starts[:, None] + np.arange(1, windows.length + 1)
        counted = positions >= windows.firsts[place : place + micro_batch, None]
        targets = ids[:, 1:]
        if places is None:
            targets = targets.masked_fill(torch.from_numpy(~counted).to(device), IGNORED)
        with looking(device, scoring.autocast):
            losses = model.token_losses(ids[:, :-1], targets, numbers).cpu().double().numpy()
        if places is not None:
            places.add(losses)
        tokens = ids[:, 1:].cpu().numpy()[counted]
        yield place + len(ends), _Counted(positions[counted], tokens, losses[counted])


class _Tally:
    """Sums of nats, tokens and bytes for each source."""

    def __init__(self, store: TokenStore, byte_lengths: NDArray[np.int32]) -> None:
        self._store, self._byte_lengths = store, byte_lengths
        self._names = store.occurring
        self._nats, self._tokens, self._bytes = np.zeros((3, len(self._names)))

    def add(self, counted: _Counted) -> None:
        """Books each target on the source of the document that it stands in."""
        owners, n_sources = self._store.sources_at(counted.positions), len(self._names)
        self._nats += np.bincount(owners, counted.losses, n_sources)
        self._tokens += np.bincount(owners, minlength=n_sources)
        self._bytes += np.bincount(owners, self._byte_lengths[counted.tokens], n_sources)

    def scores(self) -> Scores:
        """The sums; sources of which no token was scored are left out."""
        rows = zip(self._names, self._nats, self._tokens, self._bytes, strict=True)
        by_source = {name: Scores(float(nats), int(n), int(size)) for name, nats, n, size in rows if n}
        return Scores(float(self._nats.sum()), int(self._tokens.sum()), int(self._bytes.sum()), by_source)
