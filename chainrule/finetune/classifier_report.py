"""What a classifier gets right: of everything, of each label, with what chance it is so, and against the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.finetune.labelled import LabelledText
from chainrule.verdict import share_interval


@dataclass(frozen=True)
class Confusion:
    """How many texts of each label (rows) were taken for which (columns)."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, labels: tuple[str, ...]) -> "Confusion":
        """Of no text yet."""
        return cls(labels, tuple((0,) * len(labels) for _ in labels))

    def adding(self, rows: Sequence[LabelledText], answers: Sequence[str]) -> "Confusion":
        """With these texts, and what was said of them."""
        counts = [list(row) for row in self.counts]
        for row, answer in zip(rows, answers, strict=True):
            counts[self.labels.index(row.label)][self.labels.index(answer)] += 1
        return Confusion(self.labels, tuple(map(tuple, counts)))

    @property
    def n(self) -> int:
        """Texts."""
        return sum(map(sum, self.counts))

    @property
    def right(self) -> int:
        """Texts that were taken for what they are."""
        return sum(self.counts[place][place] for place in range(len(self.labels)))

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return self.right / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Between what shares the true accuracy lies, 95 times in 100 (Wilson)."""
        return share_interval(self.right, self.n)

    @property
    def macro_f1(self) -> float:
        """The mean over labels of F1 = 2 TP / (2 TP + FP + FN): rare labels count as much as common ones."""
        return sum(map(self.f1, range(len(self.labels)))) / len(self.labels)

    def f1(self, place: int) -> float:
        """Of one label; 0 where it was neither there nor said."""
        hits = self.counts[place][place]
        said, there = sum(row[place] for row in self.counts), sum(self.counts[place])
        return 2 * hits / (said + there) if said + there else 0.0

    def found(self, place: int) -> tuple[int, int, tuple[float, float] | None]:
        """Of one label's texts: how many were found, of how many, and the interval of that share (None without any)."""
        hits, there = self.counts[place][place], sum(self.counts[place])
        return hits, there, share_interval(hits, there) if there else None

    def row(self) -> dict[str, Any]:
        """By name, as JSON holds it."""
        low, high = self.interval
        return {
            "n": self.n,
            "right": self.right,
            "accuracy": self.accuracy,
            "low": low,
            "high": high,
            "macro_f1": self.macro_f1,
            "labels": list(self.labels),
            "confusion": [list(row) for row in self.counts],
        }


@dataclass(frozen=True)
class ClassifierReport:
    """A classifier judged on texts that it had not seen, and the baseline on the same ones (None: not measured)."""

    origin: str
    how: str
    n_learning: int
    """Numbers that learnt."""
    n_rows: int
    n_folds: int
    confusion: Confusion
    baseline: Confusion | None
    seconds: float
    left_out: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """By name, as JSON holds it."""
        return {
            "model": self.origin,
            "how": self.how,
            "n_learning": self.n_learning,
            "n_rows": self.n_rows,
            "n_folds": self.n_folds,
            **self.confusion.row(),
            "baseline": self.baseline.row() if self.baseline else None,
            "seconds": self.seconds,
            "left_out": list(self.left_out),
        }
