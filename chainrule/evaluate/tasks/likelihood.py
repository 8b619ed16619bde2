"""Questions that a model answers without writing: which continuation of a context it finds likelier than the others."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chainrule.base import ConfigError, DataError
from chainrule.data import Row, structured_rows
from chainrule.evaluate.scoring import looking
from chainrule.evaluate.tasks.task import Candidate, Task
from chainrule.model import IGNORED, evaluating
from chainrule.show import printable
from chainrule.tokenizer import Tokenizer

# Questions between two looks at the clock: a stop leaves a sample of all of them, not the shortest.
ROUND = 64
# Logits that are alive at once; 256 MiB in float32.
LOGITS_AT_ONCE = 2**26


@dataclass(frozen=True)
class Item:
    """A question: a context (empty: the beginning of a document), what may follow it, and which of that is right."""

    context: str
    choices: tuple[str, ...]
    answer: int = 0


class Said(NamedTuple):
    """What a model makes of a continuation: its surprise, whether each of its tokens is the likeliest, its length."""

    nats: float
    greedy: bool
    n_tokens: int
    n_bytes: int


Answered = tuple[Item, list[Said]]


@dataclass(frozen=True)
class Questions(Task):
    """A task whose questions are the rows of a file; which rows, and what is right, each says in a file of its own."""

    KIND: ClassVar[str]
    """Its word, as in `choices:my_questions.jsonl`."""
    COLUMNS: ClassVar[str]
    """Which columns its rows have, for who wrote others."""

    name: str
    items: tuple[Item, ...]

    @staticmethod
    def item_of(row: Mapping[str, Any]) -> Item | None:
        """The question of a row; None when it has not the columns of one, ValueError when one of them is wrong."""
        raise NotImplementedError

    @classmethod
    def of(cls, file: str | None) -> "Questions":
        """The questions of a file (.jsonl, .json, .csv, .tsv, .parquet), each row one.

        Raises ConfigError without a file, DataError for a row that is none of this kind, with its place.
        """
        if not file:
            raise ConfigError(f"{cls.KIND} needs a file: {cls.KIND}:my_questions.jsonl, whose rows have {cls.COLUMNS}")
        items = tuple(cls._item(row) for row in structured_rows([file]))
        if not items:
            raise DataError(f"{Path(file).name}: holds no question; rows for {cls.KIND} have {cls.COLUMNS}")
        return cls(f"{cls.KIND}:{printable(Path(file).name)}", items)

    @classmethod
    def _item(cls, row: Row) -> Item:
        try:
            item = None if row.fields is None else cls.item_of(row.fields)
        except ValueError as fault:
            raise DataError(f"{row.place}: {fault}") from None
        if item is None:
            found = ", ".join(map(repr, list(row.fields or ())[:12])) or "none"
            wrong = row.fault or f"has the columns {found}; rows for {cls.KIND} have {cls.COLUMNS}"
            raise DataError(f"{row.place}: {wrong}")
        return item

    @classmethod
    def suits(cls, paths: Sequence[str]) -> bool:
        """Never: the questions are somebody's own."""
        return False

    @classmethod
    def reads(cls, row: Mapping[str, Any]) -> bool:
        """Whether the row has the columns of a question."""
        try:
            return cls.item_of(row) is not None
        except ValueError:
            return True


def text_of(value: object) -> str:
    """A cell as text; raises ValueError for what is none. Bytes that were no UTF-8 become U+FFFD."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.60} is no text")
    return value.encode(errors="surrogateescape").decode(errors="replace")


def behind(context: str, choice: str) -> str:
    """The choice as it follows the context: behind a space, unless one of them has it."""
    return choice if not context or context[-1:].isspace() or choice[:1].isspace() else f" {choice}"


def answers(candidate: Candidate, items: Sequence[Item]) -> list[Answered]:
    """What the model makes of each choice of each question, in a fixed order without meaning, until time is up.

    A context that is too long loses its beginning; a question with a choice that is longer than the context is left
    out. Exact to rounding, whatever stands beside a question.
    """
    order = np.random.default_rng(0).permutation(len(items))
    done: list[Answered] = []
    with evaluating(candidate.model):
        for start in range(0, len(order), ROUND):
            if start and candidate.is_late():
                break
            done += _round(candidate, [items[place] for place in order[start : start + ROUND]])
    return done


class _Row(NamedTuple):
    """Ids of context and choice (at most one more than the model reads), the last `n_tokens` of them the choice's."""

    ids: list[int]
    n_tokens: int


def _round(candidate: Candidate, items: Sequence[Item]) -> Iterator[Answered]:
    longest = candidate.model.config.context_length
    asked = [[_row(candidate.tokenizer, item.context, choice) for choice in item.choices] for item in items]
    fitting = [
        (item, rows) for item, rows in zip(items, asked, strict=True) if max(r.n_tokens for r in rows) <= longest
    ]
    flat = [_Row(row.ids[-longest - 1 :], row.n_tokens) for _, rows in fitting for row in rows]
    said = iter(_said(candidate, flat))
    for item, rows in fitting:
        yield item, [next(said) for _ in rows]


def _row(tokenizer: Tokenizer, context: str, choice: str) -> _Row:
    """Tokens of both in one: where the context ends, a token may belong to both, and counts as the context's then.

    White space at the context's end goes with the choice, as most vocabularies have it before a word (so does
    EleutherAI's lm-evaluation-harness, whose figures these are).
    """
    if not context:
        ids = tokenizer.encode(choice)
        return _Row([tokenizer.end_of_text, *ids], max(1, len(ids)))
    kept = context.rstrip() or context
    ids, begun = tokenizer.encode(context + choice), tokenizer.encode(kept)
    return _Row(list(ids), max(1, len(ids) - len(begun)))


def _said(candidate: Candidate, rows: Sequence[_Row]) -> list[Said]:
    found: dict[int, Said] = {}
    most = candidate.scoring.micro_batch * candidate.model.config.context_length
    for places in _batches(rows, most):
        found |= zip(places, _of_batch(candidate, [rows[place] for place in places]), strict=True)
    return [found[place] for place in range(len(rows))]


def _batches(rows: Sequence[_Row], most: int) -> Iterator[list[int]]:
    """Places of rows that go through the model together: of similar length, at most `most` tokens in all."""
    batch: list[int] = []
    for place in sorted(range(len(rows)), key=lambda place: len(rows[place].ids)):
        if batch and (len(batch) + 1) * len(rows[place].ids) > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _of_batch(candidate: Candidate, rows: Sequence[_Row]) -> Iterable[Said]:
    """One pass, filled up on the right: attention looks back, so what stands there changes nothing."""
    model, lengths = candidate.model, candidate.tokenizer.byte_lengths
    device, width = model.token_embedding.weight.device, max(len(row.ids) for row in rows)
    ids = torch.tensor([row.ids + [0] * (width - len(row.ids)) for row in rows], device=device)
    places = torch.arange(1, width, device=device)
    ends = torch.tensor([len(row.ids) for row in rows], device=device)[:, None]
    firsts = ends - torch.tensor([row.n_tokens for row in rows], device=device)[:, None]
    counted = (places >= firsts) & (places < ends)
    targets = ids[:, 1:].masked_fill(~counted, IGNORED)[counted]
    at_once = max(1, LOGITS_AT_ONCE // model.config.vocab_size)
    with looking(device, candidate.scoring.autocast):
        stream = model.stream(ids[:, :-1])[counted]
        parts = zip(torch.split(stream, at_once), torch.split(targets, at_once), strict=True)
        told = [_against(model.logits(part).float(), wanted) for part, wanted in parts]
    sizes = [row.n_tokens for row in rows]
    nats, right = (torch.split(torch.cat(column), sizes) for column in zip(*told, strict=True))
    for one, hits, wanted in zip(nats, right, torch.split(targets.cpu(), sizes), strict=True):
        yield Said(float(one.sum()), bool(hits.all()), len(one), int(lengths[wanted.numpy()].sum()))


def _against(logits: Float[Tensor, "N V"], targets: Int[Tensor, " N"]) -> tuple[Tensor, Tensor]:
    """Nats of each target, and whether it is the likeliest token; on the processor."""
    nats = nn.functional.cross_entropy(logits, targets, reduction="none")
    return nats.double().cpu(), (logits.argmax(-1) == targets).cpu()
