"""Seconds from `chainrule chat MODEL` to the first letter of the first answer, from processes of their own.

python benchmarks/first_token.py [MODEL] [--runs 7]

The first run fills the system's cache of files and is not counted. The second answer of each process shows what a turn
costs that goes on from the cache.
"""

import argparse
import statistics
import subprocess
import sys
import time

from about import print_about

QUESTIONS = (b"What is the capital of France?\n", b"And of Italy?\n")


def seconds(model: str) -> tuple[float, float]:
    """Until the first byte of the first answer, from the start of the process, and of the second, from its question."""
    command = [sys.executable, "-m", "chainrule", "chat", model, "--temperature", "0"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdin is not None and child.stdout is not None
        found = []
        for question in QUESTIONS:
            child.stdin.write(question)
            child.stdin.flush()
            child.stdout.read(1)
            found.append(time.perf_counter() - start)
            child.stdout.readline()
            start = time.perf_counter()
        child.stdin.close()
    return found[0], found[1]


def main() -> None:
    """Prints the median and the spread of both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    print_about()
    seconds(options.model)
    runs = [seconds(options.model) for _ in range(options.runs)]
    for name, values in zip(("first answer", "second answer"), zip(*runs, strict=True), strict=True):
        middle, least, most = statistics.median(values), min(values), max(values)
        print(f"{name}: first letter after {middle:.2f} s (median of {len(values)}; {least:.2f} to {most:.2f})")


if __name__ == "__main__":
    main()
