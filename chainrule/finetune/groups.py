"""Answers that are judged, in groups that stay together: who learns and who it began as then compute alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

from chainrule.data import Windows
from chainrule.finetune.answering import question_of
from chainrule.finetune.examples import Taught
from chainrule.finetune.judged import Unit
from chainrule.model import IGNORED, Batch


@dataclass(frozen=True)
class Groups:
    """G groups of R rows, two for each unit: chosen and rejected; or a rated answer, and an answer of another prompt.

    The second kind says in `good` how each unit was rated. All windows have one length; what fills them up is read by
    nobody that counts (`trimmed`).
    """

    ids: Int64[np.ndarray, "G R L"]
    trained: Bool[np.ndarray, "G R L"]
    good: Bool[np.ndarray, "G U"] | None = None

    @classmethod
    def of(cls, units: Sequence[Unit], at_once: int, window_tokens: int) -> "Groups":
        """Units of about one length in a group; the last group takes some that are in the one before as well."""
        ordered = sorted(units, key=lambda unit: max(map(len, unit)))
        size = min(at_once, len(ordered))
        starts = [*range(0, len(ordered) - size, size), len(ordered) - size]
        parts = [ordered[start : start + size] for start in starts]
        rated = len(ordered[0]) == 1
        rows = [_with_others(part) if rated else [one for unit in part for one in unit] for part in parts]
        ids = np.stack([np.stack([_filled(one.ids, window_tokens + 1) for one in group]) for group in rows])
        trained = np.zeros(ids.shape, bool)
        for place, group in enumerate(rows):
            for row, one in enumerate(group):
                trained[place, row, : len(one)] = one.trained
        good = np.array([[unit[0].good for unit in part] for part in parts]) if rated else None
        return cls(ids, trained, good)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_rows(self) -> int:
        """Of a group."""
        return self.ids.shape[1]

    def windows(self, numbers: NDArray[np.int64]) -> Windows:
        """The rows of some groups, one group after the other."""
        length = self.ids.shape[2]
        return Windows(self.ids[numbers].reshape(-1, length), None, self.trained[numbers].reshape(-1, length))

    def batch(self, number: int, device: torch.device | str) -> Batch:
        """A group as it is computed."""
        return trimmed(Batch.of(self.windows(np.array([number])), device=device))


@dataclass(frozen=True)
class GroupBatches:
    """Groups as a pure function of the seed and the samples (rows) consumed; each epoch has an order of its own."""

    groups: Groups
    seed: int

    def windows(self, first_sample: int, count: int, n_pieces: int = 1) -> Windows:
        """Whole groups: both numbers are multiples of a group's rows. Windows are never cut into pieces."""
        first, n_groups = first_sample // self.groups.n_rows, count // self.groups.n_rows
        epochs, places = np.divmod(np.arange(first, first + n_groups), len(self.groups))
        orders = {
            int(epoch): np.random.default_rng([self.seed, int(epoch)]).permutation(len(self.groups))
            for epoch in np.unique(epochs)
        }
        return self.groups.windows(
            np.array([orders[int(epoch)][place] for epoch, place in zip(epochs, places, strict=True)])
        )


def trimmed(batch: Batch) -> Batch:
    """Without the places behind the last target: no target sees them."""
    ends = (batch.targets != IGNORED).any(dim=0).nonzero()
    end = int(ends[-1]) + 1 if len(ends) else 1
    return Batch(batch.inputs[:, :end], batch.targets[:, :end])


def _with_others(part: Sequence[Unit]) -> list[Taught]:
    """Each answer, and behind it what the next one's answer would be after this one's prompt."""
    answers = [unit[0] for unit in part]
    rows = list[Taught]()
    for one, other in zip(answers, answers[1:] + answers[:1], strict=True):
        prompt, answer = question_of(one).prompt, question_of(other).answer
        ids = np.array([*prompt, *answer], np.int64)[: max(map(len, answers))]
        trained = np.arange(len(ids)) >= len(prompt)
        rows += [one, Taught(ids, trained)]
    return rows


def _filled(ids: Int64[np.ndarray, "T"], length: int) -> Int64[np.ndarray, "L"]:
    """With its last token again and again."""
    return np.concatenate([ids, np.full(length - len(ids), ids[-1])])
