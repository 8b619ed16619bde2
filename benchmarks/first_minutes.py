"""What a person sees of `chainrule quickstart`: seconds to the first loss line, to the end, and how good it became.

python benchmarks/first_minutes.py [--text king-james|python] [--seeds 0 1 2] [--minutes 5] [--keep FOLDER]

A lower class of processor is forced by ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 before the command. --keep
leaves the run folders there, for benchmarks/sampling.py and benchmarks/look_back.py.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from about import print_about

SAMPLES = ("known_words", "repeated_runs", "with_an_end")
NAMES = ("unigram", "bigram", "fivegram", "gzip", "xz", "xz_seen")


def watched(folder: Path, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The summary, with the seconds to the first loss line ("first_line") and to the end ("whole")."""
    text = ["quickstart", "--text", options.text, "--seed"]
    verb = text if options.corpus is None else ["pretrain", str(options.corpus.resolve()), "--training.seed"]
    run = ["--minutes", str(options.minutes), "--json", "--name", f"seed-{seed}"]
    command = [sys.executable, "-m", "chainrule", *verb, str(seed), *run]
    start, first = time.perf_counter(), 0.0
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
    assert child.stderr is not None and child.stdout is not None
    for line in child.stderr:
        if not first and "loss" in line:
            first = time.perf_counter() - start
    summary = json.loads(child.stdout.read())
    child.wait()
    return {**summary, "first_line": first, "whole": time.perf_counter() - start, "seed": seed}


def tell(summary: dict[str, Any]) -> None:
    """One run, with all that it wrote at its end."""
    baselines, scored = summary["baselines"], summary["scored"]
    first, whole = summary["first_line"], summary["whole"]
    print(f"\nseed {summary['seed']}: first loss line after {first:.1f} s, end after {whole:.0f} s")
    size = f"{summary['parameters']:,} parameters, {summary['tokens']:,} tokens in {summary['step']:,} steps"
    print(f"{size}, {summary['tokens_per_second']:.0f} tokens/s, {summary['peak_share']:.1%} of the measured peak")
    share = f"{scored['n_bytes'] / scored['of_bytes']:.0%} of the held-out text scored"
    print(f"bits per byte on held-out text: {summary['val_bits_per_byte']:.4f} ({share})")
    print("baselines: " + ", ".join(f"{name} {baselines[name]:.3f}" for name in NAMES if baselines.get(name)))
    for task in summary["tasks"]:
        print(f"{task['task']}: {task['right']} of {task['n']} {task['told']}")
    if quality := summary.get("quality"):
        print("samples: " + ", ".join(f"{name} {quality[name]:.3f}" for name in SAMPLES))
    for one in summary["completions"]:
        print(f"--- {one['prompt']!r}\n{one['prompt']}{one['text']}")


def table(rows: list[dict[str, Any]]) -> None:
    """Median and range over the seeds."""
    print(f"\nover {len(rows)} runs: median (lowest to highest)")
    for words, name, form in (
        ("first loss line, s", "first_line", ".1f"),
        ("all in, s", "whole", ".0f"),
        ("tokens", "tokens", ",.0f"),
        ("share of the measured peak", "peak_share", ".1%"),
        ("bits per byte", "val_bits_per_byte", ".4f"),
    ):
        found = [row[name] for row in rows]
        print(f"{words:>28}: {statistics.median(found):{form}} ({min(found):{form}} to {max(found):{form}})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--text", choices=("king-james", "python"), default="king-james")
    parser.add_argument("--corpus", type=Path, default=None)
    parser.add_argument("--keep", type=Path, default=None)
    options = parser.parse_args()
    print_about()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = options.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for seed in options.seeds:
            rows.append(watched(place, options, seed))
            tell(rows[-1])
            sys.stdout.flush()
    table(rows)


if __name__ == "__main__":
    main()
