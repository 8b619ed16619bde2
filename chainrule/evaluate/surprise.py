"""Stretches of held-out text, piece by piece, with how surprising each piece was: which words are hard."""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from chainrule.data import TokenStore
from chainrule.evaluate.scoring import Scoring, looking
from chainrule.model import GPT, evaluating
from chainrule.tokenizer import Tokenizer

# As much as a person reads: so many tokens of all stretches together, and of one.
ALL_TOKENS, STRETCH_TOKENS, MOST_STRETCHES = 768, 192, 8


@dataclass(frozen=True)
class Stretch:
    """Text in pieces, each a token, or the few that make a character together; `nats` is what each cost."""

    pieces: tuple[str, ...]
    nats: tuple[float, ...]
    source: str


def surprises(model: GPT, store: TokenStore, tokenizer: Tokenizer, scoring: Scoring) -> list[Stretch]:
    """Evenly spread stretches of the store, each with at least half a window before it to look back on.

    Nothing for a text below two tokens.
    """
    length = min(model.config.context_length, scoring.window or model.config.context_length, store.n_tokens - 1)
    if length < 1:
        return []
    shown = min(STRETCH_TOKENS, -(-length // 2))
    count = max(1, min(MOST_STRETCHES, ALL_TOKENS // shown, store.n_tokens // (length + 1)))
    starts = np.unique(np.linspace(0, store.n_tokens - length - 1, count + 2).astype(np.int64)[1:-1])
    device = model.token_embedding.weight.device
    ids = store.gather(starts, length + 1)
    numbers = torch.from_numpy(store.document_ids(starts, length)).to(device) if scoring.documents else None
    read = torch.from_numpy(ids).to(device)
    with evaluating(model), looking(device, scoring.autocast):
        losses = model.token_losses(read[:, :-1], read[:, 1:], numbers).cpu().double().numpy()
    found = []
    for row, nats, start in zip(ids[:, -shown:].tolist(), losses[:, -shown:].tolist(), starts.tolist(), strict=True):
        pieces = list(_pieces(row, nats, tokenizer))
        source = store.document_at(start + length + 1 - shown)[1]
        texts, costs = zip(*pieces, strict=True)
        found.append(Stretch(texts, costs, source))
    return found


def _pieces(ids: Sequence[int], nats: Sequence[float], tokenizer: Tokenizer) -> Iterator[tuple[str, float]]:
    """Each token's text and nats; tokens that are parts of one character are one piece."""
    words = {number: word for word, number in tokenizer.control_tokens.items()}
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text, cost = "", 0.0
    for number, surprise in zip(ids, nats, strict=True):
        text += decoder.decode(tokenizer.token_bytes[number]) + words.get(number, "")
        cost += surprise
        if not decoder.getstate()[0]:
            yield text, round(cost, 3)
            text, cost = "", 0.0
    if text or cost:
        yield text + decoder.decode(b"", final=True), round(cost, 3)
