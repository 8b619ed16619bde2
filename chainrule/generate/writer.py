"""A model together with how it is to write: what `chainrule generate` and Python ask alike."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from chainrule.checkpoint import OpenedModel
from chainrule.generate.opening import opened
from chainrule.generate.quantise import quantised
from chainrule.generate.rules import Rule
from chainrule.generate.usual import usual_rules
from chainrule.generate.writing import Completion, generate, stream, tokens_cut
from chainrule.run import RUNS


@dataclass(frozen=True)
class Writer:
    """A model, the rules by which it chooses, and where its texts end."""

    model: OpenedModel
    rules: tuple[Rule, ...]
    max_new_tokens: int = 200
    stop: tuple[str, ...] = ()

    def __repr__(self) -> str:
        size = sum(parameter.numel() for parameter in self.model.model.parameters())
        rules = ", ".join(map(repr, self.rules))
        return f"<Writer of {self.model.origin}: {size:,} parameters, {rules}>"

    @overload
    def write(self, prompts: str, seed: int = 0) -> Completion: ...  # type: ignore[overload-overlap]

    @overload
    def write(self, prompts: Sequence[str], seed: int = 0) -> list[Completion]: ...

    def write(self, prompts: str | Sequence[str], seed: int = 0) -> Completion | list[Completion]:
        """A completion for the prompt, or for each of several, all at once; see `generate`. `str` of it is the text."""
        written = generate(
            self.model.model,
            self.model.tokenizer,
            prompts,
            max_new_tokens=self.max_new_tokens,
            rules=self.rules,
            seed=seed,
            stop=self.stop,
            heal=True,
        )
        return written[0] if isinstance(prompts, str) else written

    def stream(self, prompt: str, seed: int = 0) -> Iterator[str]:
        """The text after the prompt, in pieces as they come; what cannot be written is refused before the first."""
        return stream(
            self.model.model,
            self.model.tokenizer,
            prompt,
            max_new_tokens=self.max_new_tokens,
            rules=self.rules,
            seed=seed,
            stop=self.stop,
            heal=True,
        )

    def tokens_cut(self, prompt: str) -> int:
        """How many tokens of the prompt's beginning the context has no room for."""
        return tokens_cut(self.model.model, self.model.tokenizer, prompt)


def open_writer(
    source: str,
    device: str = "auto",
    *,
    runs_folder: Path = RUNS,
    max_new_tokens: int = 200,
    stop: Sequence[str] = (),
    weights: str = "float32",
    on_fallback: Callable[[str], None] | None = None,
    **rules: Any,
) -> Writer:
    """The model at `source` (see `opened`), its weights packed as `quantised` does it, and how it is to write.

    `rules` are temperature, top_k, top_p, min_p and repetition_penalty; what is left out is usual for the model's size.
    Raises ConfigError for rules out of range before a model is opened.
    """
    usual_rules(1, **rules)
    model = opened(source, device, runs_folder=runs_folder)
    size = sum(parameter.numel() for parameter in model.model.parameters())
    model = quantised(model, weights, on_fallback=on_fallback)
    return Writer(model, usual_rules(size, **rules), max_new_tokens, tuple(stop))
