"""A run folder as the trainer leaves it, at a small size: real text, tokenizer and shards; figures of a real shape."""

import math
import shutil
import textwrap
from pathlib import Path

import pytest

from chainrule.base import write_json
from chainrule.config import TextConfig, preset, resolve, to_toml
from chainrule.data import survey, write_shards
from chainrule.report import write_report
from chainrule.run import RunFolder, append_row
from chainrule.tokenizer import train_bpe

STEPS = 400
STAGES = [
    "x1e  (tNre a_ ,in se e the\n\n  )or",
    "__init__(self, self, s):\n    self = self\n    return self\n    def self",
    "read(self, name=None):\n    if name is None:\n        raise ValueError('no name')\n    return self.names[name]\n",
]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory):
    """A folder with data/ and tokenizer.json of sixty small modules."""
    base, folder = tmp_path_factory.mktemp("text"), tmp_path_factory.mktemp("prepared")
    for number in range(60):
        (base / f"module_{number}.py").write_text(_module(number))
    found = survey(TextConfig(paths=(str(base),), near_duplicates="keep"), folder / "data")
    tokenizer = train_bpe(found.texts("train"), 512)
    tokenizer.save(folder / "tokenizer.json")
    write_shards(found, tokenizer, folder / "data", context_length=32)
    return folder


@pytest.fixture(scope="session")
def run_maker(prepared: Path, tmp_path_factory: pytest.TempPathFactory):
    """Makes a run folder; `text` replaces what the samples say, `steps` and the flags what has happened so far."""

    def make(
        name: str = "first-words", *, steps: int = STEPS, finished: bool = True, samples: bool = True, text: str = ""
    ):
        run = RunFolder(tmp_path_factory.mktemp("runs") / name)
        shutil.copytree(prepared, run.path)
        _write_settings(run)
        _write_machine(run)
        _write_figures(run, steps)
        if samples:
            _write_samples(run, steps, text)
        append_row(run.events, {"time": "2026-03-01 10:00:00", "step": 0, "kind": "start", "message": "started"})
        append_row(
            run.events, {"time": "2026-03-01 10:02:00", "step": 200, "message": "a non-finite gradient: skipped"}
        )
        if finished:
            _write_summary(run, steps, text)
        return run

    return make


@pytest.fixture(scope="session")
def finished(run_maker):
    """A finished run; tests only read it."""
    return run_maker()


def _module(number: int) -> str:
    names = ["alpha", "beta", "gamma", "delta", "epsilon"]
    a, b = names[number % 5], names[(number * 3 + 1) % 5]
    return textwrap.dedent(f'''
        """Module {number} of the {a} family."""


        def {a}_{number}(self, name=None):
            """Return the {b} of {number}."""
            if name is None:
                raise ValueError("no name was given to {a} {number}")
            return self.{b}[name] + {number * 7}
    ''')


def _write_settings(run: RunFolder) -> None:
    resolved = resolve([preset("cpu-tiny")])
    run.config.write_text(to_toml(resolved.config, resolved.sources))


def _write_machine(run: RunFolder) -> None:
    machine = {
        "cpu": "AMD EPYC 9R14",
        "cores": 2,
        "threads": 2,
        "memory_bytes": 8 * 2**30,
        "device": "cpu",
        "reason": "no CUDA device and no Apple GPU were found",
        "precision": "bfloat16",
        "peak_flops": 1.3e12,
        "torch": "2.13.0",
    }
    plan = {
        "architecture": "qwen3",
        "parameters": 1_181_312,
        "steps": STEPS,
        "tokens": STEPS * 32,
        "batch_tokens": 32,
        "flops_per_token": 7.4e6,
        "memory_bytes": 400 * 2**20,
        "seconds": 270.0,
    }
    tokenizer = {"kind": "bpe", "vocab_size": 508, "bytes_per_token": 3.63, "unused_share": 0.004, "warnings": []}
    write_json(run.machine, {"machine": machine, "plan": plan, "tokenizer": tokenizer, "data": {"epochs": 3.74}})


def loss_at(step: int) -> float:
    """A curve of the usual shape, from ln 512 down."""
    wave = 0.06 * math.sin(step * 12.9898) * math.sin(step * 7.233)
    return 2.0 + 2.3 * math.exp(-step / 12) + 1.94 * math.exp(-step / 140) + wave


def _write_figures(run: RunFolder, steps: int) -> None:
    for step in range(1, steps + 1):
        at = {"step": step, "tokens": step * 32, "seconds": step * 0.68}
        rate = 4e-3 * min(1, step / 12) * min(1, (STEPS - step) / (STEPS * 0.6) + 1e-3)
        figures = {"loss": loss_at(step - 1), "lr": rate, "grad_norm": 0.4 + 2 / step + 0.1 * math.sin(step * 3.7)}
        speed = {"tokens_per_second": 24_000 + 600 * math.sin(step * 1.7), "peak_share": 0.61}
        append_row(run.metrics, {"kind": "train", **at, **figures, **speed, "seconds_left": (STEPS - step) * 0.68})
        if step % 25 == 0 or step == 1:
            loss = loss_at(step) + 0.07
            row = {"kind": "eval", **at, "val_loss": loss, "val_bits_per_byte": loss / math.log(2) / 2.9}
            places = {"places": [1, 2, 4, 8, 16, 32], "place_losses": [loss + 1 / k for k in (1, 2, 3, 4, 5, 6)]}
            append_row(run.metrics, row | places | {"by_source": {"books": loss / 2, "<i>letters": loss / 2.4}})
            spent = {"data": 0.1, "step": 15.0, "look": 1.2, "samples": 0.5, "save": 0.2}
            append_row(run.phases, {**at, "spent": spent, "memory_bytes": 5 * 2**27})


def _write_samples(run: RunFolder, steps: int, text: str) -> None:
    for step in (0, *range(50, steps + 1, 50)):
        stage = STAGES[min(2, step // 120)]
        for prompt in ("def ", "class Reader", "import "):
            append_row(run.samples, {"step": step, "tokens": step * 32, "prompt": prompt, "text": text or stage})


def _write_summary(run: RunFolder, steps: int, text: str) -> None:
    # Of all held-out text: near the last look, which is of a sample, and not the same.
    loss = loss_at(steps) + 0.03
    stretch = {"step": steps, "pieces": ["def", " alpha", text or "(self"], "nats": [0.3, 7.9, None], "source": "books"}
    append_row(run.surprise, stretch)
    completions = [
        {"prompt": "def ", "text": text or _module(3).split("def ")[1]},
        {"prompt": "The ", "text": text or "end"},
    ]
    summary = {
        "status": "finished",
        "step": steps,
        "steps": steps,
        "tokens": steps * 32,
        "seconds": steps * 0.68,
        "total_seconds": steps * 0.68 + 21,
        "val_loss": loss,
        "val_perplexity": math.exp(loss),
        "val_bits_per_byte": loss / math.log(2) / 2.9,
        "train_loss": loss - 0.1,
        "parameters": 1_181_312,
        "best": {"step": steps, "val_loss": loss},
        "peak_share": 0.61,
        "tokens_per_second": 24_050.0,
        "baselines": {
            "unigram": 2.2,
            "bigram": 1.62,
            "fivegram": 1.55,
            "gzip": 1.48,
            "xz": 1.31,
            "xz_seen": 1.17,
            "whole": True,
        },
        "tasks": [{"task": "python-functions", "n": 64, "right": 47, "told": "sampled functions parse"}],
        "completions": completions,
        "n_skipped": 1,
        "versions": {"chainrule": "0.1.0", "torch": "2.13.0"},
        "command": "chainrule quickstart --minutes 5",
    }
    write_json(run.summary, summary)


@pytest.fixture
def page_of():
    """The text of a run's report."""

    def read(run: RunFolder) -> str:
        return Path(write_report(run)).read_text(encoding="utf-8")

    return read
