"""Tokens as clients see them, and log-probabilities in OpenAI's two shapes."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from chainrule.serve.texts import Scored
from chainrule.tokenizer import Tokenizer


class Words:
    """What a vocabulary's tokens are called in JSON."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def _control(self) -> dict[int, str]:
        return {number: word for word, number in self._tokenizer.control_tokens.items()}

    @property
    def end_of_text(self) -> str:
        """The word of the token that ends documents."""
        return self._control[self._tokenizer.end_of_text]

    def content(self, token: int) -> bytes:
        """A token's bytes; none for control tokens and for a model's rows without an entry."""
        return self._tokenizer.token_bytes[token] if token < self._tokenizer.vocab_size else b""

    def word(self, token: int) -> str:
        r"""A token's text; `bytes:\xe2\x80` for a part of a character, its name for a control token."""
        content = self.content(token)
        if not content:
            return self._control.get(token, f"<|{token}|>")
        try:
            return content.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in content)

    def legacy(self, tokens: Sequence[Scored], offset: int = 0) -> dict[str, Any]:
        """Four lists, as /v1/completions has them; offsets count characters from `offset`."""
        offsets, place = [], offset
        for one in tokens:
            offsets.append(place)
            place += len(self.content(one.id).decode("utf-8", errors="ignore"))
        return {
            "tokens": [self.word(one.id) for one in tokens],
            "token_logprobs": [one.logprob for one in tokens],
            "top_logprobs": [self._top(one) for one in tokens],
            "text_offset": offsets,
        }

    def chat(self, tokens: Sequence[Scored]) -> dict[str, Any]:
        """An object for each token, as /v1/chat/completions has them."""
        content = [
            {**self._one(one.id, one.logprob), "top_logprobs": [self._one(*pair) for pair in one.top]} for one in tokens
        ]
        return {"content": content, "refusal": None}

    def _top(self, one: Scored) -> dict[str, float] | None:
        """The likeliest tokens and the token itself; of two that look alike the likelier counts."""
        if one.logprob is None:
            return None
        found: dict[str, float] = {}
        for token, logprob in (*one.top, (one.id, one.logprob)):
            found.setdefault(self.word(token), logprob)
        return found

    def _one(self, token: int, logprob: float | None) -> dict[str, Any]:
        return {"token": self.word(token), "logprob": logprob, "bytes": list(self.content(token))}
