"""Time from the start of the process to a held-out loss of 1.88 a character, ours and nanoGPT's documented run."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from chainrule.base import ConfigError
from chainrule.bench import characters
from chainrule.bench.asked import Asked
from chainrule.bench.commands import chainrule_command, run_command
from chainrule.bench.contest import Contest, Reading, Readings, Side
from chainrule.bench.process import read_side, surroundings
from chainrule.config import Layer, modern, resolve, to_toml

# Ours has all bytes beside the characters, and an end-of-text: rows that are never right, and cost a little.
CONTEXT, VOCAB_SIZE = 64, 257
# What reached the goal with three seeds in the least processor time (docs/LOG.md): two layers, many small steps, the
# first of them on half windows, and a momentum that remembers five steps, because there are few.
N_LAYERS, STEPS, BATCH_TOKENS, SHORT_STEPS = 2, 190, 1024, 8
FIRST_WINDOW, GROW_SHARE, MOMENTUM = 32, 0.6, 0.8
SHORT_ITERATIONS = 10


def until_loss(asked: Asked) -> Iterator[Contest]:
    """One contest in seconds; the losses are of all held-out characters, scored by one function."""
    if not asked.given:
        raise ConfigError("until-loss needs --text: the file of tiny Shakespeare, which its goal of 1.88 is about")
    sides = [Side("ours", _what(asked), partial(_ours, asked))]
    if asked.nanogpt:
        iterations = SHORT_ITERATIONS if asked.short else 2000
        words = f"its documented run on a CPU, {iterations} iterations, the weights that it kept"
        sides.insert(0, Side("nanoGPT", words, partial(_nanogpt, asked, iterations)))
    yield Contest(f"until a loss of {characters.GOAL}", "s", sides, larger_is_better=False, judge=reached)


def reached(readings: Readings) -> tuple[str, ...]:
    """The losses of all, and who reached the goal."""
    said = []
    for name, many in readings.items():
        losses = sorted(one.losses[-1] for one in many)
        verdict = "reached" if losses[-1] <= characters.GOAL else "NOT reached"
        said.append(
            f"{name}: {losses[-1]:.4f} nats a character of all held-out text (the worst round): "
            f"{characters.GOAL} {verdict}"
        )
    return tuple(said)


def _what(asked: Asked) -> str:
    steps = SHORT_STEPS if asked.short else STEPS
    shape = f"modern block and Muon, {N_LAYERS} layers of 128"
    return f"`chainrule pretrain`, {shape}, {steps} steps of {BATCH_TOKENS} characters"


def _ours(asked: Asked) -> Reading:
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        text, settings = folder / "train.txt", folder / "settings.toml"
        text.write_text(characters.parts(asked.text)[0], encoding="utf-8", newline="")
        settings.write_text(_settings(asked), encoding="utf-8")
        words = ("pretrain", str(text), "--config", str(settings), "--name", "run", "--runs-folder", str(folder))
        reading = run_command(chainrule_command(*words), surroundings(asked.threads), folder)
        return _scored(asked, reading, {"ours": str(folder / "run")})


def _settings(asked: Asked) -> str:
    """Our settings as a file; the looks of a run at its end are in its time, as anyone's run has them."""
    values: dict[str, dict[str, Any]] = modern(128, 4, N_LAYERS, CONTEXT, VOCAB_SIZE)
    steps = SHORT_STEPS if asked.short else STEPS
    values["training"] = {"steps": steps, "batch_tokens": BATCH_TOKENS, "first_weights": "previous-token"}
    values["training"] |= {"eval_every": steps, "sample_every": steps, "save_every": steps}
    values["schedule"] |= {"first_window": FIRST_WINDOW, "grow_share": GROW_SHARE}
    values["optimizer"] |= {"momentum": MOMENTUM}
    values["vocabulary"] = {"kind": "chars"}
    # The tenth is held out already; a run holds out some text of its own besides.
    values["text"] = {"validation_share": 0.01}
    return to_toml(resolve([Layer("benchmark", values)]).config)


def _nanogpt(asked: Asked, iterations: int) -> Reading:
    assert asked.nanogpt is not None
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        data = characters.written_for_nanogpt(asked.text, folder / "data")
        words = characters.documented_run(data, folder / "out", iterations=iterations)
        environment = surroundings(asked.threads, peer=True)
        reading = run_command([sys.executable, *words], environment, asked.nanogpt)
        return _scored(asked, reading, {"nanogpt": str(folder / "out" / "ckpt.pt"), "peer": str(asked.nanogpt)})


def _scored(asked: Asked, reading: Reading, model: Mapping[str, str]) -> Reading:
    """With the loss, which takes no part in the time."""
    scored = read_side("score", {"text": str(asked.text), **model}, asked.threads)
    return replace(reading, losses=(scored.figure,))
