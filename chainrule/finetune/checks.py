"""What goes silently wrong in fine-tuning, looked for in the very tensors that will be learnt, before the first step.

Each check knows one fault and raises DataError with its likely cause; CHECKS is all of them, so that a test can plant
each fault and see which check finds it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.base import DataError
from chainrule.finetune.examples import Taught
from chainrule.finetune.packing import Packed
from chainrule.tokenizer import ChatTemplate, Tokenizer

MOST_LEFT_OUT = 0.05
"""The share of rows that may be left out for being too long, or for what the template makes of them."""
# How published templates write control tokens; what of them the vocabulary does not know becomes ordinary text.
CONTROL_LOOKING = re.compile(r"<\|[A-Za-z_0-9]+\|>|\[/?(?:INST|SYS|AVAILABLE_TOOLS)\]|<</?SYS>>|</?s>|<\w+_of_turn>")


@dataclass(frozen=True)
class Prepared:
    """All that the first step will see."""

    train: Sequence[Taught]
    held_out: Sequence[Taught]
    packed: Packed
    tokenizer: Tokenizer
    template: ChatTemplate | None
    embedding: Tensor
    """Token embeddings [V, D] that training begins with."""
    n_rows: int
    left_out: Sequence[str] = ()
    """Rows that could not be taught, with the reason of each."""

    @property
    def talks(self) -> list[Taught]:
        """The conversations among the examples."""
        return [one for one in (*self.train, *self.held_out) if one.talk is not None]


def check(prepared: Prepared) -> None:
    """Raises DataError for the first fault that is found."""
    for one in CHECKS.values():
        one(prepared)


def few_left_out(prepared: Prepared) -> None:
    """Rows are not lost in numbers."""
    share = len(prepared.left_out) / max(1, prepared.n_rows)
    if share > MOST_LEFT_OUT or not prepared.train:
        raise DataError(
            f"{len(prepared.left_out):,} of {prepared.n_rows:,} rows ({share:.0%}) cannot be taught, and at most "
            f"{MOST_LEFT_OUT:.0%} may be left out. The first: {'; '.join(prepared.left_out[:3])}"
        )


def something_is_learnt(prepared: Prepared) -> None:
    """Every example, and so every window, has learnt tokens."""
    for example in (*prepared.train, *prepared.held_out):
        if not example.trained.any():
            raise DataError(f"{example.place}: no token of it is learnt; the mask and the template do not fit")
    empty = (~prepared.packed.trained[:, 1:].any(axis=1)).sum()
    if empty:
        raise DataError(f"{empty:,} windows have no learnt token; their loss would be 0 and hide the others'")


def prompts_are_not_learnt(prepared: Prepared) -> None:
    """What the user says is read only."""
    for example in prepared.talks:
        if example.trained[1:].all() or example.trained[0]:
            raise DataError(f"{example.place}: the whole conversation is learnt, the user's words too")


def the_end_is_learnt(prepared: Prepared) -> None:
    """Each answer ends with a token at which generation stops, and it is learnt."""
    stop = prepared.template.stop if prepared.template else frozenset((prepared.tokenizer.end_of_text,))
    for example in (*prepared.train, *prepared.held_out):
        for end in example.ends:
            if not example.trained[end] or int(example.ids[end]) not in stop:
                word = prepared.tokenizer.decode([int(example.ids[end])])
                raise DataError(
                    f"{example.place}: the last learnt token of an answer is {int(example.ids[end])} ({word!r}), at "
                    "which generation does not stop, so the model would never learn to end"
                )
        if example.trained.any() and not example.ends:
            raise DataError(f"{example.place}: no answer's end is known, so the model would never learn to end")


def one_beginning(prepared: Prepared) -> None:
    """No text begins twice (a template that writes the token of the beginning, and something that adds another)."""
    controls = set(prepared.tokenizer.control_tokens.values())
    for example in (*prepared.train, *prepared.held_out):
        if len(example.ids) > 1 and example.ids[0] == example.ids[1] and int(example.ids[0]) in controls:
            raise DataError(
                f"{example.place}: begins with the control token {int(example.ids[0])} twice; the template writes it, "
                "and so does somebody else"
            )


def the_template_is_this_models(prepared: Prepared) -> None:
    """What a template writes as control tokens are single ids of this vocabulary, and it writes nothing by mistake."""
    if prepared.template is None:
        return
    foreign = sorted(set(CONTROL_LOOKING.findall(prepared.template.source)) - prepared.template.words.keys())
    if foreign:
        raise DataError(
            f"the template writes {foreign[0]!r}, which is no control token of this vocabulary but "
            f"{len(prepared.tokenizer.encode(foreign[0]))} ordinary ones: it is the template of another model"
        )
    for example in prepared.talks[:1]:
        assert example.talk is not None
        told = "".join(message["content"] for message in example.talk.messages)
        written = prepared.template.render(example.talk.messages)
        for word in ("None", "Undefined"):
            if word in written and word not in told and word not in prepared.template.source:
                raise DataError(f"the template writes {word!r} into conversations, where a value is missing")


def nothing_is_in_both(prepared: Prepared) -> None:
    """No held-out example is learnt."""
    learnt = {example.ids.tobytes() for example in prepared.train}
    both = [example.place for example in prepared.held_out if example.ids.tobytes() in learnt]
    if both:
        raise DataError(
            f"{len(both):,} held-out examples are learnt too (the first: {both[0]}); their answers would show memory, "
            "not skill"
        )


def every_token_has_a_row(prepared: Prepared) -> None:
    """No token that is used has an embedding of zeros, which neither says nor learns anything (with tied weights)."""
    used = torch.zeros(len(prepared.embedding), dtype=torch.bool)
    for example in prepared.train:
        used[torch.from_numpy(example.ids)] = True
    norms = torch.linalg.vector_norm(prepared.embedding.float().cpu(), dim=1)
    bad = torch.nonzero(used & ~(norms > 0)).flatten().tolist()
    if bad:
        raise DataError(
            f"{len(bad)} tokens that the examples use have an embedding of zeros or no numbers (the first: {bad[0]}); "
            "the model was saved before they were trained"
        )


CHECKS: dict[str, Callable[[Prepared], None]] = {
    "few_left_out": few_left_out,
    "something_is_learnt": something_is_learnt,
    "prompts_are_not_learnt": prompts_are_not_learnt,
    "the_end_is_learnt": the_end_is_learnt,
    "one_beginning": one_beginning,
    "the_template_is_this_models": the_template_is_this_models,
    "nothing_is_in_both": nothing_is_in_both,
    "every_token_has_a_row": every_token_has_a_row,
}
