"""A straight run against one that is killed again and again and resumed: are the bits the same?

    python benchmarks/resume.py [--kills 5] [--steps 60] [--corpus python]

Each kill is a SIGKILL after a random step, in a process of its own; the same command then resumes.
"""

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from about import print_about

from chainrule.checkpoint import newest_checkpoint
from chainrule.run import read_rows

SETTINGS = [
    *("--model.emb-dim", "64", "--model.n-heads", "2", "--model.n-layers", "2", "--model.context-length", "64"),
    *("--model.vocab-size", "512", "--model.drop-rate", "0.1", "--training.batch-tokens", "512"),
    *("--training.save-every", "7", "--training.eval-every", "10", "--training.sample-every", "20"),
]


def train(corpus: str, run: Path, steps: int, kill_after: int | None = None) -> bool:
    """Runs or resumes; with `kill_after` the process is killed once it has logged that step. True when it finished."""
    command = [sys.executable, "-m", "chainrule", "pretrain"]
    if run.exists():
        command += ["--resume", str(run)]
    else:
        command += [corpus, "--run", str(run), "--training.steps", str(steps), *SETTINGS]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None:
        if kill_after is not None and last_step(run) >= kill_after:
            child.kill()
            child.wait()
            return False
        try:
            child.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    if child.returncode:
        raise SystemExit(f"the run ended with {child.returncode}")
    return True


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--corpus", default="python")
    options = parser.parse_args()
    print_about()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        straight, killed = Path(folder) / "straight", Path(folder) / "killed"
        train(options.corpus, straight, options.steps)
        instants = sorted(chance.randrange(1, options.steps) for _ in range(options.kills))
        for instant in instants:
            train(options.corpus, killed, options.steps, kill_after=instant)
        train(options.corpus, killed, options.steps)
        one, other = fingerprint(straight), fingerprint(killed)
    print(f"{options.steps} steps, seed 0, SIGKILL once steps {instants} were logged")
    for name, a, b in zip(("weights", "optimizer state"), one, other, strict=False):
        print(f"{name}: straight {a}, killed and resumed {b}: {'equal' if a == b else 'DIFFERENT'}")
    equal = sum(a == b for a, b in zip(one[2], other[2], strict=True))
    print(f"losses: {equal} of {len(one[2])} equal to the last bit")
    raise SystemExit(0 if one == other else 1)


if __name__ == "__main__":
    main()
