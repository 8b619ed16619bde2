"""Faults that are planted in a copy of the package: a proof that finds none of them proves nothing."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import chainrule
from proof.case import Outcome

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Mutant:
    """A fault: one place of a file, what stands there and what is put there, and the proof that must find it."""

    part: str
    says: str
    file: str
    old: str
    new: str
    case: str
    attempts: int = 12


MUTANTS = (
    Mutant(
        "kills",
        "a resume forgets the optimizer's state",
        "train/state.py",
        'self.optimizer.load_state(checkpoint.tensors("optimizer"))',
        "pass",
        "4 kills inside saves",
        2,
    ),
    Mutant(
        "kills",
        "older checkpoints go before the new one is whole",
        "checkpoint/save.py",
        "            unfinished.mkdir()\n",
        '            unfinished.mkdir()\n            [shutil.rmtree(one) for one in parent.glob("step-*")]\n',
        "4 kills inside saves",
        3,
    ),
    Mutant(
        "verbs",
        "a checkpoint is deleted under its own name",
        "checkpoint/names.py",
        "        folder.rename(stump)\n        fsync_folder(folder.parent)\n        shutil.rmtree(stump)",
        "        shutil.rmtree(folder)",
        "kills in runs prune",
        30,
    ),
    Mutant(
        "calls",
        "a sync that fails counts as done",
        "base/disk.py",
        "        if fault.errno == errno.EIO:\n            raise NotKeptError",
        "        if fault.errno == errno.EIO:\n            return\n            raise NotKeptError",
        "each system call of a save (strace)",
        600,
    ),
    Mutant(
        "flips",
        "checksums of a checkpoint are not compared",
        "checkpoint/manifest.py",
        "if found != entry.sha256:",
        "if not found:",
        "a bit of every byte of a checkpoint",
        200,
    ),
    Mutant(
        "flips",
        "the fingerprint of the tokenizer is not compared",
        "train/resume.py",
        'if checkpoint.state["tokenizer"] != tokenizer.fingerprint:',
        "if False:",
        "a bit of every byte of the run's tokenizer.json",
        400,
    ),
    Mutant(
        "disk",
        "a full disk is not waited for",
        "train/room.py",
        "return isinstance(cause, OSError) and cause.errno in PASSING",
        "return False",
        "a disk that fills while the run goes on, and has room again",
        4,
    ),
    Mutant(
        "signals",
        "a second Ctrl-C inside a step saves",
        "train/loop.py",
        "                with session.stop.held():\n                    session.note(",
        "                with session.stop.held():\n                    (save(session), session.note)[1](",
        "a second signal at a line of an update",
        30,
    ),
    Mutant(
        "resumes",
        "the dropout of a resumed step is another",
        "train/loop.py",
        "seed_step(config.training.seed, progress.step)",
        "seed_step(config.training.seed, session.stop.n_signals + progress.step * (health is None))",
        "resume: every step of 30",
        2,
    ),
    Mutant(
        "together",
        "the lock holds nobody off",
        "run/lock.py",
        "        lock = _acquired(run, holder)",
        '        lock = SoftFileLock(run.path / f"lock-{os.getpid()}")',
        "40 starts on one folder, up to 4 at once",
        4,
    ),
    Mutant(
        "bad-input",
        "a model may have no layers",
        "config/model.py",
        "n_layers: PositiveInt",
        "n_layers: int",
        "bad things",
        173,
    ),
    Mutant(
        "hostile",
        "a row that is no JSON is not passed over",
        "run/line.py",
        "        row = json_value(content)\n    except ValueError:",
        "        row = json_value(content)\n    except KeyError:",
        "hostile values in a run's files",
        150,
    ),
)


def mutants(folder: Path, only: Sequence[str]) -> Iterator[Outcome]:
    """Runs each part against its mutants; held is what was found."""
    for number, mutant in enumerate(MUTANTS):
        if mutant.part in only:
            yield _found(mutant, folder / f"mutant-{number}")


def _found(mutant: Mutant, place: Path) -> Outcome:
    outcome = Outcome("mutants", f"{mutant.part}: {mutant.says}", 1, tried=1)
    began = time.monotonic()
    copy = _planted(mutant, place)
    words = ["--only", mutant.part, "--case", mutant.case, "--attempts", str(mutant.attempts)]
    done = subprocess.run(
        [sys.executable, "-m", "proof", *words, "--results", str(place / "results")],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    found = done.returncode == 1 and "NOT HELD" in done.stdout
    outcome.held = int(found)
    outcome.seconds = time.monotonic() - began
    if found:
        line = next((line for line in done.stdout.splitlines() if "NOT HELD" in line), "")
        outcome.ways["found"] += 1
        outcome.wrong = []
        print(f"  {mutant.says}: {line[:110].strip()}")
    else:
        outcome.wrong.append(f"not found: {done.stdout[-600:]} {done.stderr[-600:]}")
    shutil.rmtree(place)
    return outcome


def _planted(mutant: Mutant, place: Path) -> Path:
    """A copy of the package and of these proofs with the fault in it."""
    ignore = shutil.ignore_patterns("__pycache__", "results")
    shutil.copytree(Path(chainrule.__file__).parent, place / "chainrule", ignore=ignore)
    shutil.copytree(HERE, place / "proof", ignore=ignore)
    path = place / "chainrule" / mutant.file
    content = path.read_text("utf-8")
    if content.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file} has {mutant.old!r} {content.count(mutant.old)} times; mend the table")
    path.write_text(content.replace(mutant.old, mutant.new), "utf-8")
    return place
