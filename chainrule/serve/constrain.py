"""Answers that have to be JSON, or to fit a schema: the door of llguidance.

What cannot be compiled is refused: a schema that is accepted and not enforced is worse than none (llama.cpp issues
19051 and 21537). Of the engines compared in jsonschemabench (pull request 15) llguidance let no wrong answer pass.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.base import ConfigError, MissingPackageError
from chainrule.tokenizer import Tokenizer

SCHEMA_BYTES = 64 * 2**10
ANY_OBJECT = {"type": "object"}
# A schema can bring settings of the engine; these have the last word. Small models that are free to write white space
# write nothing else.
STRICTLY = {"lenient": False, "whitespace_flexible": False}


class Grammars:
    """Compiles schemas for one vocabulary; `ends` are the tokens that end a text."""

    def __init__(self, tokenizer: Tokenizer, ends: frozenset[int]) -> None:
        try:
            # Here and not at the top: an extra that a server without response_format does not need.
            import llguidance
        except ImportError:
            raise MissingPackageError("response_format", "llguidance", "constrained") from None
        self._engine: Any = llguidance
        self.end = min(ends)
        self._vocabulary = self._engine.LLTokenizer(
            self._engine.TokenizerWrapper(_Vocabulary(tokenizer, self.end)), eos_token=sorted(ends)
        )

    def constraint(self, schema: Mapping[str, Any] | None, n_prompt: int) -> "Constraint":
        """A rule that lets a text be JSON of `schema`, or any object. Raises ConfigError for what is not enforced."""
        content = json.dumps(ANY_OBJECT if schema is None else schema)
        if len(content) > SCHEMA_BYTES:
            raise ConfigError(f"the schema is longer than {SCHEMA_BYTES:,} bytes")
        try:
            grammar = self._engine.LLMatcher.grammar_from_json_schema(content, overrides=STRICTLY)
        except ValueError as fault:
            raise ConfigError(f"the schema cannot be compiled: {str(fault)[:500]}") from None
        wrong, told = self._engine.LLMatcher.validate_grammar_with_warnings(grammar, self._vocabulary)
        if wrong or told:
            raise ConfigError(f"the schema cannot be enforced: {'; '.join(told)[:500]}")
        matcher = self._engine.LLMatcher(self._vocabulary, grammar, log_level=0)
        if matcher.is_error():
            raise ConfigError(f"the schema cannot be compiled: {matcher.get_error()[:500]}")
        return Constraint(matcher, self.end, n_prompt)


class Constraint:
    """A sampling rule of one text, which follows it token by token: what the grammar does not allow is never."""

    def __init__(self, matcher: Any, end: int, n_prompt: int) -> None:
        self._matcher, self._end, self._read = matcher, end, n_prompt

    def apply(self, logits: Float[Tensor, "B V"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """The scores of what is allowed; only the end is, once the text is complete."""
        new = ids[0, self._read :].tolist()
        self._read = ids.shape[1]
        if new:
            self._matcher.consume_tokens(new)
        if self.fault:
            return logits
        if self._matcher.is_stopped():
            allowed = torch.zeros(logits.shape[-1], dtype=torch.bool)
            allowed[self._end] = True
        else:
            bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), np.uint8), bitorder="little")
            allowed = torch.zeros(logits.shape[-1], dtype=torch.bool)
            known = min(len(bits), len(allowed))
            allowed[:known] = torch.from_numpy(bits[:known].astype(bool))
        return logits.masked_fill(~allowed, float("-inf"))

    @property
    def fault(self) -> str:
        """Why the grammar can no longer be followed; empty while it can."""
        return str(self._matcher.get_error())[:500] if self._matcher.is_error() else ""


class _Vocabulary:
    """A tokenizer as llguidance asks for one; control tokens begin with 0xFF, which no text has."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, end: int) -> None:
        words = {number: word for word, number in tokenizer.control_tokens.items()}
        self.eos_token_id = end
        self.tokens = [
            content or b"\xff" + words.get(number, f"<{number}>").encode()
            for number, content in enumerate(tokenizer.token_bytes)
        ]
        self.special_token_ids = sorted(words)
        self._tokenizer = tokenizer

    def __call__(self, content: bytes) -> list[int]:
        return self._tokenizer.encode_bytes(content)
