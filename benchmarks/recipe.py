"""What a change of the recipe is worth at equal tokens: real runs of the shape that five minutes on a CPU get.

python benchmarks/recipe.py [--text python] [--tokens 1.4e6] [--seeds 0 1 2] [--jobs 1]
    --try schedule.decay_share=0.8 --try "optimizer.lr=8e-3 training.batch_tokens=1024"

The first row is the recipe as it is; each --try changes what it names. All runs have one thread (machine.threads), so
that several can go on at once (--jobs) and the tokens decide, not the load. Differences are paired by seed: both runs
begin with the same weights and see the same text in the same order. The processor seconds tell what a change costs;
with --jobs above 1 they take in what other runs spent meanwhile, so that only the bits count.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from about import print_about

from chainrule.config import modern

WIDTH, HEADS, LAYERS, WINDOW, VOCABULARY, BATCH = 192, 3, 4, 256, 2048, 2048
GROWN = {"schedule.first_window": "64", "training.first_weights": "previous-token"}


@dataclass(frozen=True)
class Row:
    """One finished run."""

    words: str
    seed: int
    bits: float
    seconds: float


def settings(change: str) -> dict[str, str]:
    """The recipe's settings with those of `change`, "section.key=value section.key=value"."""
    shape = modern(WIDTH, HEADS, LAYERS, WINDOW, VOCABULARY)
    flat = {f"{section}.{key}": str(value) for section, keys in shape.items() for key, value in keys.items()}
    flat |= {**GROWN, "training.batch_tokens": str(BATCH), "training.save_every": "1000000"}
    return flat | dict(word.split("=", 1) for word in change.split())


def run(text: str, tokens: float, change: str, seed: int, cache: Path) -> Row:
    """Trains one run to its end and reads its summary."""
    flat = settings(change)
    steps = round(tokens / int(flat["training.batch_tokens"]))
    flat |= {"training.steps": str(steps), "training.seed": str(seed), "machine.threads": "1", "machine.workers": "1"}
    flat |= {"training.eval_every": str(steps), "training.sample_every": str(steps), "machine.cache": str(cache)}
    flat |= {"training.health_every": "0"}
    with tempfile.TemporaryDirectory() as folder:
        toml = Path(folder, "recipe.toml")
        toml.write_text("".join(f"{key} = {literal(value)}\n" for key, value in flat.items()))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "chainrule", "pretrain", text, "--config", str(toml), "--json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    row = Row(change, seed, json.loads(done.stdout)["val_bits_per_byte"], after.ru_utime - before.ru_utime)
    print(
        f"seed {seed}: {row.bits:.4f} bits a byte, {steps} steps, {row.seconds:.0f} s: {change or 'as it is'}",
        flush=True,
    )
    return row


def literal(value: str) -> str:
    """`value` as TOML writes it: numbers and truth as they are, words in quotes."""
    if value in ("True", "False"):
        return value.lower()
    try:
        float(value)
    except ValueError:
        return json.dumps(value)
    return value


def table(rows: list[Row], changes: list[str]) -> None:
    """Mean, spread, and the mean of the differences to the recipe at the same seed."""
    base = {row.seed: row for row in rows if row.words == ""}
    print(f"{'mean':>7} {'lowest':>7} {'highest':>7} {'against':>8} {'CPU':>6}  change")
    for change in changes:
        mine = [row for row in rows if row.words == change]
        bits = [row.bits for row in mine]
        apart = statistics.mean(row.bits - base[row.seed].bits for row in mine)
        cost = statistics.mean(row.seconds / base[row.seed].seconds for row in mine)
        print(
            f"{statistics.mean(bits):>7.4f} {min(bits):>7.4f} {max(bits):>7.4f} {apart:>+8.4f} {cost:>5.2f}x  "
            f"{change or 'as it is'} (seeds {', '.join(str(row.seed) for row in mine)})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", default="python")
    parser.add_argument("--tokens", type=float, default=1.4e6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--try", dest="tries", action="append", default=[], metavar="CHANGE")
    options = parser.parse_args()
    print_about()
    text = str(Path(options.text).resolve()) if Path(options.text).exists() else options.text
    changes = ["", *options.tries]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        jobs = [(change, seed) for seed in options.seeds for change in changes]
        rows = list(pool.map(lambda job: run(text, options.tokens, job[0], job[1], Path(folder)), jobs))
    print(f"{options.text}, {options.tokens:,.0f} tokens of training a run")
    table(rows, changes)


if __name__ == "__main__":
    main()
