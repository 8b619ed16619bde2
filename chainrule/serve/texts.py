"""One text while it is written: what was asked for, and what each new token makes certain."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.generate import Rule, TextStream
from chainrule.serve.constrain import Constraint
from chainrule.tokenizer import Tokenizer

Finish = Literal["stop", "length"]
# JSON has no infinity; this is what OpenAI gives for a token that cannot be.
NEVER_LOGPROB = -9999.0


@dataclass(frozen=True)
class Wanted:
    """A text that is asked for; `n_top` is None where nobody wants log-probabilities."""

    ids: tuple[int, ...]
    max_new: int
    rules: tuple[Rule, ...]
    seed: int
    stop: tuple[str, ...]
    ends: frozenset[int]
    n_top: int | None = None
    echo: bool = False
    constraint: Constraint | None = None


@dataclass(frozen=True)
class Scored:
    """A token and its log-probability by the model itself, before any rule, with those of the likeliest.

    The first token of a text has none. The token's own is the same number as where it stands among `top`.
    """

    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """What became certain of text number `index`: characters, tokens, and, last of all, why it ended."""

    index: int
    text: str = ""
    tokens: tuple[Scored, ...] = ()
    finish: Finish | None = None
    n_new: int = 0
    n_reused: int = 0


@dataclass(frozen=True)
class Failed:
    """A request that cannot be answered any more; the message is for its client."""

    status: int
    message: str


Tell = Callable[[Piece | Failed], None]


@dataclass
class Job:
    """A request in the worker: its texts, whom to tell, and whether anybody still listens."""

    wanted: tuple[Wanted, ...]
    tell: Tell
    model: str = ""
    """The name of the model that writes."""
    gone: bool = False
    asked_at: float = field(default_factory=time.perf_counter)


class Text:
    """A text under way; fed with scores and tokens by the worker alone."""

    def __init__(self, job: Job, index: int, tokenizer: Tokenizer) -> None:
        self.job, self.index, self.wanted = job, index, job.wanted[index]
        self.n_new, self.n_reused = 0, 0
        self._tokenizer = tokenizer
        self._stream = TextStream(self.wanted.stop)
        self._prompt: list[Scored] = [Scored(self.wanted.ids[0])]
        self._last: Tensor | None = None

    @property
    def is_echoed_with_scores(self) -> bool:
        """Whether the log-probabilities of its prompt are asked for: then all of it has to be read."""
        return self.wanted.echo and self.wanted.n_top is not None

    def share_prompt(self, other: "Text") -> None:
        """Takes the log-probabilities of the prompt from another text with the same one."""
        self._prompt = other._prompt

    def hear(self, place: int, scores: Float[Tensor, "T V"]) -> None:
        """Scores behind places of the text: those of the prompt become its log-probabilities."""
        ids = self.wanted.ids
        for one in scores:
            place += 1
            # One vector at a time: its bits then do not depend on how many are told together.
            if place < len(ids):
                if self.wanted.echo:
                    self._prompt.append(self._scored(ids[place], one.log_softmax(-1)))
            else:
                self._last = one.log_softmax(-1)

    def take(self, token: int) -> Piece:
        """The next token; the piece that it makes certain."""
        first, self.n_new = not self.n_new, self.n_new + 1
        wanted, scored = self.wanted, self._with_score(token)
        told = (*self._prompt, scored) if first and wanted.echo else (scored,)
        if wanted.max_new == 0:
            self.n_new = 0
            return self._piece("", told[:-1], "length")
        if token in wanted.ends:
            return self._piece(self._stream.finish(), told, "stop")
        text = self._stream.feed(self._tokenizer.token_bytes[token] if token < self._tokenizer.vocab_size else b"")
        if self._stream.stopped:
            return self._piece(text, told, "stop")
        if self.n_new == wanted.max_new:
            return self._piece(text + self._stream.finish(), told, "length")
        return self._piece(text, told, None)

    def _with_score(self, token: int) -> Scored:
        return Scored(token) if self._last is None else self._scored(token, self._last)

    def _scored(self, token: int, logprobs: Float[Tensor, " V"]) -> Scored:
        n_top = min(self.wanted.n_top or 0, len(logprobs))
        values, places = torch.topk(logprobs, n_top)
        top = tuple(zip(places.tolist(), map(_written, values.tolist()), strict=True))
        return Scored(token, _written(float(logprobs[token])), top)

    def _piece(self, text: str, tokens: tuple[Scored, ...], finish: Finish | None) -> Piece:
        return Piece(self.index, text, tokens, finish, self.n_new, self.n_reused)


def _written(logprob: float) -> float:
    return max(logprob, NEVER_LOGPROB)
