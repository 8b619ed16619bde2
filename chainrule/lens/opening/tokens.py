"""The last token of a text that a person writes, before a model that has a tokenizer."""

from dataclasses import replace

from chainrule.base import LensError
from chainrule.checkpoint import OpenedModel, open_model
from chainrule.lens.ledgers import TokenLook
from chainrule.lens.opening.one_token import look_at_token, subject_of_token
from chainrule.lens.tape import Subject
from chainrule.run import model_source


def open_text(what: str, text: str) -> tuple[OpenedModel, list[int]]:
    """A model by what a person calls it, and the ids of the text for it; a text of one token begins a document.

    Raises LensError for the empty text, CheckpointError or RunError for what is no model.
    """
    opened = open_model(model_source(what))
    ids = opened.tokenizer.encode(text)
    if not ids:
        raise LensError("the text is empty; give one whose last token is to be looked at")
    return opened, ids if len(ids) > 1 else [opened.tokenizer.end_of_text, *ids]


def token_subject(what: str, text: str) -> Subject:
    """The loss of the text's last token, ready to record."""
    opened, ids = open_text(what, text)
    return subject_of_token(opened.model, ids)


def token_look(what: str, text: str) -> TokenLook:
    """What the probability of the text's last token hangs on."""
    opened, ids = open_text(what, text)
    control = {number: word for word, number in opened.tokenizer.control_tokens.items()}
    words = tuple(control.get(one) or opened.tokenizer.decode([one]) for one in ids)
    return replace(look_at_token(opened.model, ids), words=words)
