"""The one tiny run that all proofs share, and the fingerprint of what came of a run."""

import hashlib
import json
import random
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from chainrule.checkpoint import newest_checkpoint
from chainrule.run import RunFolder, read_rows, step_folder
from proof.case import hold
from proof.child import Child, Ended, command, start

WORDS = [
    "the",
    "sea",
    "and",
    "an",
    "old",
    "man",
    "said",
    "that",
    "we",
    "were",
    "going",
    "home",
    "before",
    "a",
    "storm",
    "came",
    "over",
    "it",
]
N_TEXTS = 40
STEPS, SAVE_EVERY = 12, 3
# Two layers, 32 wide, dropout, Muon for the matrices and AdamW for the rest, one thread.
SETTINGS: Mapping[str, str] = {
    **{"model.vocab-size": "300", "model.context-length": "32", "model.emb-dim": "32", "model.n-heads": "2"},
    **{"model.n-layers": "2", "model.drop-rate": "0.1", "optimizer.kind": "muon", "training.batch-tokens": "128"},
    **{"training.steps": str(STEPS), "training.save-every": str(SAVE_EVERY), "training.eval-every": "4"},
    **{"training.eval-tokens": "128", "training.sample-every": "6", "training.sample-tokens": "4"},
    **{"training.health-every": "2", "training.log-every": "1", "training.prompts": "the "},
    **{"machine.threads": "1", "machine.precision": "float32", "machine.cache": "off", "machine.compile": "off"},
    **{"machine.device": "cpu", "text.near-duplicates": "keep"},
}
# What the clock says, and where the process was: all else of a run must be equal.
OF_THE_CLOCK = frozenset(
    [
        "seconds",
        "tokens_per_second",
        "peak_share",
        "seconds_left",
        "spent",
        "journals",
        "stretches",
        "time",
        "memory_bytes",
        "total_seconds",
        "report_seconds",
        "step_seconds",
        "loss_seconds",
        "command",
        "report",
        "versions",
        "environment",
    ]
)
TRACEBACK = ("Traceback (most recent call last)", "Exception ignored")


def write_texts(folder: Path, n_texts: int = N_TEXTS) -> Path:
    """Forty short texts, or fewer of as many words, the same ones each time."""
    folder.mkdir(parents=True)
    for number in range(n_texts):
        chance = random.Random(number)
        words = " ".join(chance.choice(WORDS) for _ in range(80 * N_TEXTS // n_texts))
        (folder / f"{number:02}.txt").write_text(f"{words}\n")
    return folder


def flags(**over: str) -> list[str]:
    """The settings as they are typed; `model__emb_dim="8"` puts one over."""
    changed = {name.replace("__", ".").replace("_", "-"): value for name, value in over.items()}
    return [word for name, value in {**SETTINGS, **changed}.items() for word in (f"--{name}", value)]


def new(texts: Path, run: Path, **over: str) -> list[str]:
    """The command that begins the tiny run as this folder."""
    return ["pretrain", str(texts), "--name", str(run), *flags(**over)]


def resumed(run: Path) -> list[str]:
    """The command that goes on with it."""
    return ["pretrain", "--resume", str(run)]


def go_on(texts: Path, run: Path, **over: str) -> list[str]:
    """What a person types next: --resume where there is a run, the same command again where its name is free."""
    return resumed(run) if (run / "config.toml").is_file() else new(texts, run, **over)


def start_run(texts: Path, run: Path) -> Child:
    """The tiny run, begun or gone on with."""
    return start(go_on(texts, run), run.parent)


def finish_run(texts: Path, run: Path, **over: str) -> Ended:
    """Takes it to its end; raises NotHeldError unless it gets there by what a person would type."""
    ended = command(go_on(texts, run, **over), run.parent)
    no_traceback(ended)
    hold(ended.code == 0, f"it could not be taken to its end, {ended.last()}")
    return ended


def command_ok(words: Sequence[str], place: Path) -> Ended:
    """Runs a command; raises NotHeldError unless it ends well."""
    ended = command(words, place)
    no_traceback(ended)
    hold(ended.code == 0, f"{words[0]}: {ended.last()}")
    return ended


def no_traceback(ended: Ended) -> None:
    """Raises NotHeldError where a program's inside was shown to its user."""
    for word in TRACEBACK:
        hold(word not in ended.said, f"a traceback, {ended.last()}")


def fingerprint(run: Path) -> dict[str, str]:
    """Hashes of all that a run leaves but for what the clock says."""
    folder = RunFolder(run)
    rejected: list[str] = []
    found = newest_checkpoint(folder.checkpoints, on_reject=lambda path, reason: rejected.append(reason))
    hold(not rejected, f"a damaged checkpoint: {rejected}")
    told: dict[str, Any] = {} if found is None else {"state": _timeless(found.state)}
    files = [] if found is None else [found.path / f"{stem}.safetensors" for stem in found.stems]
    files += [folder.tokenizer, folder.manifest, *sorted(folder.data.glob("*.safetensors"))]
    told |= {path.name: path.read_bytes().hex() for path in files if path.is_file()}
    for path in (folder.metrics, folder.health, folder.samples, folder.surprise):
        told[path.name] = [_timeless(row) for row in read_rows(path)]
    if folder.summary.is_file():
        figures = _as_long(_timeless(json.loads(folder.summary.read_bytes())))
        told |= {f"{folder.summary.name}: {name}": value for name, value in figures.items()}
    told["checkpoints"] = [path.name for path in sorted(folder.checkpoints.glob("step-*"))]
    return {name: _hash(value) for name, value in told.items()}


def _as_long(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures, with what any run has of its last texts: a clock says how long they are.

    Sixteen tokens are the fewest, and eight letters are in those.
    """
    figures.pop("quality", None)
    for completion in figures.get("completions", []):
        completion["text"] = completion["text"][:8]
        completion.pop("cut", None)
    return figures


def differs(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The names of what is not equal in two fingerprints."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def hold_equal(straight: Mapping[str, str], run: Path, *, aside: Collection[str] = ("checkpoints",)) -> None:
    """Raises NotHeldError unless what came of the run is, bit for bit, what came of the straight one.

    Which checkpoints are there is left aside: a signal saves one more.
    """
    other = [name for name in differs(straight, fingerprint(run)) if name not in aside]
    hold(not other, f"not equal to the uninterrupted run: {', '.join(other)}")


def hold_whole(run: Path, acknowledged: int) -> int:
    """The newest saved step; raises NotHeldError when an acknowledged one is gone or any is half there."""
    rejected: list[str] = []
    parent = RunFolder(run).checkpoints
    found = newest_checkpoint(parent, on_reject=lambda path, reason: rejected.append(reason))
    step = found.step if found else 0
    replaced = list(parent.glob(f".old-{step_folder(parent, acknowledged).name}-*")) if acknowledged else []
    hold(not rejected, f"a checkpoint that is not whole: {rejected}")
    hold(step >= acknowledged or replaced, f"step {acknowledged} was said to be saved, and {step} is the newest there")
    return step


def acknowledged(ended_said: str) -> int:
    """The last step that the run said it had saved."""
    lines = [line.split() for line in ended_said.splitlines() if line.startswith("saved step ")]
    return int(lines[-1][2].rstrip(":")) if lines else 0


def copied(source: Path, target: Path) -> Path:
    """A copy of a run."""
    shutil.copytree(source, target, symlinks=True)
    return target


def hold_refused(ended: Ended, names: str) -> None:
    """Raises NotHeldError unless it ended as the user's mistake does: code 2, one message, the object in it."""
    no_traceback(ended)
    hold(ended.code == 2, f"was not refused, {ended.last()}")
    hold(names in ended.err, f"does not name {names!r}, {ended.last()}")


def _timeless(row: Any) -> Any:
    if isinstance(row, Mapping):
        return {key: _timeless(value) for key, value in row.items() if key not in OF_THE_CLOCK}
    return [_timeless(value) for value in row] if isinstance(row, list) else row


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
