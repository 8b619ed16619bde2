"""Text that goes on from prompts: many at once, or one piece by piece."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from chainrule.base import ConfigError
from chainrule.generate.decode import decode
from chainrule.generate.prompts import batches, encode_prompt, row_seeds
from chainrule.generate.rules import Rule
from chainrule.generate.text import TextStream
from chainrule.model import GPT
from chainrule.tokenizer import Tokenizer

Finish = Literal["end", "stop", "length"]


@dataclass(frozen=True)
class Completion:
    """What the model wrote after a prompt, and why it ended: end of text, a stop string, or the length."""

    prompt: str
    text: str
    finish: Finish
    ids: tuple[int, ...]
    """The tokens that were drawn, end-of-text not among them; with a stop string their text goes past its beginning."""


def generate(
    model: GPT,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 200,
    rules: Sequence[Rule] = (),
    seed: int = 0,
    stop: Sequence[str] = (),
) -> list[Completion]:
    """A completion for each prompt, in their order; a prompt's text does not depend on what stands beside it.

    (But for rounding: a matrix product over more rows may add up in another order, and turn a choice between equals.)
    Without rules each token is drawn from the model's own probabilities; `Temperature(0)` is greedy. Equal prompts get
    different texts (the second copy draws other numbers). An empty prompt is the beginning of a document. Past
    context_length the older half of the context is forgotten. Raises ModelError for a prompt longer than the context or
    with ids beyond the vocabulary, ConfigError for a setting out of range.
    """
    texts = [_Text(model, tokenizer, prompt, stop) for prompt in prompts]
    seeds = row_seeds(prompts, seed)
    _check(max_new_tokens, stop)
    for rows in batches([len(text.prompt_ids) for text in texts]):
        with _evaluating(model):
            batch = [texts[row] for row in rows]
            for step in decode(
                model,
                [text.prompt_ids for text in batch],
                rules=rules,
                seeds=[seeds[row] for row in rows],
                max_new_tokens=max_new_tokens,
                n_choices=tokenizer.vocab_size,
            ):
                for row, token in step.items():
                    batch[row].add(token)
                if all(text.done(max_new_tokens) for text in batch):
                    break
    return [text.completion() for text in texts]


def stream(
    model: GPT,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    max_new_tokens: int = 200,
    rules: Sequence[Rule] = (),
    seed: int = 0,
    stop: Sequence[str] = (),
) -> Iterator[str]:
    """The text of `generate` for one prompt, in pieces of whole characters as soon as they are certain.

    Bad settings raise here, before the first piece is asked for.
    """
    text = _Text(model, tokenizer, prompt, stop)
    _check(max_new_tokens, stop)
    steps = decode(
        model,
        [text.prompt_ids],
        rules=rules,
        seeds=row_seeds([prompt], seed),
        max_new_tokens=max_new_tokens,
        n_choices=tokenizer.vocab_size,
    )
    return _pieces(model, text, steps)


def _pieces(model: GPT, text: "_Text", steps: Iterator[dict[int, int]]) -> Iterator[str]:
    with _evaluating(model):
        for step in steps:
            if piece := text.add(step[0]):
                yield piece
            if text.finish:
                return
        if piece := text.close():
            yield piece


class _Text:
    """One text while it grows."""

    def __init__(self, model: GPT, tokenizer: Tokenizer, prompt: str, stop: Sequence[str]) -> None:
        self.prompt = prompt
        self.prompt_ids = encode_prompt(model, tokenizer, prompt)
        self.ids: list[int] = []
        self.finish: Finish | None = None
        self._tokenizer = tokenizer
        self._stream = TextStream(stop)
        self._pieces: list[str] = []

    def add(self, token: int) -> str:
        """Takes the next token, unless the text has ended; returns the piece of text that became certain."""
        if self.finish:
            return ""
        if token == self._tokenizer.end_of_text:
            return self.close("end")
        self.ids.append(token)
        piece = self._stream.feed(self._tokenizer.token_bytes[token])
        self.finish = "stop" if self._stream.stopped else None
        self._pieces.append(piece)
        return piece

    def close(self, finish: Finish = "length") -> str:
        """Ends the text; returns what had been held back."""
        self.finish = finish
        self._pieces.append(self._stream.finish())
        return self._pieces[-1]

    def done(self, max_new_tokens: int) -> bool:
        return self.finish is not None or len(self.ids) >= max_new_tokens

    def completion(self) -> Completion:
        if not self.finish:
            self.close()
        assert self.finish
        return Completion(self.prompt, "".join(self._pieces), self.finish, tuple(self.ids))


@contextmanager
def _evaluating(model: GPT) -> Iterator[None]:
    """Dropout is off inside; a model in training goes on training afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _check(max_new_tokens: int, stop: Sequence[str]) -> None:
    if max_new_tokens < 1:
        raise ConfigError(f"max_new_tokens={max_new_tokens} writes nothing; use at least 1")
    if isinstance(stop, str) or not all(stop):
        raise ConfigError(f"stop={stop!r} must be a list of non-empty strings")
