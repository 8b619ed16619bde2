"""One text after another, each read only from where it departs from the last: how a talk of many turns goes on."""

import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal

from chainrule.generate.decode import Decoder
from chainrule.generate.reading import Prefix
from chainrule.generate.rules import Rule
from chainrule.generate.text import TextStream
from chainrule.model import GPT
from chainrule.tokenizer import Tokenizer

Ended = Literal["end", "length", "interrupted"]


@dataclass(frozen=True)
class Asked:
    """What the model goes on from, how it chooses, and the ids after which it has finished."""

    ids: tuple[int, ...]
    rules: tuple[Rule, ...]
    seed: int
    n_most: int
    stop: frozenset[int]
    among: tuple[int, ...] = ()
    owed: bytes = b""
    """With `among`, the tokens that begin with these bytes: the end of a prompt that was taken back (see `healing`)."""


@dataclass(frozen=True)
class Turn:
    """What was written, why it ended ("length": `n_most` tokens; "interrupted": nobody asked for more), and the cost.

    Of `n_asked` tokens that were to be gone on from the model read `n_read`; the others were in the cache.
    """

    text: str
    ended: Ended
    n_asked: int
    n_read: int
    n_written: int
    first_seconds: float
    """Until the first token was there, which is the reading."""
    seconds: float

    def speed(self) -> str:
        """Both speeds in one line."""
        rest = max(self.seconds - self.first_seconds, 1e-9)
        read = f"{self.n_read:,} of {self.n_asked:,} tokens read in {self.first_seconds:.2f} s"
        if self.n_written < 2:
            return f"{read}; {self.n_written} written"
        # The first comes out of the reading.
        return f"{read}; {self.n_written:,} written, {(self.n_written - 1) / rest:.1f} tokens/s"


class Following:
    """Writes texts one by one; what a text shares with the beginning of the last one is not read again."""

    def __init__(self, model: GPT, tokenizer: Tokenizer) -> None:
        self.ids: tuple[int, ...] = ()
        """All ids of the last text, those that were written and that which ended it among them."""
        self.last: Turn | None = None
        self._model, self._tokenizer = model, tokenizer
        self._prefix: Prefix | None = None

    def write(self, asked: Asked) -> Generator[str, None, None]:
        """The text after `asked.ids`, in pieces; whoever stops asking, or a Ctrl-C, ends it, and nothing is lost."""
        # A decoder for each text: its cache is as long as this text can become, and one that a Ctrl-C tore out of its
        # work is never used again. Handing the prefix over is a copy, thousands of times faster than reading it.
        started, self.last = time.perf_counter(), None
        longest = len(asked.ids) + asked.n_most + bool(asked.owed)
        decoder = Decoder(self._model, 1, longest, n_choices=self._tokenizer.vocab_size)
        row = decoder.admit(
            asked.ids, rules=asked.rules, seed=asked.seed, among=asked.among, prefix=self._prefix_of(asked.ids)
        )
        n_shared = self._prefix.n_shared(asked.ids) if self._prefix else 0
        growing = _Growing(asked, self._tokenizer)
        first = None
        try:
            while not growing.ended:
                token = decoder.step()[row]
                first = first or time.perf_counter()
                if piece := growing.add(token):
                    yield piece
        finally:
            now = time.perf_counter()
            # First of all what was said; a second Ctrl-C may come while the cache is copied.
            self._prefix, self.ids = None, (*asked.ids, *growing.drawn)
            n_read = len(asked.ids) - n_shared if first else 0
            self.last = growing.turn(n_read, (first or now) - started, now - started)
            if first and not sys.is_finalizing():  # a text that nobody finished may end with the program
                self._prefix = decoder.kept(row)

    def _prefix_of(self, ids: Sequence[int]) -> Prefix | None:
        return self._prefix if self._prefix and self._prefix.n_shared(ids) else None


class _Growing:
    """A text while it is drawn."""

    def __init__(self, asked: Asked, tokenizer: Tokenizer) -> None:
        self.drawn: list[int] = []
        self.ended: Ended | None = None
        self._asked, self._spelled = asked, tokenizer.token_bytes
        self._owed, self._n_new = asked.owed, 0
        self._stream = TextStream()
        self._pieces: list[str] = []

    def add(self, token: int) -> str:
        """Takes the next token; returns what became certain of the text."""
        self.drawn.append(token)
        if token in self._asked.stop:
            return self._close("end")
        new, self._owed = self._spelled[token].removeprefix(self._owed), b""
        self._n_new += len(self.drawn) > 1 or not self._asked.owed or bool(new)  # a healed prompt's may add nothing
        piece = self._stream.feed(new)
        self._pieces.append(piece)
        return piece + self._close("length") if self._n_new == self._asked.n_most else piece

    def turn(self, n_read: int, first_seconds: float, seconds: float) -> Turn:
        ended = self.ended or "interrupted"
        text = "".join(self._pieces)
        return Turn(text, ended, len(self._asked.ids), n_read, len(self.drawn), first_seconds, seconds)

    def _close(self, ended: Ended) -> str:
        self.ended = ended
        self._pieces.append(self._stream.finish())
        return self._pieces[-1]


def in_own_tokens(known: Sequence[int], wanted: Sequence[int], spelled: Sequence[bytes]) -> list[int]:
    """`wanted`, with the tokens of `known` as far as both spell the same.

    A model may write a word in other tokens than the tokenizer would. Where a conversation is encoded anew, this keeps
    what it wrote, so that it is what the model has in its cache. A control token (no bytes) equals itself alone.
    """
    left = right = 0
    while True:
        while left < len(known) and right < len(wanted) and known[left] == wanted[right]:
            left, right = left + 1, right + 1
        if (border := _common_border(known, left, wanted, right, spelled)) is None:
            return [*known[:left], *wanted[right:]]
        left, right = border


def _common_border(
    known: Sequence[int], left: int, wanted: Sequence[int], right: int, spelled: Sequence[bytes]
) -> tuple[int, int] | None:
    """The next places at which both have spelled the same bytes since `left` and `right`; None where they differ."""
    one = other = b""
    while True:
        shorter, place = (known, left) if len(one) <= len(other) else (wanted, right)
        if place == len(shorter) or not (content := spelled[shorter[place]]):
            return None
        if shorter is known:
            one, left = one + content, left + 1
        else:
            other, right = other + content, right + 1
        if one == other:
            return left, right
        if not (one.startswith(other) or other.startswith(one)):
            return None
