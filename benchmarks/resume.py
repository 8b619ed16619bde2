"""A straight run against one that is stopped again and again and resumed: are the bits the same?

    python benchmarks/resume.py [--stops 5] [--steps 60] [--corpus python] [--signals KILL TERM HUP "INT INT"]

For each kind of stop a run of its own is stopped so many times: the signal (or two of them, shortly one after the
other) comes at a random instant behind a random step, in a process of its own; the same command then resumes. Prints a
table: where it stopped, with which exit codes, and whether weights, optimizer and losses are those of the straight run.
"""

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from about import print_about

from chainrule.checkpoint import newest_checkpoint
from chainrule.run import read_rows

SETTINGS = [
    *("--model.emb-dim", "64", "--model.n-heads", "2", "--model.n-layers", "2", "--model.context-length", "64"),
    *("--model.vocab-size", "512", "--model.drop-rate", "0.1", "--training.batch-tokens", "512"),
    *("--training.save-every", "7", "--training.eval-every", "10", "--training.sample-every", "20"),
]
KINDS = ("KILL", "TERM", "HUP", "INT INT")
# Behind the row of a step: a step of this model takes a few milliseconds, a save and a look some tens.
MOST_DELAY, MOST_GAP = 0.1, 0.02


def train(corpus: str, run: Path, steps: int, stop: tuple[int, str, random.Random] | None = None) -> int:
    """Runs or resumes and returns the exit code; `stop`: once this step is logged, these signals, by this chance."""
    command = [sys.executable, "-m", "chainrule", "pretrain"]
    if run.exists():
        command += ["--resume", str(run)]
    else:
        command += [corpus, "--run", str(run), "--training.steps", str(steps), *SETTINGS]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None:
        if stop is not None and last_step(run) >= stop[0]:
            send(child, stop[1], stop[2])
            return child.wait()
        try:
            child.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    return child.returncode


def send(child: "subprocess.Popen[bytes]", names: str, chance: random.Random) -> None:
    """The signals after a random while, and after another between two of them."""
    time.sleep(chance.random() * MOST_DELAY)
    for name in names.split():
        child.send_signal(getattr(signal, f"SIG{name}"))
        time.sleep(chance.random() * MOST_GAP)


def last_step(run: Path) -> int:
    """The last step that the run logged."""
    return max((row["step"] for row in read_rows(run / "metrics.jsonl") if row.get("kind") == "train"), default=0)


def fingerprint(run: Path) -> tuple[str, str, list[float]]:
    """Hashes of weights and optimizer state, and all losses."""
    found = newest_checkpoint(run / "checkpoints", on_reject=lambda path, reason: None)
    assert found is not None
    hashes = []
    for name in ("model", "optimizer"):
        digest = hashlib.sha256()
        for key, tensor in sorted(found.tensors(name).items()):
            digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
        hashes.append(digest.hexdigest()[:16])
    losses = [row["loss"] for row in read_rows(run / "metrics.jsonl") if row["kind"] == "train"]
    return hashes[0], hashes[1], losses


def stopped(corpus: str, run: Path, steps: int, kind: str, n_stops: int, chance: random.Random) -> list[str]:
    """Takes a run to its end by way of so many stops; where each was asked for, and the exit code."""
    told = []
    for instant in sorted(chance.randrange(1, steps) for _ in range(n_stops)):
        code = train(corpus, run, steps, (instant, kind, chance))
        told.append(f"{instant}:{code}")
    if code := train(corpus, run, steps):
        raise SystemExit(f"the run ended with {code}")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--corpus", default="python")
    parser.add_argument("--signals", nargs="+", default=list(KINDS))
    options = parser.parse_args()
    print_about()
    chance = random.Random(0)
    different = False
    with tempfile.TemporaryDirectory() as folder:
        straight = Path(folder) / "straight"
        if code := train(options.corpus, straight, options.steps):
            raise SystemExit(f"the straight run ended with {code}")
        one = fingerprint(straight)
        print(f"{options.steps} steps, seed 0; weights {one[0]}, optimizer {one[1]}")
        print(f"{'signals':10} {'weights':10} {'optimizer':10} {'losses':10} step:exit code of each stop")
        for kind in options.signals:
            run = Path(folder) / kind.replace(" ", "-")
            told = stopped(options.corpus, run, options.steps, kind, options.stops, chance)
            other = fingerprint(run)
            equal = sum(a == b for a, b in zip(one[2], other[2], strict=False))
            words = ["equal" if a == b else "DIFFERENT" for a, b in zip(one[:2], other[:2], strict=True)]
            print(f"{kind:10} {words[0]:10} {words[1]:10} {f'{equal}/{len(one[2])}':10} {' '.join(told)}", flush=True)
            different |= one != other
    raise SystemExit(1 if different else 0)


if __name__ == "__main__":
    main()
