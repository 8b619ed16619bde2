"""Texts with labels: read, refused where they teach nothing, and parted so that no text is on two sides."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from chainrule.base import DataError, disk_faults, nearest
from chainrule.data import Row, holds_rows, structured_rows

# Of the book's example (LLMs-from-scratch, chapter 6): 70 % to learn from, 10 % to choose by, 20 % to be judged on.
CHOOSING, ASKED = 0.1, 0.2
# One for each part.
LEAST_OF_A_LABEL = 3


@dataclass(frozen=True)
class LabelledText:
    """A text, what it is, and where it stands."""

    text: str
    label: str
    place: str = ""


@dataclass(frozen=True)
class Parts:
    """Rows to learn from, rows by which the best epoch is chosen, and rows on which the classifier is judged."""

    training: tuple[LabelledText, ...]
    choosing: tuple[LabelledText, ...]
    asked: tuple[LabelledText, ...]


def read_labelled(path: str | Path, text: str = "text", label: str = "label") -> list[LabelledText]:
    """The rows of a .csv, .tsv, .jsonl, .json or .parquet file; `text` and `label` name its columns.

    Raises DataError for a row without one of them, by its line.
    """
    found = list[LabelledText]()
    for row in structured_rows([str(path)]):
        kind = str(_value(row, label)).strip()
        found.append(LabelledText(_column(row, text), kind, row.place))
    return found


def _column(row: Row, name: str) -> str:
    value = _value(row, name)
    if not isinstance(value, str):
        raise DataError(f"{row.place}: its {name} is a {type(value).__name__}, not a text")
    return value


def _value(row: Row, name: str) -> Any:
    """What stands in a column; raises DataError, by the row's place, when nothing does."""
    if row.fields is None:
        raise DataError(f"{row.place}: {row.fault}")
    if row.fields.get(name) is None:
        hint = nearest(name, map(str, row.fields))
        raise DataError(
            f"{row.place} has no {name!r}, only {', '.join(map(str, row.fields))}.{hint} Name the columns of text and "
            "label"
        )
    return row.fields[name]


def read_texts(path: str | Path, text: str = "text") -> list[str]:
    """Texts without labels: the column `text` of a file of rows, or each line of any other file that is not blank.

    Raises DataError for a row without that column, and for a file that is no text.
    """
    if holds_rows(path):
        return [_column(row, text) for row in structured_rows([str(path)])]
    with disk_faults(Path(path), "reading"):
        try:
            lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as fault:
            raise DataError(f"{path} is no UTF-8 text: {fault.reason} at byte {fault.start}") from None
    return [line for line in lines if line.strip()]


def checked(rows: Sequence[LabelledText]) -> tuple[list[LabelledText], list[str]]:
    """The rows, each text once, and what was left out in words.

    A text that stood on both sides would be known by heart, not understood. Raises DataError for an empty text or
    label, and where there is one label alone or one that has too few texts.
    """
    for number, row in enumerate(rows, start=1):
        place = row.place or f"row {number}"
        if not row.text.strip():
            raise DataError(f"{place}: its text is empty; there is nothing to tell its label by. Take the row out")
        if not row.label:
            raise DataError(f"{place}: its label is empty; give it one, or take the row out")
    first: dict[str, LabelledText] = {}
    for row in rows:
        first.setdefault(row.text, row)
    n_contradicting = sum(first[row.text].label != row.label for row in rows)
    kept = list(first.values())
    counts = Counter(row.label for row in kept)
    if len(counts) < 2:
        what = f"all {len(kept)} texts are {next(iter(counts))!r}" if counts else "there are no rows"
        raise DataError(f"{what}: a classifier needs at least two labels to tell apart")
    label, fewest = min(counts.items(), key=lambda item: item[1])
    if fewest < LEAST_OF_A_LABEL:
        raise DataError(
            f"label {label!r} has {fewest} different texts; each needs at least {LEAST_OF_A_LABEL}, to learn from, to "
            "choose by and to be judged on. Add some, or take the label out"
        )
    said = [f"left out: {len(rows) - len(kept)} texts that stand there more than once"] if len(rows) > len(kept) else []
    if n_contradicting:
        said.append(f"{n_contradicting} of them with another label than before; the first one counts")
    return kept, said


def parted(rows: Sequence[LabelledText], seed: int) -> Parts:
    """70 % to learn from, 10 % to choose by, 20 % to be judged on, of each label alike (one at least)."""
    return _of(rows, seed, lambda n: (0, max(1, round(ASKED * n))))


def folded(rows: Sequence[LabelledText], seed: int, n_folds: int, fold: int) -> Parts:
    """As many parts as folds; every row is judged in one of them, and learnt from or chosen by in the others."""
    fewest = min(Counter(row.label for row in rows).values())
    if fewest < max(n_folds, LEAST_OF_A_LABEL):
        raise DataError(
            f"a label has {fewest} texts, fewer than the {n_folds} folds; ask for fewer folds, or add texts"
        )
    return _of(rows, seed, lambda n: (n * fold // n_folds, n * (fold + 1) // n_folds))


def judged_on(rows: Sequence[LabelledText], others: Sequence[LabelledText], seed: int) -> Parts:
    """Rows to learn from, judged on other ones; raises DataError for a label, or a text, that only should be in one."""
    parts = _of(rows, seed, lambda n: (0, 0))
    known, texts = {row.label for row in rows}, {row.text for row in rows}
    for number, row in enumerate(others, start=1):
        place = row.place or f"row {number}"
        if row.label not in known:
            raise DataError(
                f"{place}: label {row.label!r} is in no row that is learnt from ({', '.join(sorted(known)[:9])})."
                f"{nearest(row.label, known)}"
            )
        if row.text in texts:
            raise DataError(f"{place}: the same text is among those that are learnt from; take it out of one of them")
    return replace(parts, asked=tuple(others))


def _of(rows: Sequence[LabelledText], seed: int, span: Callable[[int], tuple[int, int]]) -> Parts:
    """Parts of each label's rows, in an order that the seed decides: `span` of how many says which are judged."""
    dice = Random(seed)  # noqa: S311  # an order that can be had again, no secret
    parts: dict[str, list[LabelledText]] = {"training": [], "choosing": [], "asked": []}
    for label in sorted({row.label for row in rows}):
        mine = [row for row in rows if row.label == label]
        dice.shuffle(mine)
        start, stop = span(len(mine))
        left = mine[:start] + mine[stop:]
        n_choosing = max(1, round(CHOOSING * len(mine)))
        parts["asked"] += mine[start:stop]
        parts["choosing"] += left[:n_choosing]
        parts["training"] += left[n_choosing:]
    return Parts(**{name: tuple(found) for name, found in parts.items()})
