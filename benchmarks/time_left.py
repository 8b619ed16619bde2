"""Does the time left that a run shows come true, from a twentieth of the way on?

    python benchmarks/time_left.py [TEXT …] [--minutes 1 3 5]

Each text (Python's own library and the King James Bible where none is given) is trained on for so many minutes by the
command itself, and each line of its log that tells the time left is stamped when it comes. Printed: how far the time
left was from what the run then took until its process ended, as a share of it, worst and median, over the lines from a
twentieth of the way on; and, where the rest is less than ten seconds, in seconds. With --each, every line:
seconds since the start, the time left that it told, and the one that came.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from about import print_about

LEFT = re.compile(r"step (\d+)/(\d+) .*, (.+) left$")
PART = re.compile(r"(\d+(?:\.\d+)?) (d|h|min|s)\b")
SECONDS = {"d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0}
SHORT = 10.0


@dataclass(frozen=True)
class Told:
    """At `at` seconds after the start of the command a line said that so many are `left`."""

    at: float
    left: float


def told(text: str, minutes: float) -> tuple[float, list[Told]]:
    """Seconds that the command took, and what its log said of the time left."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "chainrule", "pretrain", text, "--minutes", str(minutes)]
        start, lines = time.perf_counter(), list[Told]()
        with subprocess.Popen(
            [*command, "--runs-folder", folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if match := LEFT.search(line.rstrip()):
                    left = sum(float(number) * SECONDS[unit] for number, unit in PART.findall(match[3]))
                    lines.append(Told(time.perf_counter() - start, left))
        return time.perf_counter() - start, lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", default=["python", "king-james"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0, 3.0, 5.0])
    parser.add_argument("--each", action="store_true", help="print every line")
    options = parser.parse_args()
    print_about()
    print("run                     took    of what it was told   lines   off by, worst   median   last 10 s off by")
    for text in options.texts:
        for minutes in options.minutes:
            took, lines = told(text, minutes)
            later = [one for one in lines if one.at >= took / 20]
            off = [abs(one.left - (took - one.at)) / (took - one.at) for one in later if took - one.at >= SHORT]
            ends = [abs(one.left - (took - one.at)) for one in later if took - one.at < SHORT]
            name = f"{text.rsplit('/')[-1][:14]}, {minutes:g} min"
            worst, middle = (max(off), statistics.median(off)) if off else (float("nan"),) * 2
            print(
                f"{name:<22} {took:5.0f} s {took / (60 * minutes):18.1%} {len(later):10d} {worst:14.0%} {middle:9.0%} "
                f"{max(ends, default=0.0):14.1f} s",
                flush=True,
            )
            if options.each:
                for one in lines:
                    print(f"{one.at:22.1f} s {one.left:8.0f} s told {took - one.at:8.1f} s came")


if __name__ == "__main__":
    main()
