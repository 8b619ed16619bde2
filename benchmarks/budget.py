"""Does a run end when it was told to, alone and beside another program, and what does the company cost?

    python benchmarks/budget.py [--minutes 5] [--corpus python] [--eaters 1] [--journal]

The same command twice: alone, and beside `--eaters` processes that each take all they can get of a core, from the first
second to the last. "whole" is the wall time of the command, interpreter, preparation and report included. --journal
measures the reading of the journal of a million steps instead.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from about import print_about

from chainrule.run import cut_after_step, read_rows, rows_from_end
from chainrule.train.meter import is_kept


def eat() -> None:
    """Arithmetic without an end, on one core."""
    number = 1
    while True:
        number = number * 6364136223846793005 + 1442695040888963407 & 0xFFFFFFFFFFFFFFFF


@contextmanager
def company(eaters: int) -> Iterator[None]:
    """So many hungry processes beside the block."""
    children = [multiprocessing.Process(target=eat, daemon=True) for _ in range(eaters)]
    for child in children:
        child.start()
    try:
        yield
    finally:
        for child in children:
            child.terminate()
            child.join()


def run(corpus: str, minutes: float, folder: Path) -> tuple[float, dict[str, Any], list[dict[str, Any]]]:
    """Wall seconds of the command, its summary, and the run's events."""
    words = ["pretrain", corpus, "--minutes", str(minutes), "--run", "it", "--json"]
    command = [sys.executable, "-m", "chainrule", *words]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    whole = time.perf_counter() - start
    return whole, json.loads(done.stdout), list(read_rows(folder / "runs" / "it" / "events.jsonl"))


def compared(corpus: str, minutes: float, eaters: int) -> None:
    path = str(Path(corpus).resolve()) if Path(corpus).exists() else corpus
    print(
        f"{'':>12} {'asked':>7} {'whole':>7} {'steps':>7} {'tokens/s':>9} {'bits/byte':>9} {'scored':>9}  planned again"
    )
    for words, beside in (("alone", 0), (f"beside {eaters}", eaters)):
        with tempfile.TemporaryDirectory() as folder, company(beside):
            whole, summary, events = run(path, minutes, Path(folder))
        scored = summary["scored"]["n_bytes"] / summary["scored"]["of_bytes"]
        turns = ", ".join(f"{row['step']}: {row['turn']['steps']}" for row in events if "turn" in row)
        print(
            f"{words:>12} {minutes * 60:>5.0f} s {whole:>5.0f} s {summary['step']:>7,} "
            f"{summary['tokens_per_second']:>9,.0f} {summary['val_bits_per_byte']:>9.4f} "
            f"{scored:>9.1%}  {turns or 'never'}"
        )
        for row in events:
            print(f"{'':>12} step {row.get('step', '–')}: {row['message']}")


def journal(steps: int) -> None:
    """Size of a long run's file as it is written now, and as it was; time and memory of what a resume does with it."""
    row = {"kind": "train", "tokens": 1, "seconds": 1.0, "loss": 3.14159265, "lr": 4e-3, "grad_norm": 0.512345}
    more = {"tokens_per_second": 20480.1, "peak_share": 0.6123, "seconds_left": 12345.6}
    with tempfile.TemporaryDirectory() as folder:
        for words, kept in (("thinned", is_kept), ("every step", lambda step: True)):
            path = Path(folder) / f"{words}.jsonl"
            with path.open("w") as stream:
                for step in range(1, steps + 1):
                    if kept(step):
                        stream.write(json.dumps({**row, "step": step, **more}) + "\n")
            size = path.stat().st_size
            tracemalloc.start()
            began = time.perf_counter()
            cut_after_step(path, steps - 100)
            n_recent = len(list(islice(rows_from_end(path, "train"), 64)))
            resumed, memory = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            began = time.perf_counter()
            n_rows = sum(1 for _ in read_rows(path))
            whole = time.perf_counter() - began
            print(
                f"{words}: {size / 1e6:.1f} MB, {n_rows:,} rows; what a resume does {1000 * resumed:.1f} ms and "
                f"{memory / 1e6:.2f} MB ({n_recent} recent rows); read from end to end {whole:.2f} s"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--corpus", default="python")
    parser.add_argument("--eaters", type=int, default=1)
    parser.add_argument("--journal", action="store_true")
    options = parser.parse_args()
    print_about()
    if options.journal:
        journal(1_000_000)
    else:
        compared(options.corpus, options.minutes, options.eaters)


if __name__ == "__main__":
    main()
