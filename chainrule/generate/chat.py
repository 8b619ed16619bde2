"""A conversation with a model that has a chat template: what was said, what the model is shown of it, and its answers.

The whole conversation is rendered anew for every answer by the template that training used, so what the model reads is
what it learnt to read; of that, only what the cache does not hold yet costs anything.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chainrule.base import ConfigError, ModelError
from chainrule.checkpoint import OpenedModel
from chainrule.generate.following import Asked, Following, Turn, in_own_tokens
from chainrule.generate.prompts import check_amount, numbered_seed
from chainrule.generate.rules import Rule, sampling_rules
from chainrule.generate.usual import usual_rules
from chainrule.tokenizer import Message

# What SmolLM2's card recommends for its instructed models (with top-p 0.9, here min-p 0.05, which does the like).
CHAT_TEMPERATURE = 0.2
# Of the context at most this share is kept free for an answer; and when the oldest turns go, so many go that half of
# the context is free: each time the beginning changes all of the rest is read again, so it should happen rarely.
ANSWER_SHARE, KEPT_SHARE = 4, 2


@dataclass(frozen=True)
class ChatSettings:
    """How it is written: the temperature (None: usual for the model), most tokens of an answer, the seed, …"""

    temperature: float | None = None
    max_new_tokens: int = 1024
    seed: int = 0
    repetition_penalty: float | None = None

    def __post_init__(self) -> None:
        sampling_rules(temperature=self.temperature or 0, repetition_penalty=self.repetition_penalty)
        if self.max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens={self.max_new_tokens} writes nothing; use at least 1")

    def rules(self, n_parameters: int, *, temperature: float | None = None) -> tuple[Rule, ...]:
        """The rules for a model of that size; `temperature` is usual for its kind, where the settings have none."""
        chosen = temperature if self.temperature is None else self.temperature
        return usual_rules(n_parameters, temperature=chosen, repetition_penalty=self.repetition_penalty)


class Chat:
    """A conversation that goes on: `say` something, and read the answer piece by piece.

    An answer that is left before its end, by a Ctrl-C or because nobody asks for more pieces, stays in the history as
    far as it was given. `settings` and `system` may be changed at any time and hold from the next answer on.
    """

    def __init__(self, opened: OpenedModel, settings: ChatSettings, *, system: str = "") -> None:
        if opened.template is None:
            raise ModelError(f"{opened.origin} has no chat template: it is a base model, which goes on with a text")
        check_amount(opened.config, 1, settings.max_new_tokens)
        self.settings = settings
        self.n_forgotten = 0
        """Messages at the beginning that the model no longer sees, because the context has no room for them."""
        self.model, self._template = opened, opened.template
        self._following = Following(opened.model, opened.tokenizer)
        self._n_parameters = sum(parameter.numel() for parameter in opened.model.parameters())
        self._system = ""
        self._messages: list[Message] = []
        self._asked: str | None = None
        self._answered = False
        self._n_answers = 0
        self.system = system

    @property
    def greeting(self) -> str:
        """Who answers here."""
        return self.model.origin

    @property
    def messages(self) -> tuple[Message, ...]:
        """All that was said since the beginning, the system prompt first where there is one."""
        return (*self._opening(), *self._messages)

    @property
    def last(self) -> Turn | None:
        """The last answer, and what it cost."""
        return self._following.last

    @property
    def system(self) -> str:
        """What the model is told before everything else; empty for nothing. Raises DataError where it may not be."""
        return self._system

    @system.setter
    def system(self, text: str) -> None:
        before, self._system = self._system, text
        try:
            self._template.render([*self._opening(), {"role": "user", "content": "?"}], reply=True)
        except BaseException:
            self._system = before
            raise

    def say(self, text: str) -> Generator[str, None, None]:
        """The answer, in pieces as they come. Raises ModelError, before the first, for more than the context holds."""
        return self._turn(self._messages, text)

    def again(self) -> Generator[str, None, None]:
        """Another answer to what was said last, in the place of the last one. Raises ConfigError where nothing was."""
        if self._asked is None:
            raise ConfigError("nothing was said yet that could be answered again; say something first")
        return self._turn(self._messages[:-2] if self._answered else self._messages, self._asked)

    def new(self) -> None:
        """Forgets what was said; system prompt and settings stay."""
        self._messages, self._asked, self._answered, self.n_forgotten = [], None, False, 0

    def rows(self) -> list[Mapping[str, Any]]:
        """The conversation as a row of examples, which `chainrule finetune` reads; none when nothing was said."""
        return [{"messages": list(self.messages)}] if self._messages else []

    def seeded(self, seed: int) -> None:
        """From here on everything is drawn as it would be in a session that began with this seed."""
        self.settings, self._n_answers = replace(self.settings, seed=seed), 0

    def _opening(self) -> list[Message]:
        return [{"role": "system", "content": self._system}] if self._system else []

    def _turn(self, before: list[Message], text: str) -> Generator[str, None, None]:
        return self._answer(before, text, self._prompt(before, text))

    def _answer(self, before: list[Message], text: str, asked: Asked) -> Generator[str, None, None]:
        self._messages, self._asked, self._answered = before, text, False
        try:
            yield from self._following.write(asked)
        finally:
            turn = self._following.last
            # Without a word nothing was said: two messages of a person never follow each other.
            if turn and (turn.text or turn.ended != "interrupted"):
                answer = {"role": "assistant", "content": turn.text}
                self._messages, self._answered = [*before, {"role": "user", "content": text}, answer], True

    def _prompt(self, before: list[Message], text: str) -> Asked:
        """What the model is to go on from, the oldest turns left out where all do not fit."""
        context = self.model.config.context_length
        most = context - min(self.settings.max_new_tokens, context // ANSWER_SHARE)
        first, ids = self.n_forgotten, self._encoded(before[self.n_forgotten :], text)
        if len(ids) > most:
            while len(ids) > context // KEPT_SHARE and first < len(before):
                first += 2
                ids = self._encoded(before[first:], text)
        if len(ids) > most:
            raise ModelError(
                f"this message takes {len(ids):,} tokens with the template and the system prompt, and the context of "
                f"{context:,} has room for {most:,} beside an answer; shorten it"
            )
        self.n_forgotten = first
        own = in_own_tokens(self._following.ids, ids, self.model.tokenizer.token_bytes)
        # In its own tokens a word may take more of them than the tokenizer needs.
        ids = own if len(own) <= most else ids
        rules = self.settings.rules(self._n_parameters, temperature=CHAT_TEMPERATURE)
        self._n_answers += 1
        seed = numbered_seed(self.settings.seed, self._n_answers - 1)
        n_most = min(self.settings.max_new_tokens, context - len(ids))
        return Asked(tuple(ids), rules, seed, n_most, self._template.stop | {self.model.tokenizer.end_of_text})

    def _encoded(self, before: list[Message], text: str) -> list[int]:
        shown = [*self._opening(), *before, {"role": "user", "content": text}]
        return self._template.encode(self.model.tokenizer, shown, reply=True)
