"""What a task is: something that a model is asked many times, and that it gets right or not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from chainrule.evaluate.scoring import AS_IT_IS, Scoring
from chainrule.model import GPT
from chainrule.run import TaskResult
from chainrule.tokenizer import Tokenizer


def _all_of_them(n_texts: int, n_tokens: int) -> int:
    return n_texts


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Candidate:
    """The model that is examined, how it computes, and how much time there is for it.

    `affords(texts, tokens)` says how many texts of so many tokens there is time to write; `is_late()` whether what goes
    on as long as there is time should end now. Who has all the time of the world leaves both as they are.
    """

    model: GPT
    tokenizer: Tokenizer
    scoring: Scoring = AS_IT_IS
    seed: int = 0
    affords: Callable[[int, int], int] = _all_of_them
    is_late: Callable[[], bool] = _never


class Task(Protocol):
    """One file of this folder: what is asked, how it is judged, and why that says anything."""

    WHY: ClassVar[str]
    """What the share of right answers says of a model, in one sentence."""

    @classmethod
    def of(cls, file: str | None) -> "Task":
        """The task on that file; ConfigError when it needs one and has none, or has one and no use for it."""

    @classmethod
    def suits(cls, paths: Sequence[str]) -> bool:
        """Whether a model that learnt from these texts is put to it unasked."""

    @classmethod
    def reads(cls, row: Mapping[str, Any]) -> bool:
        """Whether a row of a file is one of its questions."""

    def examine(self, candidate: Candidate) -> TaskResult | None:
        """How many it got right; None when there was no time for any. Deterministic, given time for all."""
