"""What is sent back: OpenAI's objects for completions and chat, whole or in pieces."""

import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.serve.texts import Piece, Scored, Wanted
from chainrule.serve.words import Words
from chainrule.serve.written import written

DONE = b"data: [DONE]\n\n"


@dataclass
class Tally:
    """All pieces of one text, put together."""

    text: str = ""
    tokens: list[Scored] = field(default_factory=list)
    finish: str | None = None
    n_new: int = 0
    n_reused: int = 0

    def add(self, piece: Piece) -> None:
        """The next piece."""
        self.text += piece.text
        self.tokens += piece.tokens
        self.finish, self.n_new, self.n_reused = piece.finish, piece.n_new, piece.n_reused


@dataclass(frozen=True)
class Shape:
    """One of the two interfaces, for one request: how its answers look."""

    chat: bool
    model: str
    words: Words
    wanted: tuple[Wanted, ...]
    n_choices: int
    usage: bool = False
    ids: bool = False
    """Whether ids of tokens are told, too."""
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, tallies: Sequence[Tally]) -> bytes:
        """The answer that is sent at once.

        Choice by choice: log-probabilities of 256 prompts are tens of megabytes, and nothing else in this process runs
        while one call of the encoder does.
        """
        head, used = {**self._head(piece=False), **self._asked_ids()}, self.used(tallies)
        choices = b",".join(written(self._choice(index, tally)) for index, tally in enumerate(tallies))
        return b"".join((written(head)[:-1], b',"choices":[', choices, b'],"usage":', written(used), b"}"))

    def used(self, tallies: Sequence[Tally]) -> dict[str, Any]:
        """Tokens of prompts (each counted once, whatever the number of choices) and of answers."""
        n_prompt = sum(len(one.ids) for one in self.wanted[:: self.n_choices])
        n_reused = sum(tally.n_reused for tally in tallies[:: self.n_choices])
        n_new = sum(tally.n_new for tally in tallies)
        return {
            "prompt_tokens": n_prompt,
            "completion_tokens": n_new,
            "total_tokens": n_prompt + n_new,
            "prompt_tokens_details": {"cached_tokens": n_reused},
        }

    async def pieces(self, pieces: AsyncIterator[Piece]) -> AsyncIterator[bytes]:
        """The same as server-sent events, as it comes."""
        tallies = [Tally() for _ in self.wanted]
        if self.chat:
            for index in range(len(tallies)):
                role = self._delta(index, {"role": "assistant", "content": ""}, None, None)
                yield self._event([role], more=self._asked_ids())
        elif self.wanted[0].echo and self.wanted[0].n_top is None:
            for index, one in enumerate(self.wanted):
                yield self._event([self._part(index, self._prompt(one), None, None)])
        async for piece in pieces:
            scored = self.wanted[piece.index].n_top is not None
            logprobs = self._logprobs(piece.index, piece.tokens, tallies[piece.index]) if scored else None
            echoed = self._prompt(self.wanted[piece.index]) if scored and not tallies[piece.index].tokens else ""
            tallies[piece.index].add(piece)
            if piece.text or echoed or piece.finish or scored or self.ids:
                choice = self._streamed(piece, echoed + piece.text, logprobs)
                first = len(tallies[piece.index].tokens) == len(piece.tokens)
                yield self._event([choice | self._ids(piece.index, piece.tokens, first=first)])
        if self.usage:
            yield self._event([], self.used(tallies))
        yield DONE

    def _head(self, *, piece: bool) -> dict[str, Any]:
        kind = ("chat.completion.chunk" if piece else "chat.completion") if self.chat else "text_completion"
        prefix = "chatcmpl" if self.chat else "cmpl"
        return {"id": f"{prefix}-{self.id}", "object": kind, "created": self.created, "model": self.model}

    def _choice(self, index: int, tally: Tally) -> dict[str, Any]:
        wanted = self.wanted[index]
        logprobs = self._logprobs(index, tally.tokens, Tally()) if wanted.n_top is not None else None
        ids = self._ids(index, tally.tokens, first=True)
        if not self.chat:
            return self._part(index, self._prompt(wanted) + tally.text, logprobs, tally.finish) | ids
        message = {"role": "assistant", "content": tally.text, "refusal": None}
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": tally.finish} | ids

    def _streamed(self, piece: Piece, text: str, logprobs: dict[str, Any] | None) -> dict[str, Any]:
        if not self.chat:
            return self._part(piece.index, text, logprobs, piece.finish)
        return self._delta(piece.index, {"content": text} if text else {}, logprobs, piece.finish)

    def _prompt(self, wanted: Wanted) -> str:
        """The prompt again, where the answer begins with it."""
        if not wanted.echo:
            return ""
        return b"".join(map(self.words.content, wanted.ids)).decode("utf-8", errors="replace")

    def _asked_ids(self) -> dict[str, Any]:
        """Of a conversation, whose ids stand beside the choices; of prompts they stand in them."""
        return {"prompt_token_ids": list(self.wanted[0].ids)} if self.ids and self.chat else {}

    def _ids(self, index: int, tokens: Sequence[Scored], *, first: bool) -> dict[str, Any]:
        if not self.ids:
            return {}
        asked = {"prompt_token_ids": list(self.wanted[index].ids)} if first and not self.chat else {}
        return {"token_ids": [one.id for one in tokens], **asked}

    def _logprobs(self, index: int, tokens: Sequence[Scored], before: Tally) -> dict[str, Any]:
        if self.chat:
            return self.words.chat(tokens)
        written = sum(len(self.words.content(one.id).decode("utf-8", errors="ignore")) for one in before.tokens)
        return self.words.legacy(tokens, written)

    @staticmethod
    def _part(index: int, text: str, logprobs: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}

    @staticmethod
    def _delta(
        index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None, finish: str | None
    ) -> dict[str, Any]:
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}

    def _event(
        self, choices: list[dict[str, Any]], used: dict[str, Any] | None = None, more: Mapping[str, Any] | None = None
    ) -> bytes:
        content = {**self._head(piece=True), **(more or {}), "choices": choices}
        if self.usage:
            content["usage"] = used
        return event(content)


def event(content: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + written(content) + b"\n\n"
