"""Examples prepared for a run: read, written as ids, held out in part, and kept in the run's data folder."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from chainrule.base import ConfigError, DataError, sha256_of_file
from chainrule.checkpoint import read_tensors, write_tensors
from chainrule.data import Dataset, TokenStore, write_documents
from chainrule.finetune.answering import question_of
from chainrule.finetune.examples import Taught, Writing, taught
from chainrule.finetune.judged import Unit, pair_units, rated_units
from chainrule.finetune.rows import Example, Preferred, Rated, Rows
from chainrule.tokenizer import Tokenizer

MASK = "trained.safetensors"
SIDES = ("train", "validation")


Units = Callable[[Example, Writing], list[Unit]]
"""From a row to what stays together of it; raises DataError when it cannot be taught, ConfigError for another kind."""


@dataclass(frozen=True)
class Kind:
    """How rows become what an objective learns: units of `size` answers, which are `judged` or simply given."""

    units: Units
    size: int = 1
    judged: bool = False

    @classmethod
    def of(cls, objective: str) -> Self:
        """Of an objective, by its word."""
        if objective == "answers":
            return cls(answer_units)
        return cls(rated_units, judged=True) if objective == "kto" else cls(pair_units, size=2, judged=True)

    def grouped(self, examples: Sequence[Taught]) -> list[Unit]:
        """The units of examples that lie one after the other."""
        return [tuple(examples[at : at + self.size]) for at in range(0, len(examples), self.size)]


def answer_units(example: Example, writing: Writing) -> list[Unit]:
    """An example by itself, whose answers are learnt."""
    if isinstance(example, Preferred | Rated):
        raise ConfigError(
            f"{example.place}: says which answer is better, and answers are to be learnt; map the better one by "
            "--column completion=chosen, or say what is to be learnt of them: --objective dpo (or kto)"
        )
    return [(taught(example, writing),)]


def written(rows: Rows, units: Units, writing: Writing) -> tuple[list[Unit], list[str]]:
    """The examples as ids, and what is wrong with those that cannot be taught."""
    made: list[Unit] = []
    faults: list[str] = []
    for example in rows.examples:
        try:
            made += units(example, writing)
        except DataError as fault:
            faults.append(str(fault))
    return made, faults


def held_out(units: Sequence[Unit], share: float, *, judged: bool = False) -> tuple[list[Unit], list[Unit]]:
    """Both sides of the split: by a hash of the ids, so that equal rows are on one side, whatever their order.

    Answers that are `judged` are on the side of their prompt, with all others after it. At least one unit is on each
    side; raises DataError when there are not two different ones.
    """
    told = (unit[0].ids if not judged else np.array(question_of(unit[0]).prompt) for unit in units)
    keys = [hashlib.sha256(ids.tobytes()).hexdigest() for ids in told]
    different = sorted(set(keys))
    if len(different) < 2:
        raise DataError(
            f"{len(units):,} examples, {len(different)} of them different: at least two are needed, because one is "
            "held out to see whether anything is learnt but by heart"
        )
    kept = set(different[: min(len(different) - 1, max(1, round(share * len(different))))])
    pairs = list(zip(keys, units, strict=True))
    return [one for key, one in pairs if key not in kept], [one for key, one in pairs if key in kept]


def keep(
    folder: Path, train: Sequence[Taught], validation: Sequence[Taught], tokenizer: Tokenizer, files: Sequence[str]
) -> str:
    """Writes both sides as shards, and what of them is learnt beside; returns the SHA-256 of that."""
    sides = {"train": train, "validation": validation}
    ids = {side: [one.ids for one in some] for side, some in sides.items()}
    write_documents(folder, ids, tokenizer, Path(files[0]).name, len(files))
    masks = {side: _mask(some) for side, some in sides.items()}
    with (folder / MASK).open("wb") as stream:
        write_tensors(stream, masks)
    return sha256_of_file(folder / MASK)


def kept(dataset: Dataset, mask: str) -> tuple[list[Taught], list[Taught]]:
    """What `keep` wrote; raises DataError when it is not what it was."""
    path = dataset.folder / MASK
    if not path.is_file() or sha256_of_file(path) != mask:
        raise DataError(f"{path} is missing or was changed; bring it back, or start the fine-tuning again")
    masks = read_tensors(path)
    first, second = (_side(dataset.split(side), masks[side].numpy()) for side in SIDES)
    return first, second


def _mask(examples: Iterable[Taught]) -> torch.Tensor:
    """0: read only; 1: learnt; 2: learnt, and the last of an answer; 3: the last of an answer that is not good."""
    parts = [np.empty(0, np.uint8)]
    for example in examples:
        part = example.trained.astype(np.uint8)
        part[list(example.ends)] = 2 if example.good else 3
        parts.append(part)
    return torch.from_numpy(np.concatenate(parts))


def _side(store: TokenStore, mask: NDArray[np.uint8]) -> list[Taught]:
    ids = store.read(0, store.n_tokens)
    made, begin = [], 0
    for end in store.document_ends().tolist():
        part = mask[begin:end]
        ends = tuple(np.flatnonzero(part >= 2).tolist())
        made.append(Taught(ids[begin:end], part > 0, ends, good=not (part == 3).any()))
        begin = end
    return made
