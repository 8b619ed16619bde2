"""Text that goes on from prompts: many at once, or one piece by piece."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from chainrule.base import ConfigError
from chainrule.generate.decode import Decoder
from chainrule.generate.healing import beginning_with
from chainrule.generate.prompts import batches, check_amount, encode_prompt, row_seeds
from chainrule.generate.rules import Rule
from chainrule.generate.text import TextStream
from chainrule.model import GPT, evaluating
from chainrule.tokenizer import Tokenizer

Finish = Literal["end", "stop", "length"]


@dataclass(frozen=True)
class Completion:
    """What the model wrote after a prompt, and why it ended: end of text, a stop string, or the length."""

    prompt: str
    text: str
    finish: Finish
    ids: tuple[int, ...]
    """The tokens that were drawn, end-of-text not among them; with a stop string their text goes past its beginning.

    Of a healed prompt they begin with its last bytes, which are in `prompt` and not in `text`.
    """
    n_cut: int = 0
    """Tokens of the prompt's beginning that the context had no room for, so that the model did not see them."""

    def __str__(self) -> str:
        """Prompt and text."""
        return self.prompt + self.text


def generate(
    model: GPT,
    tokenizer: Tokenizer,
    prompts: Sequence[str] | str,
    *,
    max_new_tokens: int = 200,
    rules: Sequence[Rule] = (),
    seed: int = 0,
    stop: Sequence[str] = (),
    heal: bool = False,
) -> list[Completion]:
    """A completion for each prompt (or the one that is given), in their order.

    A prompt's text does not depend on what stands beside it, but for rounding: a matrix product over more rows may add
    up in another order, and turn a choice between equals. Without rules each token is drawn from the model's own
    probabilities; `Temperature(0)` is greedy. Equal prompts get different texts (the second copy draws other numbers).
    An empty prompt is the beginning of a document. Past context_length the older half of the context is forgotten, and
    of a longer prompt the end is kept. With `heal` a prompt may end anywhere, also inside a word or after a space: its
    end is drawn again, among the tokens that begin with its bytes. Raises ModelError for ids beyond the vocabulary,
    ConfigError for a setting out of range.
    """
    _check(stop)
    prompts = [prompts] if isinstance(prompts, str) else prompts
    check_amount(model.config, len(prompts), max_new_tokens)
    texts = [_Text(model, tokenizer, prompt, max_new_tokens, stop, heal=heal) for prompt in prompts]
    seeds = row_seeds(prompts, seed)
    for rows in batches(model.config, [len(text.encoded.ids) for text in texts], max_new_tokens):
        with evaluating(model):
            batch = [texts[row] for row in rows]
            for step in _steps(model, tokenizer, batch, rules, [seeds[row] for row in rows]):
                for row, token in step.items():
                    batch[row].add(token)
                if all(text.finish for text in batch):
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
    heal: bool = False,
) -> Iterator[str]:
    """The text of `generate` for one prompt, in pieces of whole characters as soon as they are certain.

    Bad settings raise here, before the first piece is asked for.
    """
    _check(stop)
    check_amount(model.config, 1, max_new_tokens)
    text = _Text(model, tokenizer, prompt, max_new_tokens, stop, heal=heal)
    return _pieces(model, text, _steps(model, tokenizer, [text], rules, row_seeds([prompt], seed)))


def tokens_cut(model: GPT, tokenizer: Tokenizer, prompt: str) -> int:
    """How many tokens of the prompt's beginning the context has no room for."""
    return encode_prompt(model, tokenizer, prompt, heal=False).n_cut


def _steps(
    model: GPT, tokenizer: Tokenizer, batch: Sequence["_Text"], rules: Sequence[Rule], seeds: Sequence[int]
) -> Iterator[dict[int, int]]:
    """The new tokens of the batch, step by step, without an end; one more where a healed prompt's may add nothing."""
    longest = max(len(text.encoded.ids) for text in batch) + batch[0].most
    longest += any(text.encoded.owed for text in batch)
    decoder = Decoder(model, len(batch), longest, n_choices=tokenizer.vocab_size)
    for text, seed in zip(batch, seeds, strict=True):
        owed = text.encoded.owed
        among = beginning_with(tokenizer, owed) if owed else ()
        decoder.admit(text.encoded.ids, rules=rules, seed=seed, among=among)
    while True:
        yield decoder.step()


def _pieces(model: GPT, text: "_Text", steps: Iterator[dict[int, int]]) -> Iterator[str]:
    with evaluating(model):
        for step in steps:
            if piece := text.add(step[0]):
                yield piece
            if text.finish:
                return


class _Text:
    """One text while it grows."""

    def __init__(
        self, model: GPT, tokenizer: Tokenizer, prompt: str, most: int, stop: Sequence[str], *, heal: bool
    ) -> None:
        self.prompt = prompt
        self.encoded = encode_prompt(model, tokenizer, prompt, heal=heal)
        self._owed = self.encoded.owed
        self.ids: list[int] = []
        self.most = most
        self.finish: Finish | None = None
        self._n_new = 0
        self._tokenizer = tokenizer
        self._stream = TextStream(stop)
        self._pieces: list[str] = []

    def add(self, token: int) -> str:
        """Takes the next token, unless the text has ended; returns the piece of text that became certain."""
        if self.finish:
            return ""
        if token == self._tokenizer.end_of_text:
            return self._close("end")
        self.ids.append(token)
        content = self._tokenizer.token_bytes[token]
        new, self._owed = content.removeprefix(self._owed), b""
        self._n_new += len(self.ids) > 1 or not self.encoded.owed or bool(new)
        piece = self._stream.feed(new)
        self.finish = "stop" if self._stream.stopped else None
        self._pieces.append(piece)
        return piece + self._close("length") if not self.finish and self._n_new == self.most else piece

    def completion(self) -> Completion:
        """The text as it is, once it has ended."""
        assert self.finish, "a text is drawn to its end"
        return Completion(self.prompt, "".join(self._pieces), self.finish, tuple(self.ids), self.encoded.n_cut)

    def _close(self, finish: Finish) -> str:
        """Ends the text; returns what had been held back."""
        self.finish = finish
        self._pieces.append(self._stream.finish())
        return self._pieces[-1]


def _check(stop: Sequence[str]) -> None:
    if isinstance(stop, str) or not all(stop):
        raise ConfigError(f"stop={stop!r} must be a list of non-empty strings")
