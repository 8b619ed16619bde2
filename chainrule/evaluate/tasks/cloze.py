"""Cloze: the end of a text has to be what the model itself would have written, token for token."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from chainrule.evaluate.tasks.likelihood import Item, Questions, answers, behind, text_of
from chainrule.evaluate.tasks.task import Candidate
from chainrule.run import TaskResult

CONTEXTS, ENDS = ("context", "prompt"), ("completion", "continuation", "target", "answer")


@dataclass(frozen=True)
class Cloze(Questions):
    """Texts without their end; right where each token of the end is the likeliest one (greedy decoding writes it).

    As LAMBADA is scored (Paperno et al. 2016, arXiv 1606.06031); `perplexity` is that of an end as a whole.
    """

    WHY: ClassVar[str] = "Whether the model follows what a text has said so far, to the word that must come."
    KIND: ClassVar[str] = "cloze"
    COLUMNS: ClassVar[str] = "text, whose last word is foreseen, or context and completion"

    @staticmethod
    def item_of(row: Mapping[str, Any]) -> Item | None:
        """The text of a row and its end; None when it has not the columns of one."""
        context, end = (next((name for name in names if name in row), None) for names in (CONTEXTS, ENDS))
        if context is not None and end is not None:
            begun = text_of(row[context])
            return Item(begun, (behind(begun, text_of(row[end])),))
        if "text" not in row or {"choices", "label"} & row.keys():
            return None
        begun, _, last = text_of(row["text"]).rpartition(" ")
        if not begun or not last:
            raise ValueError("its text is one word, or ends in a space; there is no last word to foresee")
        return Item(begun, (f" {last}",))

    def examine(self, candidate: Candidate) -> TaskResult | None:
        """Asks for as many as there is time for."""
        asked = answers(candidate, self.items)
        if not asked:
            return None
        mean = sum(said.nats for _, (said,) in asked) / len(asked)
        return TaskResult(
            self.name,
            len(asked),
            sum(said.greedy for _, (said,) in asked),
            "endings are foreseen",
            of_n=len(self.items),
            figures={"perplexity": math.exp(min(mean, 700.0))},
        )
