"""Minimal pairs: of two sentences that differ in one thing, the good one has to be likelier than the bad one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from chainrule.evaluate.tasks.likelihood import Item, Questions, answers, text_of
from chainrule.evaluate.tasks.task import Candidate
from chainrule.run import TaskResult

NAMES = (("sentence_good", "sentence_bad"), ("good", "bad"))


@dataclass(frozen=True)
class Pairs(Questions):
    """Pairs of sentences, each alone behind an end-of-text; right where the good one's sum of -ln p is smaller.

    As BLiMP is scored (Warstadt et al. 2020, arXiv 1912.00582).
    """

    WHY: ClassVar[str] = "Grammar, asked of the probabilities themselves: 50 % is what chance gets right."
    KIND: ClassVar[str] = "pairs"
    COLUMNS: ClassVar[str] = "sentence_good and sentence_bad"

    @staticmethod
    def item_of(row: Mapping[str, Any]) -> Item | None:
        """The pair of a row, the good sentence first; None when it has not the columns of one."""
        names = next((pair for pair in NAMES if row.keys() >= set(pair)), None)
        return None if names is None else Item("", tuple(text_of(row[name]) for name in names))

    def examine(self, candidate: Candidate) -> TaskResult | None:
        """Compares as many as there is time for; what is equally likely is not told apart."""
        asked = answers(candidate, self.items)
        right = sum(good.nats < bad.nats for _, (good, bad) in asked)
        told = "pairs are told apart"
        return TaskResult(self.name, len(asked), right, told, of_n=len(self.items), guess=0.5) if asked else None
