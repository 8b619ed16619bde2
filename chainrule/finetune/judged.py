"""Rows that say which answer is better, as units of what is learnt: a pair of answers, or one that is good or bad."""

from dataclasses import replace

import numpy as np

from chainrule.base import ConfigError, DataError
from chainrule.finetune.answering import question_of
from chainrule.finetune.examples import Taught, Writing, taught
from chainrule.finetune.pair_lint import TextPair
from chainrule.finetune.rows import Example, Preferred, Rated, Rows, Talk
from chainrule.tokenizer import Message

Unit = tuple[Taught, ...]
"""What stays together, on one side of the split and in one batch: an example, or the two answers of a pair."""


def pair_units(example: Example, writing: Writing) -> list[Unit]:
    """The chosen and the rejected answer after one prompt; raises ConfigError for a row that is no pair."""
    if not isinstance(example, Preferred):
        raise ConfigError(
            f"{example.place}: is no pair of answers; this objective learns from rows of prompt, chosen and rejected, "
            "and kto from prompt, completion and label (true or false)"
        )
    return [_pair(example, writing)]


def rated_units(example: Example, writing: Writing) -> list[Unit]:
    """Each answer by itself; raises ConfigError for a row that does not say how good its answer is."""
    if isinstance(example, Preferred):
        return [(one,) for one in _pair(example, writing)]
    if not isinstance(example, Rated):
        raise ConfigError(
            f"{example.place}: does not say how good its answer is; kto learns from rows of prompt, completion and "
            "label (true or false), or of prompt, chosen and rejected"
        )
    return [(_answer(example.prompt, example.completion, example.place, writing, good=example.good),)]


def text_pairs(rows: Rows) -> list[TextPair]:
    """The pairs as texts, to be looked through."""
    return [
        TextPair("\n".join(message["content"] for message in one.prompt), one.chosen, one.rejected)
        for one in rows.examples
        if isinstance(one, Preferred)
    ]


def _pair(example: Preferred, writing: Writing) -> tuple[Taught, Taught]:
    """Both answers after the same prompt; where one of them had to be cut from the left, the other is cut alike."""
    prompt, place = example.prompt, example.place
    for _ in range(2):
        chosen = _answer(prompt, example.chosen, place, writing, good=True)
        rejected = _answer(prompt, example.rejected, place, writing, good=False)
        shorter = min((chosen, rejected), key=lambda one: _prompt_characters(one))
        if chosen.whole and rejected.whole:
            return chosen, rejected
        assert shorter.talk is not None
        prompt = shorter.talk.messages[:-1]
    if question_of(chosen).prompt != question_of(rejected).prompt:
        raise DataError(f"{place}: the prompt does not fit with both answers; shorten it")
    return replace(chosen, whole=False), replace(rejected, whole=False)


def _answer(prompt: tuple[Message, ...], said: str, place: str, writing: Writing, *, good: bool) -> Taught:
    """The prompt with one answer, of which the answer alone is learnt, not the assistant's earlier turns."""
    made = taught(Talk((*prompt, {"role": "assistant", "content": said}), place), writing)
    begin = len(question_of(made).prompt)
    trained = made.trained & (np.arange(len(made)) >= begin)
    return replace(made, trained=trained, ends=made.ends[-1:], good=good)


def _prompt_characters(one: Taught) -> int:
    assert one.talk is not None
    return sum(len(message["content"]) for message in one.talk.messages[:-1])
