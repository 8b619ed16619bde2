"""That what was written computes what the model computes: equal ids, equal logits, equal greedy text."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from chainrule.base import ExportError
from chainrule.checkpoint import OpenedModel
from chainrule.generate import Temperature, generate

# Both sides compute in float32 and add up in different orders; for logits beyond 1 rounding grows with their size.
TOLERANCE = 1e-5
NEW_TOKENS = 32
TEXTS = ("Once upon a time", "The ", "def main():\n    ", "\n", "Zażółć gęślą jaźń, 😀 — naïve 東京")


@dataclass(frozen=True)
class ExportProof:
    """What was compared between our model and another tool's reading of what was exported."""

    folder: Path
    read_by: str
    """The tool."""
    architecture: str
    largest_difference: float
    """Largest absolute difference of a logit."""
    largest_logit: float
    """Largest absolute logit; the difference may be 1e-5 of it, or 1e-5 if it is below 1."""
    n_logits: int
    n_sequences: int
    """Token sequences whose logits were compared."""
    n_greedy_tokens: int
    """Tokens of greedy text that were equal."""
    rounding_difference: float = 0.0
    """By how much a logit differs at most because the format rounds the weights; 0 where it does not."""
    origin: str = ""
    """Where the model came from, in words."""
    passed_over: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    """Damaged checkpoints that would have been taken instead, with the reason."""


@runtime_checkable
class ReadBack(Protocol):
    """What another tool makes of a folder."""

    name: str
    """The tool's."""
    architecture: str

    def logits(self, ids: Tensor) -> Tensor:
        """Scores [B, T, V] after each place of the ids [B, T]."""

    def encode(self, text: str) -> list[int]:
        """The ids that its tokenizer gives a text."""

    def greedy(self, ids: Sequence[int], count: int, end_of_text: int) -> list[int]:
        """The next `count` likeliest tokens, or fewer when the text ends before; end-of-text is left out."""


def prove(opened: OpenedModel, reference: ReadBack, held_out: Sequence[Sequence[int]], folder: Path) -> ExportProof:
    """Compares what was read back from the folder with the model: held-out and random sequences, greedy text.

    Raises ExportError that says what differs, and by how much.
    """
    _equal_ids(opened, reference)
    found = differences(opened, reference.logits, held_out)
    allowed = TOLERANCE * max(1.0, found.largest_logit)
    if not found.largest_difference <= allowed:  # NaN is no equality
        raise ExportError(
            f"{reference.name} reads {folder} as another model: logits differ by up to {found.largest_difference:.2e}, "
            f"rounding explains {allowed:.2e}. Nothing is kept"
        )
    lead = max(2 * allowed, getattr(reference, "rounding", 0.0) * max(1.0, found.largest_logit))
    n_greedy = _equal_greedy_text(opened, reference, lead)
    return ExportProof(
        folder=folder,
        read_by=reference.name,
        architecture=reference.architecture,
        **asdict(found),
        n_greedy_tokens=n_greedy,
    )


@dataclass(frozen=True)
class Differences:
    """How far the logits of two models are apart; the fields are those of ExportProof."""

    largest_difference: float
    largest_logit: float
    n_logits: int
    n_sequences: int


def differences(
    opened: OpenedModel, other: Callable[[Tensor], Tensor], held_out: Sequence[Sequence[int]]
) -> Differences:
    """Compares the model's logits with those that `other` gives the same ids [1, T]: held-out and random ones."""
    sequences = [torch.tensor(list(ids)) for ids in held_out if len(ids)] + _random_sequences(opened)
    compared = [_compare(opened, other, ids[None]) for ids in sequences]
    # Not max(): it passes NaN over, and NaN is no equality.
    largest, logit = (float(torch.tensor(column).max()) for column in list(zip(*compared, strict=True))[:2])
    return Differences(largest, logit, sum(count for _, _, count in compared), len(sequences))


def _equal_ids(opened: OpenedModel, reference: ReadBack) -> None:
    for text in TEXTS:
        ours, theirs = opened.tokenizer.encode(text), reference.encode(text)
        if ours != theirs:
            raise ExportError(f"{reference.name} reads {text!r} as {theirs[:8]} instead of {ours[:8]}; nothing is kept")


def _random_sequences(opened: OpenedModel) -> list[Tensor]:
    """One over the whole context (up to 1,024 places), and three short ones."""
    config = opened.config
    dice = torch.Generator().manual_seed(0)
    lengths = [min(config.context_length, length) for length in (1024, 1, 7, 64)]
    return [torch.randint(config.vocab_size, (length,), generator=dice) for length in lengths]


@torch.no_grad()
def _compare(opened: OpenedModel, other: Callable[[Tensor], Tensor], ids: Tensor) -> tuple[float, float, int]:
    """Largest absolute difference, largest absolute logit, and how many logits there are."""
    ours, theirs = opened.model(ids), other(ids)
    if ours.shape != theirs.shape:
        raise ExportError(f"the other side gives scores of shape {list(theirs.shape)} instead of {list(ours.shape)}")
    return float((ours - theirs).abs().max()), float(ours.abs().max()), ours.numel()


def _equal_greedy_text(opened: OpenedModel, reference: ReadBack, lead: float) -> int:
    """How many greedy tokens are equal; raises ExportError at the first that differs though it led by more than `lead`.

    Another tool may end a text at a control token other than end-of-text; up to there it is equal.
    """
    context = opened.config.context_length
    prompts = [text for text in TEXTS if len(opened.tokenizer.encode(text)) < context]
    n_equal = 0
    for prompt in prompts:
        ids = opened.tokenizer.encode(prompt)
        count = min(NEW_TOKENS, context - len(ids))
        completion = generate(opened.model, opened.tokenizer, [prompt], max_new_tokens=count, rules=[Temperature(0)])[0]
        ours, theirs = list(completion.ids), reference.greedy(ids, count, opened.tokenizer.end_of_text)
        equal = next(
            (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        n_equal += equal
        ended = equal == len(theirs) < len(ours) and not opened.tokenizer.token_bytes[ours[equal]]
        # A row that only pads the embedding is no token: here it is never drawn, another tool may.
        padding = equal < len(theirs) and theirs[equal] >= opened.tokenizer.vocab_size
        if ours != theirs and not ended and not padding and _gap(opened, ids + ours[:equal]) > lead:
            raise ExportError(
                f"after {prompt!r} {reference.name} writes {theirs[: equal + 1]} instead of {ours[: equal + 1]}; "
                "nothing is kept"
            )
    return n_equal


@torch.no_grad()
def _gap(opened: OpenedModel, ids: list[int]) -> float:
    """By how much the likeliest next token leads: within rounding, either of two is right."""
    first, second = opened.model(torch.tensor([ids]))[0, -1].topk(2).values
    return float(first - second)
