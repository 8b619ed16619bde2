"""`chainrule generate`: let a model write, once or in a prompt loop."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chainrule.base import ConfigError, ModelError
from chainrule.cli.options import AsJson, Device, device_setting, model_source
from chainrule.cli.output import print_json, say
from chainrule.cli.panel_text import clean

if TYPE_CHECKING:
    from chainrule.checkpoint import OpenedModel


def generate(
    source: str,
    /,
    *prompts: str,
    max_new_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
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
        What the text begins with; each gets a completion.
    max_new_tokens
        Most tokens to write.
    temperature
        Below 1 bolder, above 1 wilder; 0 takes the likeliest token each time.
    top_k
        Choose only among this many likeliest tokens.
    top_p
        Choose only among the likeliest tokens that have this share of probability together.
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
    if as_json and not prompts:
        raise ConfigError("--json needs a prompt; the prompt loop is for people")
    from chainrule.generate import sampling_rules

    settings = {
        "rules": sampling_rules(
            temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=repetition_penalty
        ),
        "max_new_tokens": max_new_tokens,
        "stop": tuple(text.replace("\\n", "\n") for text in stop),
    }
    writer = Writer(opened(source, device), settings)
    if not prompts:
        writer.loop(seed)
    elif as_json:
        print_json({"model": writer.model.origin, "seed": seed, "completions": writer.many(prompts * copies, seed)})
    elif len(prompts) == copies == 1:
        writer.stream(prompts[0], seed)
    else:
        for completion in writer.many(prompts * copies, seed):
            print(clean(completion["prompt"] + completion["text"]), end="\n\n")


def opened(source: str, device: str | None) -> "OpenedModel":
    """The model at `source` on the device; a bare name is also looked for in runs/."""
    wanted = device_setting(device).device
    from chainrule.checkpoint import open_model
    from chainrule.device import choose_device

    chosen, _ = choose_device(wanted)
    return open_model(model_source(source), device=chosen)


@dataclass(frozen=True)
class Writer:
    """A model and how it is to write."""

    model: "OpenedModel"
    settings: Mapping[str, Any]

    def stream(self, prompt: str, seed: int) -> None:
        """Prints the prompt and, as it comes, the text after it."""
        from chainrule.generate import stream

        pieces = stream(self.model.model, self.model.tokenizer, prompt, seed=seed, **self.settings)
        print(clean(prompt), end="", flush=True)
        for piece in pieces:
            print(clean(piece), end="", flush=True)
        print()

    def many(self, prompts: tuple[str, ...], seed: int) -> list[dict[str, str]]:
        """A completion for each prompt, all at once."""
        from chainrule.generate import generate

        found = generate(self.model.model, self.model.tokenizer, prompts, seed=seed, **self.settings)
        return [{"prompt": one.prompt, "text": one.text, "finish": one.finish} for one in found]

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
