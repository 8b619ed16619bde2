"""From a request to the texts that are to be written: prompts become ids, fields become rules, limits are checked."""

import hashlib
import secrets
import threading
from collections.abc import Sequence
from typing import Any

from chainrule.checkpoint import OpenedModel
from chainrule.serve.asked import MOST_TEXTS, ChatRequest, CompletionRequest, Writing
from chainrule.serve.constrain import Constraint, Grammars
from chainrule.serve.errors import ApiError
from chainrule.serve.rules import rules_of
from chainrule.serve.texts import Wanted

# What OpenAI writes when nothing is said of the length.
USUAL_NEW_TOKENS = 16
CONTEXT = "context_length_exceeded"


class Desk:
    """Reads requests for one model of the name `name`, whose texts have at most `max_length` tokens."""

    def __init__(self, opened: OpenedModel, name: str, max_length: int) -> None:
        self.opened, self.name, self.max_length = opened, name, max_length
        template = opened.template
        self.ends = frozenset({opened.tokenizer.end_of_text}) | (template.stop if template else frozenset())
        self._longest_token = max(1, int(opened.tokenizer.byte_lengths.max()))
        self._grammars: Grammars | None = None
        self._lock = threading.Lock()
        # Now, because the first text that is ever encoded costs 0.1 s of compiling expressions, and more when several
        # requests begin with it at once.
        opened.tokenizer.encode("a")

    def completion(self, asked: CompletionRequest) -> list[Wanted]:
        """The texts of a request for completions: prompt by prompt, all choices of each."""
        prompts = self._prompts(asked.prompt)
        echo, most = bool(asked.echo), USUAL_NEW_TOKENS if asked.max_tokens is None else asked.max_tokens
        if most == 0 and not echo:
            raise ApiError(400, "max_tokens: 0 without echo asks for nothing", param="max_tokens")
        return self._wanted(asked, prompts, most, n_top=asked.logprobs, echo=echo)

    def chat(self, asked: ChatRequest) -> list[Wanted]:
        """The texts of a request for a reply, all choices; a base model has no template and is refused."""
        template = self.opened.template
        if template is None:
            raise ApiError(
                400,
                f"{self.name} is a base model without a chat template: it goes on with texts and was never taught to "
                "answer. Use /v1/completions, or teach it first: chainrule finetune",
                param="messages",
                code="no_chat_template",
            )
        # What OpenAI calls developer since its reasoning models, all templates know as system.
        messages = [
            {"role": "system" if one.role == "developer" else one.role, "content": one.words} for one in asked.messages
        ]
        self._check_size(sum(len(one["content"].encode(errors="surrogatepass")) for one in messages), "messages")
        begun = messages.pop()["content"] if asked.continue_final_message else ""
        ids = template.encode(self.opened.tokenizer, messages, reply=True) + self.opened.tokenizer.encode(begun)
        most = asked.max_completion_tokens if asked.max_tokens is None else asked.max_tokens
        if most is None:
            self._check_room(len(ids), 1, "messages")
            most = self.max_length - len(ids)
        if most == 0:
            raise ApiError(400, "max_tokens: 0 asks for nothing; use at least 1", param="max_tokens")
        n_top = (asked.top_logprobs or 0) if asked.logprobs else None
        return self._wanted(asked, [ids], most, n_top=n_top, echo=False)

    def encode(self, text: str, param: str) -> list[int]:
        """The ids of a text, which is refused before it is read where it cannot fit."""
        self._check_size(len(text.encode(errors="surrogatepass")), param)
        return self.opened.tokenizer.encode(text)

    def _prompts(self, given: Any) -> list[list[int]]:
        """Ids of each prompt; the empty text is the beginning of a document."""
        if isinstance(given, str) or isinstance(given[0], int):
            given = [given]
        found = [self.encode(one, "prompt") if isinstance(one, str) else one for one in given]
        found = [ids or [self.opened.tokenizer.end_of_text] for ids in found]
        n_entries = self.opened.tokenizer.vocab_size
        outside = next((token for ids in found for token in ids if token >= n_entries), None)
        if outside is not None:
            raise ApiError(400, f"the id {outside} is not in the vocabulary of {n_entries} tokens", param="prompt")
        return found

    def _wanted(
        self, asked: Writing, prompts: Sequence[list[int]], most: int, *, n_top: int | None, echo: bool
    ) -> list[Wanted]:
        n = asked.n or 1
        if len(prompts) * n > MOST_TEXTS:
            raise ApiError(400, f"{len(prompts)} prompts times n={n} are more than {MOST_TEXTS} texts", param="n")
        for ids in prompts:
            self._check_room(len(ids), most, "prompt")
        self._check_biases(asked)
        ends = frozenset() if asked.ignore_eos else self.ends
        first = secrets.randbits(53) if asked.seed is None else asked.seed
        return [
            Wanted(
                tuple(ids),
                most,
                rules_of(asked, len(ids)),
                _seed(first, place * n + choice),
                asked.stops,
                ends,
                n_top,
                echo,
                self._constraint(asked, len(ids)),
            )
            for place, ids in enumerate(prompts)
            for choice in range(n)
        ]

    def _constraint(self, asked: Writing, n_prompt: int) -> Constraint | None:
        form = asked.response_format
        if form is None or form.type == "text":
            return None
        if asked.ignore_eos:
            raise ApiError(400, "response_format ends its texts itself; leave ignore_eos out", param="ignore_eos")
        if (form.type == "json_schema") != (form.json_schema is not None):
            raise ApiError(
                400, "json_schema has to be given with type json_schema, and only then", param="response_format"
            )
        with self._lock:
            self._grammars = self._grammars or Grammars(self.opened.tokenizer, self.ends)
        return self._grammars.constraint(form.json_schema.content if form.json_schema else None, n_prompt)

    def _check_biases(self, asked: Writing) -> None:
        n_entries = self.opened.tokenizer.vocab_size
        for word in asked.logit_bias or ():
            if int(word) >= n_entries:
                raise ApiError(400, f"the id {word} is not in the vocabulary of {n_entries} tokens", param="logit_bias")

    def _check_size(self, n_bytes: int, param: str) -> None:
        """Raises ApiError for a text that is too long whatever its tokens are, before time is spent on it."""
        if n_bytes > self.max_length * self._longest_token:
            raise ApiError(
                400, f"a text of {n_bytes:,} bytes is longer than {self.max_length} tokens", param=param, code=CONTEXT
            )

    def _check_room(self, n_prompt: int, n_new: int, param: str) -> None:
        if n_prompt + n_new > self.max_length:
            raise ApiError(
                400,
                f"{n_prompt} tokens of the prompt and {n_new} of the answer are more than the {self.max_length} of "
                "prompt and answer together; shorten the prompt, or ask for fewer tokens",
                param=param,
                code=CONTEXT,
            )


def _seed(first: int, number: int) -> int:
    """A seed for each text of a request, which depends on nothing else."""
    return int.from_bytes(hashlib.sha256(f"{first} {number}".encode()).digest()[:7])
