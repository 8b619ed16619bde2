"""Training beside another program that holds one core: tokens a second by threads and by how long they spin.

    python benchmarks/busy_core.py [--model 0.8M] [--seconds 8] [--rounds 5]

Each side is a process that trains for so many seconds of wall time, in turn: one thread and two, with GNU OpenMP's
default (GOMP_SPINCOUNT 300,000), what the command sets (10,000) and less; alone, and beside a process that computes
without an end. The last column is the share of what one thread makes alone, which stands for one free core.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median

from about import print_about

from chainrule.base import cpu_pressure, freed_memory_kept
from chainrule.bench.asked import own_text
from chainrule.bench.sizes import GRAD_CLIP, SIZES, drawn_windows, same_architecture, text_ids
from chainrule.data import Windows
from chainrule.device import Precision
from chainrule.model import GPT
from chainrule.optim import Optimizer
from chainrule.train import StepSettings, train_step
from chainrule.train.objective import NextToken

GNU, OURS, SHORT, NONE = "300000", "10000", "1000", "0"
SIDES = ((1, OURS), (2, GNU), (2, OURS), (2, SHORT), (2, NONE))
BURN = "while True: pass"


def train(size_name: str, text: Path, seconds: float) -> float:
    """Tokens a second of wall time, after a second that is not counted."""
    size = SIZES[size_name]
    ids, n_letters = text_ids(text)
    windows = drawn_windows(ids, size)
    config = same_architecture(size, size.vocab_size or n_letters)
    model = GPT(config.model)
    optimizer, objective = Optimizer(model, config), NextToken(model.loss)
    settings = StepSettings(1.0, size.batch, GRAD_CLIP, Precision("cpu", "float32"))

    def steps(until: float) -> int:
        done = 0
        while time.perf_counter() < until or not done:
            train_step(model, optimizer, objective, Windows(windows[done % len(windows)], None), settings)
            done += 1
        return done

    with freed_memory_kept():
        steps(time.perf_counter() + 1.0)
        began = time.perf_counter()
        done = steps(began + seconds)
        return done * size.batch * size.context_length / (time.perf_counter() - began)


def measured(options: argparse.Namespace, text: Path, threads: int, spins: str) -> float:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {"OMP_NUM_THREADS": str(threads), "GOMP_SPINCOUNT": spins}
    words = ["--child", str(text), "--model", options.model, "--seconds", str(options.seconds)]
    done = subprocess.run(
        [sys.executable, __file__, *words], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


@contextmanager
def company() -> Iterator[None]:
    """A program that takes all that it gets of one core."""
    with subprocess.Popen([sys.executable, "-c", BURN]) as child:
        try:
            yield
        finally:
            child.kill()


def compared(options: argparse.Namespace, text: Path) -> None:
    found: dict[tuple[int, str, bool], list[float]] = {}
    for _ in range(options.rounds):
        for busy in (False, True):
            for threads, spins in SIDES:
                with company() if busy else nullcontext():
                    reading = measured(options, text, threads, spins)
                found.setdefault((threads, spins, busy), []).append(reading)
                told = f"{threads} threads, spins {spins}, {'beside' if busy else 'alone'}: {reading:,.0f}"
                print(told, file=sys.stderr, flush=True)
    free = median(found[1, OURS, False])
    print(f"{'threads':>8} {'spins':>8} {'':>7} {'tokens/s':>9} {'range':>17}  share of one free core")
    for (threads, spins, busy), all_of in found.items():
        words = "beside" if busy else "alone"
        spread = f"{min(all_of):,.0f} to {max(all_of):,.0f}"
        middle = median(all_of)
        print(f"{threads:>8} {spins:>8} {words:>7} {middle:>9,.0f} {spread:>17}  {middle / free:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SIZES, default="0.8M")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(train(options.model, options.child, options.seconds))
        return
    print_about()
    with tempfile.TemporaryDirectory() as name:
        before, began = cpu_pressure(), time.perf_counter()
        compared(options, own_text(Path(name)))
        after, seconds = cpu_pressure(), time.perf_counter() - began
    if before and after:
        print(f"some task waited for a processor in {(after.waited_seconds - before.waited_seconds) / seconds:.0%}")


if __name__ == "__main__":
    main()
