"""Texts that a base model goes on with, one by one, in the place of a conversation, which it has not learnt."""

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from chainrule.base import ConfigError
from chainrule.checkpoint import OpenedModel
from chainrule.generate.chat import ChatSettings
from chainrule.generate.following import Asked, Following, Turn
from chainrule.generate.healing import beginning_with
from chainrule.generate.prompts import check_amount, encode_prompt, numbered_seed

NO_SYSTEM = "a base model has no system prompt: it goes on with a text; write what it should know into the text"


class Draft:
    """A base model, asked as a `Chat` is: `say` gives the text after what was said, and after nothing it goes on.

    Every text stands for itself. Past the context the older half is forgotten.
    """

    n_forgotten = 0

    def __init__(self, opened: OpenedModel, settings: ChatSettings) -> None:
        check_amount(opened.config, 1, settings.max_new_tokens)
        self.settings = settings
        self.model = opened
        self._following = Following(opened.model, opened.tokenizer)
        self._n_parameters = sum(parameter.numel() for parameter in opened.model.parameters())
        self._texts: list[tuple[str, str]] = []
        self._asked: tuple[tuple[str, str], Asked] | None = None
        self._n_drawn = 0

    @property
    def greeting(self) -> str:
        """Who writes here, and that it does not converse."""
        return (
            f"{self.model.origin}: a base model, without a chat template. It does not answer: it goes on with what you "
            "write; Enter alone lets it go on further"
        )

    @property
    def system(self) -> str:
        """None: it has no such thing. Raises ConfigError where one is set."""
        return ""

    @system.setter
    def system(self, text: str) -> None:
        if text:
            raise ConfigError(NO_SYSTEM)

    @property
    def last(self) -> Turn | None:
        """The last text, and what it cost."""
        return self._following.last

    def say(self, text: str) -> Generator[str, None, None]:
        """The text after `text`, in pieces as they come; after nothing, the last text goes on."""
        if not text:
            return self._more()
        encoded = encode_prompt(self.model.model, self.model.tokenizer, text, heal=True)
        among = tuple(beginning_with(self.model.tokenizer, encoded.owed)) if encoded.owed else ()
        asked = replace(self._from(encoded.ids), among=among, owed=encoded.owed)
        return self._written([*self._texts, (text, "")], asked)

    def again(self) -> Generator[str, None, None]:
        """The last text once more, with other dice."""
        if self._asked is None:
            raise ConfigError("nothing was written yet that could be written again; give it the beginning of a text")
        before, asked = self._asked
        anew = replace(self._from(asked.ids), among=asked.among, owed=asked.owed)
        return self._written([*self._texts[:-1], before], anew)

    def new(self) -> None:
        """Forgets what was written."""
        self._texts, self._asked = [], None

    def rows(self) -> list[Mapping[str, Any]]:
        """The texts as rows of examples, which `chainrule finetune` reads."""
        return [{"prompt": prompt, "completion": text} for prompt, text in self._texts]

    def seeded(self, seed: int) -> None:
        """From here on everything is drawn as it would be in a session that began with this seed."""
        self.settings, self._n_drawn = replace(self.settings, seed=seed), 0

    def _more(self) -> Generator[str, None, None]:
        if not self._texts:
            raise ConfigError("there is no text yet to go on with; give it the beginning of one")
        ids = self._following.ids
        if ids[-1] == self.model.tokenizer.end_of_text:
            raise ConfigError("the text has come to its end; give it the beginning of another, or /retry")
        context = self.model.config.context_length
        # As the decoder forgets: what is too long to go on with goes on from its younger half.
        return self._written(self._texts, self._from(ids if len(ids) < context else ids[-(context // 2) :]))

    def _from(self, ids: tuple[int, ...]) -> Asked:
        rules = self.settings.rules(self._n_parameters)
        stop = frozenset({self.model.tokenizer.end_of_text})
        self._n_drawn += 1
        seed = numbered_seed(self.settings.seed, self._n_drawn - 1)
        return Asked(ids, rules, seed, self.settings.max_new_tokens, stop)

    def _written(self, texts: list[tuple[str, str]], asked: Asked) -> Generator[str, None, None]:
        prompt, before = texts[-1]
        try:
            yield from self._following.write(asked)
        finally:
            self._asked = (prompt, before), asked
            turn = self._following.last
            self._texts = [*texts[:-1], (prompt, before + (turn.text if turn else ""))]
