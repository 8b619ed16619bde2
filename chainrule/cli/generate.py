"""`chainrule generate`: let a model write, once or in a prompt loop."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chainrule.base import ConfigError, ModelError
from chainrule.cli.options import AsJson, Device, device_setting
from chainrule.cli.output import print_json, say
from chainrule.show import printable

if TYPE_CHECKING:
    from chainrule.checkpoint import OpenedModel

# As the room has it (chainrule.generate.prompts), where it cannot be looked up without loading torch.
MOST_TOKENS = 10_000_000


def generate(
    source: str,
    /,
    *prompts: str,
    max_new_tokens: int = 200,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    seed: int = 0,
    stop: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    copies: int = 1,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    r"""Let a model write. Without a prompt, it asks for prompts until you leave (Ctrl-D).

    For example:

    - `chainrule generate runs/NAME "Once upon"`
    - `chainrule generate runs/NAME "def " --copies 3 --stop "\n\n\n"`
    - `chainrule generate gpt2 "The" --temperature 0`

    Parameters
    ----------
    source
        A run folder, a checkpoint, a Hugging Face folder, or a name on the Hugging Face hub.
    prompts
        What the text begins with; each gets a completion. It may end anywhere, in a word or after a space. Of one
        that is longer than the model's context the end is read.
    max_new_tokens
        Most tokens to write.
    temperature
        Below 1 bolder, above 1 wilder; 0 takes the likeliest token each time. Default: by the model's size, 0.6 to
        0.9.
    top_k
        Choose only among this many likeliest tokens.
    top_p
        Choose only among the likeliest tokens that have this share of probability together.
    min_p
        Choose only among the tokens that have at least this share of the likeliest one's probability. Default: 0.05,
        when neither top_k nor top_p is given.
    repetition_penalty
        Above 1, tokens that are in the text already become less likely.
    seed
        The same seed writes the same text.
    stop
        End before this text; may be given several times. \n stands for a line break.
    copies
        Completions of each prompt.
    """
    if copies < 1:
        raise ConfigError(f"copies={copies} writes nothing; use at least 1")
    if copies * max_new_tokens * max(1, len(prompts)) > MOST_TOKENS:
        raise ConfigError(
            f"{copies:,} copies of {max_new_tokens:,} tokens are too many for one call, which writes at most "
            f"{MOST_TOKENS:,}; ask for fewer, and call again with another --seed"
        )
    if as_json and not prompts:
        raise ConfigError("--json needs a prompt; the prompt loop is for people")
    from chainrule.generate import usual_rules

    given: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    usual_rules(1, repetition_penalty=repetition_penalty, **given)  # refuses before a model is opened
    model = opened_here(source, device)
    n_parameters = sum(parameter.numel() for parameter in model.model.parameters())
    settings = {
        "rules": usual_rules(n_parameters, repetition_penalty=repetition_penalty, **given),
        "max_new_tokens": max_new_tokens,
        "stop": tuple(text.replace("\\n", "\n") for text in stop),
        "heal": True,
    }
    writer = Writer(model, settings)
    if not prompts:
        writer.loop(seed)
    elif as_json:
        print_json({"model": writer.model.origin, "seed": seed, "completions": writer.many(prompts * copies, seed)})
    elif len(prompts) == copies == 1:
        writer.stream(prompts[0], seed)
    else:
        for completion in writer.many(prompts * copies, seed):
            print(printable(f"{completion['prompt']}{completion['text']}"), end="\n\n")


def opened_here(source: str, device: str | None) -> "OpenedModel":
    """The model at `source`; says when another checkpoint was taken than a person would expect."""
    wanted = device_setting(device).device
    from chainrule.generate import opened

    model = opened(source, wanted)
    say_passed_over(model.passed_over, model.origin)
    return model


def say_passed_over(reasons: Sequence[str], origin: str) -> None:
    """That another checkpoint was taken than the one that a person would expect, and why."""
    for reason in reasons:
        say(f"passed over: {reason}; taken instead: {origin}")


@dataclass(frozen=True)
class Writer:
    """A model and how it is to write."""

    model: "OpenedModel"
    settings: Mapping[str, Any]

    def stream(self, prompt: str, seed: int) -> None:
        """Prints the prompt and, as it comes, the text after it."""
        from chainrule.generate import stream, tokens_cut

        _say_cut(tokens_cut(self.model.model, self.model.tokenizer, prompt), prompt)
        pieces = stream(self.model.model, self.model.tokenizer, prompt, seed=seed, **self.settings)
        print(printable(prompt), end="", flush=True)
        for piece in pieces:
            print(printable(piece), end="", flush=True)
        print()

    def many(self, prompts: tuple[str, ...], seed: int) -> list[dict[str, str | int]]:
        """A completion for each prompt, all at once."""
        from chainrule.generate import generate

        found = generate(self.model.model, self.model.tokenizer, prompts, seed=seed, **self.settings)
        for prompt, n_cut in {one.prompt: one.n_cut for one in found}.items():
            _say_cut(n_cut, prompt)
        return [
            {"prompt": one.prompt, "text": one.text, "finish": one.finish, "tokens_cut": one.n_cut} for one in found
        ]

    def loop(self, seed: int) -> None:
        """Asks for prompts until the end of input; Ctrl-C ends a text, at the prompt it leaves."""
        say(f"{self.model.origin}\nA prompt and Enter; \\n stands for a line break; Ctrl-D leaves.")
        while True:
            print("> " if sys.stdin.isatty() else "", end="", flush=True)
            line = sys.stdin.readline()
            if not line:
                return
            try:
                self.stream(line.removesuffix("\n").replace("\\n", "\n"), seed)
            except KeyboardInterrupt:
                print()
            except ModelError as refusal:
                say(f"chainrule: {refusal}")
            seed += 1


def _say_cut(n_cut: int, prompt: str) -> None:
    if n_cut:
        say(f"the prompt {prompt[:20]!r}… is longer than the context: its first {n_cut:,} tokens are cut")
