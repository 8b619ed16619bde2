"""`chainrule generate`: let a model write, once or in a prompt loop."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from chainrule.base import ConfigError, ModelError, RunError
from chainrule.cli.again import RAISED
from chainrule.cli.loading import load_torch
from chainrule.cli.named import named
from chainrule.cli.options import AsJson, Device, device_setting
from chainrule.cli.output import print_json, put, say
from chainrule.run import RUNS, last_begun, list_runs

if TYPE_CHECKING:
    from chainrule.checkpoint import OpenedModel
    from chainrule.generate import Writer

# As the room has it (chainrule.generate.prompts), where it cannot be looked up without loading torch.
MOST_TOKENS = 10_000_000


def generate(
    source: str | None = None,
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
    weights: Literal["float32", "float32-turned", "bfloat16", "int8", "int4"] = "float32",
    lost_on: Path | None = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    r"""Let a model write. Without a prompt, it asks for prompts until you leave (Ctrl-D), or reads piped lines.

    For example:

    - `chainrule generate runs/NAME "Once upon"`
    - `chainrule generate runs/NAME "def " --copies 3 --stop "\n\n\n"`
    - `chainrule generate last "The"`
    - `chainrule generate gpt2 "The" --temperature 0`

    Parameters
    ----------
    source
        A run folder, a checkpoint, a Hugging Face folder, or a name on the Hugging Face hub; `last` is the newest
        run, which is taken where no model is named.
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
    weights
        How the weights are kept while the model writes: fewer bits a weight are more tokens a second, on a CPU.
        float32-turned rounds none, and lays them out for reading.
    lost_on
        A text file; says what those weights lose on it, in bits per byte.
    """
    if copies < 1:
        raise ConfigError(f"copies={copies} writes nothing; use at least 1")
    if copies * max_new_tokens * max(1, len(prompts)) > MOST_TOKENS:
        raise ConfigError(
            f"{copies:,} copies of {max_new_tokens:,} tokens are too many for one call, which writes at most "
            f"{MOST_TOKENS:,}; ask for fewer, and call again with another --seed"
        )
    source, prompts = _named(source, prompts)
    if as_json and not prompts:
        raise ConfigError("--json needs a prompt; the prompt loop is for people")
    load_torch()
    from chainrule.generate import lost_bits, open_writer

    writer = open_writer(
        source,
        device_setting(device).device,
        max_new_tokens=max_new_tokens,
        stop=[text.replace("\\n", "\n") for text in stop],
        weights=weights,
        on_fallback=say,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
    )
    say_passed_over(writer.model.passed_over, writer.model.origin, writer.model.unchecked)
    if lost_on is not None:
        full = opened_here(source, device)
        say(f"{lost_on}: {lost_bits(full, writer.model, _text_of(lost_on)).words}")
    if not prompts:
        _loop(writer, seed)
    elif as_json:
        print_json(
            {"model": writer.model.origin, "seed": seed, "completions": _written(writer, prompts * copies, seed)}
        )
    elif len(prompts) == copies == 1:
        _stream(writer, prompts[0], seed)
    else:
        for completion in _written(writer, prompts * copies, seed):
            put(f"{completion['prompt']}{completion['text']}", end="\n\n")


def _named(source: str | None, prompts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The model and the prompts: the newest run, where the first word is a text and no name.

    Raises RunError for a word that may be either and names nothing, with what to write for each.
    """
    if source == "-":
        source = None
    prompts = tuple(prompt for prompt in prompts if prompt != "-")
    if source is None or (any(letter.isspace() for letter in source) and not Path(source).exists()):
        newest = last_begun(RUNS)
        say(f"no model is named: {newest.path}, the newest run, writes")
        return str(newest.path), prompts if source is None else (source, *prompts)
    try:
        return named(source), prompts
    except RunError as fault:
        if "/" in source or not list_runs(RUNS):
            raise
        command = f"chainrule generate last {shlex.quote(source)}"
        raise RunError(f"{fault}. Is it what the newest run shall go on from? `{command}`") from None


def opened_here(source: str, device: str | None) -> "OpenedModel":
    """The model at `source`; says when another checkpoint was taken than a person would expect."""
    source, wanted = named(source), device_setting(device).device
    load_torch()
    from chainrule.generate import opened

    model = opened(source, wanted)
    say_passed_over(model.passed_over, model.origin, model.unchecked)
    return model


def say_passed_over(reasons: Sequence[str], origin: str, unchecked: Sequence[str]) -> None:
    """That another checkpoint was taken than the one that a person would expect, and why; what was not checked."""
    for reason in reasons:
        say(f"passed over: {reason}; taken instead: {origin}")
    for sentence in unchecked:
        say(sentence)


def _text_of(path: Path) -> str:
    """The text in a file that --lost-on names."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as fault:
        raise ConfigError(f"--lost-on {path} cannot be read: {fault.strerror}; give a text file") from None


def _stream(writer: "Writer", prompt: str, seed: int) -> None:
    """Prints the prompt and, as it comes, the text after it."""
    _say_cut(writer.tokens_cut(prompt), prompt)
    pieces = writer.stream(prompt, seed)
    put(prompt, end="")
    for piece in pieces:
        put(piece, end="")
    put()


def _written(writer: "Writer", prompts: Sequence[str], seed: int) -> list[dict[str, str | int]]:
    """A completion for each prompt, as a row."""
    found = writer.write(prompts, seed)
    for prompt, n_cut in {one.prompt: one.n_cut for one in found}.items():
        _say_cut(n_cut, prompt)
    return [{"prompt": one.prompt, "text": one.text, "finish": one.finish, "tokens_cut": one.n_cut} for one in found]


def _loop(writer: "Writer", seed: int) -> None:
    """Asks for prompts until the end of input; Ctrl-C ends a text, at the prompt it leaves."""
    say(writer.model.origin, "A prompt and Enter; \\n stands for a line break; Ctrl-D leaves.")
    while True:
        put("> " if sys.stdin.isatty() else "", end="")
        line = sys.stdin.readline()
        if not line:
            return
        try:
            _stream(writer, line.removesuffix("\n").replace("\\n", "\n"), seed)
        except KeyboardInterrupt:
            RAISED.answered()
            put()
        except ModelError as refusal:
            say(f"chainrule: {refusal}")
        seed += 1


def _say_cut(n_cut: int, prompt: str) -> None:
    if n_cut:
        say(f"the prompt {prompt[:20]!r}… is longer than the context: its first {n_cut:,} tokens are cut")
