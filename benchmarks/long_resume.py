"""How long a resume takes up to its first new step, after a million steps and after a few.

    python benchmarks/long_resume.py [--rows 1000000] [--times 5]

A tiny run is trained for a few steps. In a copy of it the journals are lengthened to so many rows by the project's own
writer, as a run of a million steps leaves them: the rows of figures and of times are those of the run, one a step, and
the checkpoint, its state and settings say that step. Both are resumed in turn, each from a fresh copy; from the loaded
program to the first row of a new step its processor time is counted (user and system), because on a shared machine the
time on the wall is that of others, too. Prints the medians.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from about import print_about

from chainrule.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from chainrule.run import RunFolder, journal_ends, looked_back_on, read_rows
from chainrule.run.line import sealed_lines

SETTINGS = [
    *("--model.emb-dim", "16", "--model.n-heads", "2", "--model.n-layers", "1", "--model.context-length", "16"),
    *("--vocabulary.kind", "bytes", "--training.batch-tokens", "64", "--training.log-every", "1"),
    *("--training.eval-every", "4", "--training.sample-every", "8", "--training.save-every", "8"),
    *("--training.eval-tokens", "64", "--training.sample-tokens", "2", "--training.health-every", "4"),
    *("--machine.threads", "1", "--machine.precision", "float32", "--machine.device", "cpu"),
    *("--text.near-duplicates", "keep"),
]
STEPS, MORE = 8, 1
# Run in the child: a resume that ends itself at the first row of a new step, and says what that took.
CHILD = """
import os, resource, sys, time
began = time.perf_counter()
from pathlib import Path
from chainrule.config import Layer
from chainrule.run import TrainRow
from chainrule.train import pretrain
loaded, at_load = time.perf_counter(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
def watch(record):
    if isinstance(record, TrainRow):
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - at_load
        print(used, time.perf_counter() - loaded, flush=True)
        os._exit(0)
pretrain([Layer("more", {"training": {"steps": int(sys.argv[2])}})], Path(sys.argv[1]), resume=True, watch=watch)
"""


def train(folder: Path) -> RunFolder:
    """A short run that ended."""
    text = folder / "text"
    text.mkdir()
    for number in range(40):
        (text / f"{number:02}.txt").write_text(f"the sea and the old man {number} went home before the storm\n" * 20)
    command = [sys.executable, "-m", "chainrule", "pretrain", str(text), "--run", str(folder / "few")]
    command += ["--training.steps", str(STEPS), *SETTINGS]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return RunFolder(folder / "few")


def lengthened(few: RunFolder, path: Path, n_rows: int) -> RunFolder:
    """A copy of the run as it would be so many steps later."""
    many, shift = RunFolder(Path(shutil.copytree(few.path, path))), n_rows - STEPS
    for journal in (many.metrics, many.phases, many.health, many.samples):
        rows = list(read_rows(journal))
        by_step: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            by_step.setdefault(row["step"], []).append(row)
        last = max(by_step)
        every = 1 if journal in (many.metrics, many.phases) else 1000
        journal.write_bytes(sealed_lines(_spread(by_step, last, shift, every)))
    found = newest_checkpoint(many.checkpoints, on_reject=lambda path, reason: None)
    assert found is not None
    _moved(many, found.step, shift)
    return many


def _spread(by_step: Mapping[int, list[dict[str, Any]]], last: int, shift: int, every: int) -> Iterator[dict[str, Any]]:
    """The rows of each of the first steps, then as many again of the last, up to the new last step."""
    for step in sorted(by_step):
        yield from by_step[step]
    kept = [row for row in by_step[last] if row.get("kind") in ("train", None)] or by_step[last][:1]
    for step in range(last + 1, last + shift + 1):
        if step % every == 0 or step == last + shift:
            yield from ({**row, "step": step} for row in kept)


def _moved(run: RunFolder, step: int, shift: int) -> None:
    """The checkpoint of a later step, whose state says so."""
    there = load_checkpoint(run.checkpoints / f"step-{step:08}")
    state = json.loads(json.dumps(there.state))
    progress = state["progress"]
    progress |= {"step": step + shift, "looked": step + shift, "samples": progress["samples"] + shift * 4}
    progress["val_losses"] = {}
    state["journals"] = journal_ends(looked_back_on(run))
    place = run.path / "skipped"
    place.mkdir(exist_ok=True)
    names = (name for name in there.files if name != "state.json" and not name.endswith(".safetensors"))
    copies = [Path(shutil.copy(there.path / name, place)) for name in names]
    save_checkpoint(run.checkpoints, step + shift, {stem: there.tensors(stem) for stem in there.stems}, state, copies)
    shutil.rmtree(place)
    for old in run.checkpoints.glob("step-*"):
        if old.name != f"step-{step + shift:08}":
            shutil.rmtree(old)


def resumed(run: RunFolder, folder: Path, steps: int) -> tuple[float, float]:
    """Seconds of the processor and of the wall from the loaded program to a new step."""
    copy = folder / "resumed"
    shutil.copytree(run.path, copy)
    command = [sys.executable, "-c", CHILD, str(copy), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    shutil.rmtree(copy)
    if done.returncode:
        raise SystemExit(done.stderr)
    used, wall = done.stdout.split()[-2:]
    return float(used), float(wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    print_about()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        few = train(folder)
        began = time.perf_counter()
        many = lengthened(few, folder / "many", options.rows)
        sizes = {path.name: path.stat().st_size / 2**20 for path in many.journals if path.is_file()}
        print(f"{options.rows:,} steps written in {time.perf_counter() - began:.0f} s: ", end="")
        print(", ".join(f"{name} {size:.1f} MiB" for name, size in sizes.items() if size >= 0.1))
        found: dict[str, list[tuple[float, float]]] = {"few": [], "many": []}
        for _ in range(options.times):
            found["few"].append(resumed(few, folder, STEPS + MORE))
            found["many"].append(resumed(many, folder, options.rows + MORE))
    print(f"{'rows':>10} {'processor s':>12} {'(each)':40} {'wall s':>8}")
    medians = {}
    for name, each in found.items():
        used, wall = zip(*each, strict=True)
        medians[name] = statistics.median(used)
        told = " ".join(f"{one:.2f}" for one in used)
        print(f"{name:>10} {medians[name]:12.2f} {told:40} {statistics.median(wall):8.2f}")
    print(f"a resume of {options.rows:,} steps takes {medians['many'] - medians['few']:.2f} s of the processor more")


if __name__ == "__main__":
    main()
