"""Examples prepared for a run: read, written as ids, held out in part, and kept in the run's data folder."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from chainrule.base import ConfigError, DataError, sha256_of_file
from chainrule.checkpoint import read_tensors, write_tensors
from chainrule.data import Dataset, TokenStore, write_documents
from chainrule.finetune.examples import Taught, Writing, taught
from chainrule.finetune.rows import Plain, Preferred, Rated, Rows, Talk
from chainrule.tokenizer import Tokenizer

MASK = "trained.safetensors"
SIDES = ("train", "validation")


def written(rows: Rows, writing: Writing) -> tuple[list[Taught], list[str]]:
    """The examples as ids, and what is wrong with those that cannot be taught."""
    made: list[Taught] = []
    faults: list[str] = []
    for example in rows.examples:
        if isinstance(example, Preferred | Rated):
            raise ConfigError(
                f"{example.place}: says which answer is better, and answers are to be learnt; map the better one by "
                "--column completion=chosen, or use an objective for preferences"
            )
        assert isinstance(example, Talk | Plain)
        try:
            made.append(taught(example, writing))
        except DataError as fault:
            faults.append(str(fault))
    return made, faults


def held_out(examples: Sequence[Taught], share: float) -> tuple[list[Taught], list[Taught]]:
    """Both sides of the split: by a hash of the ids, so that equal rows are on one side, whatever their order.

    At least one example is on each side; raises DataError when there are not two different ones.
    """
    keys = [hashlib.sha256(example.ids.tobytes()).hexdigest() for example in examples]
    different = sorted(set(keys))
    if len(different) < 2:
        raise DataError(
            f"{len(examples):,} examples, {len(different)} of them different: at least two are needed, because one is "
            "held out to see whether anything is learnt but by heart"
        )
    kept = set(different[: min(len(different) - 1, max(1, round(share * len(different))))])
    pairs = list(zip(keys, examples, strict=True))
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
    """0: read only; 1: learnt; 2: learnt, and the last of an answer."""
    parts = [np.empty(0, np.uint8)]
    for example in examples:
        part = example.trained.astype(np.uint8)
        part[list(example.ends)] = 2
        parts.append(part)
    return torch.from_numpy(np.concatenate(parts))


def _side(store: TokenStore, mask: NDArray[np.uint8]) -> list[Taught]:
    ids = store.read(0, store.n_tokens)
    made, begin = [], 0
    for end in store.document_ends().tolist():
        part = mask[begin:end]
        made.append(Taught(ids[begin:end], part > 0, tuple(np.flatnonzero(part == 2).tolist())))
        begin = end
    return made
