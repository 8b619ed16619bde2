"""Multiple choice: of several continuations of a context, the right one has to be the likeliest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, ClassVar

from chainrule.evaluate.tasks.likelihood import Item, Questions, answers, behind, text_of
from chainrule.evaluate.tasks.task import Candidate
from chainrule.run import TaskResult

LETTERS = "ABCDEFGHIJ"
# By the words of data sets that are often at hand: HellaSwag, ARC, OpenBookQA, SciQ, and plain English.
CONTEXTS, QUESTIONS = ("context", "prompt", "ctx", "query"), ("question", "question_stem")
LISTS, ANSWERS = ("choices", "endings", "options"), ("answer", "label", "gold", "answerKey", "answer_idx")


@dataclass(frozen=True)
class Choices(Questions):
    """Questions of a file; right where the sum of -ln p over the tokens of the right choice is the least.

    Beside it stands the share that is right by nats per byte, which does not favour short choices (`by_bytes`). The
    first is lm-eval's acc; its acc_norm counts characters, and not the space before a choice. PIQA's rows (goal, sol1,
    sol2, label) are taken as they are.
    """

    WHY: ClassVar[str] = "Knowledge and common sense, as far as one continuation is likelier than another."
    KIND: ClassVar[str] = "choices"
    COLUMNS: ClassVar[str] = (
        "context or question, choices (a list) and answer (a place from 0, a letter, or the choice itself)"
    )

    @staticmethod
    def item_of(row: Mapping[str, Any]) -> Item | None:
        """The question of a row; None when it has not the columns of one."""
        if {"goal", "sol1", "sol2", "label"} <= row.keys():
            context = f"Question: {text_of(row['goal'])}\nAnswer:"
            return _item(context, [row["sol1"], row["sol2"]], [], row["label"])
        found = [next((name for name in names if name in row), None) for names in (LISTS, ANSWERS, CONTEXTS, QUESTIONS)]
        listed, answer, context_name, question = found
        if listed is None or answer is None or (context_name is None and question is None):
            return None
        context = text_of(row[context_name]) if context_name else f"Question: {text_of(row[question or ''])}\nAnswer:"
        choices = row[listed]
        if isinstance(choices, Mapping):  # ARC's: texts and their letters
            return _item(context, choices.get("text"), choices.get("label") or [], row[answer])
        return _item(context, choices, [], row[answer])

    def examine(self, candidate: Candidate) -> TaskResult | None:
        """Asks as many as there is time for."""
        asked = answers(candidate, self.items)
        if not asked:
            return None
        by_nats = sum(_least([one.nats for one in said]) == item.answer for item, said in asked)
        by_bytes = sum(_least([one.nats / max(1, one.n_bytes) for one in said]) == item.answer for item, said in asked)
        return TaskResult(
            self.name,
            len(asked),
            by_nats,
            "questions are answered right",
            of_n=len(self.items),
            guess=fmean(1 / len(item.choices) for item, _ in asked),
            figures={"by_bytes": by_bytes / len(asked)},
        )


def _item(context: str, choices: object, labels: Sequence[object], answer: object) -> Item:
    if not isinstance(choices, list | tuple) or len(choices) < 2:
        raise ValueError(f"its choices are {choices!r:.60}, not a list of at least two")
    texts = [text_of(choice) for choice in choices]
    return Item(context, tuple(behind(context, text) for text in texts), _place(answer, texts, list(map(str, labels))))


def _place(answer: object, texts: Sequence[str], labels: Sequence[str]) -> int:
    """Which choice is meant: by its label, its text, its place from 0, or its letter."""
    if isinstance(answer, int) and not labels and 0 <= answer < len(texts):
        return answer  # also where the choices are numbers
    word = str(answer).strip()
    for names in (labels, texts, list(map(str, range(len(texts)))), list(LETTERS[: len(texts)])):
        if word in names:
            return names.index(word)
    raise ValueError(f"its answer {answer!r:.60} is none of its {len(texts)} choices, nor a place from 0, nor a letter")


def _least(values: Sequence[float]) -> int:
    return min(range(len(values)), key=values.__getitem__)
