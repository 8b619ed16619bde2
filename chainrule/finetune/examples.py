"""From an example to its ids, and which of them are learnt: by position, found in two ways that must agree.

The mask never asks what an id is. Where an answer begins is where the prompt ends that the server would write; where it
ends is the first token behind it that ends an assistant's turn, which is learnt too. Where the template has
{% generation %} markers they must say the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int64

from chainrule.base import DataError
from chainrule.finetune.rows import Plain, Talk
from chainrule.tokenizer import ChatTemplate, Message, Tokenizer


@dataclass(frozen=True)
class Taught:
    """An example as the model reads it."""

    ids: Int64[np.ndarray, "T"]
    trained: Bool[np.ndarray, "T"]
    """Which ids are learnt; the first never is, because nothing stands before it."""
    ends: tuple[int, ...] = ()
    """Places of the last learnt id of each assistant's turn."""
    place: str = ""
    """Where the row stands, for messages."""
    whole: bool = True
    """Whether nothing of its prompt was cut."""
    talk: Talk | None = None
    """The conversation, as it was cut; None for plain text."""
    good: bool = True
    """Whether the answer is one to be given; of a pair the rejected one is not."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Writing:
    """How examples are written: template, vocabulary, and the most tokens that one may have.

    `too_long` says what happens to a longer one: "cut" takes from the left of what the user said (whole turns first),
    "refuse" leaves the row out. An answer is never cut.
    """

    tokenizer: Tokenizer
    template: ChatTemplate | None
    most_tokens: int
    too_long: str = "cut"


def taught(example: Talk | Plain, writing: Writing) -> Taught:
    """The ids and the mask of an example; raises DataError, naming its place, when it cannot be taught as it is."""
    try:
        if isinstance(example, Plain):
            return _plain(example, writing)
        if writing.template is None:
            raise DataError("a conversation needs a chat template, and the model has none")
        made = _talk(example, writing.template, writing.tokenizer)
        return made if len(made) <= writing.most_tokens else _shortened(example, len(made), writing)
    except DataError as fault:
        raise DataError(f"{example.place}: {fault}") from None


def _plain(example: Plain, writing: Writing) -> Taught:
    """A whole text between two end-of-text tokens, as in pretraining."""
    end = writing.tokenizer.end_of_text
    ids = np.array([end, *writing.tokenizer.encode(example.text), end], np.int64)
    if len(ids) > writing.most_tokens:
        raise DataError(f"a text of {len(ids):,} tokens, and windows have {writing.most_tokens:,}; split it")
    trained = np.ones(len(ids), bool)
    trained[0] = False
    return Taught(ids, trained, (len(ids) - 1,), example.place)


def _talk(example: Talk, template: ChatTemplate, tokenizer: Tokenizer) -> Taught:
    messages = example.messages
    ids = template.encode(tokenizer, messages)
    trained = [False] * len(ids)
    ends = []
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        begin, end = _answer(ids, messages, place, template, tokenizer)
        trained[begin:end] = [True] * (end - begin)
        ends.append(end - 1)
    if template.has_markers:
        _compare(ids, trained, template.encode_marked(tokenizer, messages).generated, tokenizer)
    return Taught(np.array(ids, np.int64), np.array(trained, bool), tuple(ends), example.place, talk=example)


def _answer(
    ids: Sequence[int], messages: Sequence[Message], place: int, template: ChatTemplate, tokenizer: Tokenizer
) -> tuple[int, int]:
    """Where the answer `messages[place]` begins and ends in the ids of the whole conversation."""
    prompt = template.encode(tokenizer, messages[:place], reply=True)
    if list(ids[: len(prompt)]) != prompt:
        raise DataError(
            f"the prompt of answer {place + 1} is not how the conversation begins: the answer's first letters melt "
            "into the template's last (does it begin with white space?), or the template writes earlier turns "
            "otherwise when the conversation goes on"
        )
    upto = template.encode(tokenizer, messages[: place + 1])
    if list(ids[: len(upto)]) != upto:
        raise DataError(f"the template writes answer {place + 1} otherwise when the conversation goes on")
    behind = (at for at in range(len(prompt), len(upto)) if upto[at] in template.stop)
    end = next(behind, None)
    if end is None:
        raise DataError(f"the template writes no token that ends answer {place + 1}, so the model would never stop")
    return len(prompt), end + 1


def _compare(ids: Sequence[int], trained: Sequence[bool], marked: Sequence[bool], tokenizer: Tokenizer) -> None:
    """Raises DataError where the markers and the prompts disagree."""
    for place, (ours, theirs) in enumerate(zip(trained, marked, strict=True)):
        if ours != theirs:
            word = tokenizer.decode([ids[place]]) or f"the control token {ids[place]}"
            raise DataError(
                f"token {place} ({word!r}) is {'learnt' if ours else 'not learnt'} by the prompts that the server "
                f"writes, and {'inside' if theirs else 'outside'} the template's {{% generation %}} markers; put the "
                "markers around what the assistant says and the token that ends its turn"
            )


def _shortened(example: Talk, n_tokens: int, writing: Writing) -> Taught:
    """The conversation without its oldest turns, then without the left of its last question."""
    assert writing.template is not None
    most = writing.most_tokens
    if writing.too_long == "refuse":
        raise DataError(f"{n_tokens:,} tokens, and windows have {most:,}; --too-long cut takes from the prompt's left")
    system = example.messages[: example.messages[0]["role"] == "system"]
    turns = example.messages[len(system) :]
    while len(turns) > 2:
        turns = turns[2:]
        made = _talk(replace(example, messages=(*system, *turns)), writing.template, writing.tokenizer)
        if len(made) <= most:
            return replace(made, whole=False)
    question, answer = turns

    def cut(n_characters: int) -> Taught:
        asked = {**question, "content": question["content"][n_characters:]}
        return _talk(replace(example, messages=(*system, asked, answer)), writing.template, writing.tokenizer)  # type: ignore[arg-type]

    low, high = 0, len(question["content"])
    if len(cut(high)) > most:
        raise DataError(f"its answer and what the template adds are more than the {most:,} tokens of a window")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if len(cut(middle)) <= most else (middle, high)
    return replace(cut(high), whole=False)
