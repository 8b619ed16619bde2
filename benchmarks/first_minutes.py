"""What a person sees of `chainrule quickstart`: seconds to the first loss line, to the end, and how good it became.

python benchmarks/first_minutes.py [--text king-james|python] [--repeats 1] [--minutes 5]

A lower class of processor is forced by ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 before the command.
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
NAMES = ("unigram", "bigram", "gzip", "xz", "xz_seen")


def watched(folder: Path, minutes: float, text: str, corpus: Path | None) -> tuple[float, float, dict[str, Any]]:
    """Seconds to the first loss line, seconds to the end, and the summary."""
    verb = ["quickstart", "--text", text] if corpus is None else ["pretrain", str(corpus.resolve())]
    command = [sys.executable, "-m", "chainrule", *verb, "--minutes", str(minutes), "--json"]
    start, first = time.perf_counter(), 0.0
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
    assert child.stderr is not None and child.stdout is not None
    for line in child.stderr:
        if not first and "loss" in line:
            first = time.perf_counter() - start
    summary = json.loads(child.stdout.read())
    child.wait()
    return first, time.perf_counter() - start, summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--text", choices=("king-james", "python"), default="king-james")
    parser.add_argument("--corpus", type=Path, default=None)
    options = parser.parse_args()
    print_about()
    rows = []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            first, whole, summary = watched(Path(folder), options.minutes, options.text, options.corpus)
        rows.append(summary["val_bits_per_byte"])
        baselines, python = summary["baselines"], summary["python"]
        print(f"first loss line after {first:.1f} s, end after {whole:.0f} s (seed 0)")
        size = f"{summary['parameters']} parameters, {summary['tokens']} tokens"
        print(f"{size}, {summary['tokens_per_second']:.0f} tokens/s, {summary['peak_share']:.1%} of the measured peak")
        print(f"bits per byte on held-out text: {summary['val_bits_per_byte']:.4f}")
        print("baselines: " + ", ".join(f"{name} {baselines[name]:.3f}" for name in NAMES))
        if python:
            print(f"functions that parse: {python['parsed']} of {python['functions']}")
        if quality := summary.get("quality"):
            shares = ", ".join(
                f"{name} {quality[name]:.3f}" for name in ("known_words", "repeated_runs", "with_an_end")
            )
            print(f"samples: {shares}")
        for one in summary["completions"]:
            print(f"--- {one['prompt']!r}\n{one['prompt']}{one['text']}")
    if len(rows) > 1:
        spread = f"{min(rows):.4f} to {max(rows):.4f}"
        print(f"bits per byte over {len(rows)} runs: median {statistics.median(rows):.4f}, {spread}")


if __name__ == "__main__":
    main()
