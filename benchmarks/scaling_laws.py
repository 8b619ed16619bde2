"""How well laws of loss foretell held-out runs of more computation, on public tables.

    python benchmarks/scaling_laws.py --chinchilla svg_extracted_data.csv --step-law dense_lr_bs_loss.csv

The tables carry no licence, so that they are not kept here. The first is Epoch AI's, read off figure 4 of Hoffmann et
al. (github.com/Besiroglu/data, svg_extracted_data.csv; Besiroglu et al., arXiv 2404.10102): the five highest losses are
left out, as there. The second is of Li et al. (github.com/step-law/steplaw, data/dense_lr_bs_loss.csv, arXiv
2503.04715): of each size and number of tokens the lowest loss over learning rates and batches is taken.

Each line fits to the runs below a limit and is judged by those above it. `covered` is how many of them lie in the
interval that was given for them, which is meant for nine of ten.
"""

import argparse
import csv
import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from chainrule.plan import EPOCH, HOFFMANN, LossLaw, Measured, fit_law, fit_with_range, step_law

LIMITS = (1e20, 3e20, 1e21)
STEP_LAW_LIMIT = 5e8


def chinchilla(path: Path) -> list[Measured]:
    """Epoch's 240 points."""
    with path.open(newline="") as file:
        rows = [
            (float(row["Model Size"]), float(row["Training FLOP"]), float(row["loss"])) for row in csv.DictReader(file)
        ]
    rows.sort(key=lambda row: row[2])
    return [Measured(n, compute / 6 / n, loss) for n, compute, loss in rows[:-5]]


def step_law_rows(path: Path) -> dict[tuple[float, float], list[tuple[float, float, float]]]:
    """By (parameters, tokens): learning rate, tokens of an update, loss."""
    found: dict[tuple[float, float], list[tuple[float, float, float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            key = float(row["N"]), float(row["D"])
            found.setdefault(key, []).append((float(row["lr"]), 2048 * float(row["bs"]), float(row["smooth loss"])))
    return found


def held_out(name: str, points: Sequence[Measured], known: Callable[[Measured], bool]) -> None:
    """One line: fitted to what is known, judged by the rest."""
    smaller = [one for one in points if known(one)]
    above = [one for one in points if not known(one)]
    fitted = fit_with_range(smaller)
    off, covered, times = [], 0, 0.0
    most = max(one.parameters * one.tokens for one in smaller)
    for one in above:
        told = fitted.at(one.parameters, one.tokens)
        off.append(abs(told.value / one.loss - 1))
        covered += told.low <= one.loss <= told.high
        times = max(times, one.parameters * one.tokens / most)
    nine = sorted(off)[int(0.9 * len(off))]
    print(
        f"{name:<34} {len(smaller):>5} {len(above):>5} {times:>6.1f} {statistics.fmean(off):>7.2%} {nine:>7.2%} "
        f"{max(off):>7.2%} {covered:>5} of {len(above)}"
    )


def below(compute: float, one: Measured) -> bool:
    """Whether a run took less computation."""
    return 6 * one.parameters * one.tokens < compute


def told(name: str, law: LossLaw, points: Sequence[Measured]) -> None:
    """One line of constants, with what the points are off by."""
    off = statistics.fmean(abs(law.loss(one.parameters, one.tokens) / one.loss - 1) for one in points)
    print(f"{name:<34} {law.E:.4f} {law.A:8.1f} {law.alpha:.4f} {law.B:9.1f} {law.beta:.4f} {off:>7.2%}")


def rates(rows: dict[tuple[float, float], list[tuple[float, float, float]]]) -> None:
    """What the nearest trial to the published rate and batch loses against the best one (the law was made of them)."""
    lost = []
    for (n, d), trials in rows.items():
        lr, batch = step_law(n, d)
        near = min(trials, key=lambda one: abs_log(one[0] / lr) ** 2 + abs_log(one[1] / batch) ** 2)
        lost.append(near[2] / min(one[2] for one in trials) - 1)
    print(
        f"\nStep Law's rate and batch, {len(lost)} shapes: {statistics.fmean(lost):.3%} lost, at most {max(lost):.3%}"
    )


def abs_log(ratio: float) -> float:
    """How many octaves apart."""
    return abs(math.log2(ratio))


def main() -> None:
    """The tables that are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--chinchilla", type=Path)
    parser.add_argument("--step-law", type=Path)
    given = parser.parse_args()
    heads = f"{'fitted to':<34} {'runs':>5} {'held':>5} {'times':>6} {'mean':>7} {'9 in 10':>7} {'most':>7} covered"
    if given.chinchilla:
        points = chinchilla(given.chinchilla)
        print(f"{'law':<34} {'E':>6} {'A':>8} {'alpha':>6} {'B':>9} {'beta':>6} {'off':>7}")
        told("fitted here, all points", fit_law(points), points)
        told(EPOCH.source, EPOCH, points)
        told(HOFFMANN.source, HOFFMANN, points)
        print(f"\n{heads}")
        for limit in LIMITS:
            held_out(f"Chinchilla, below {limit:.0e} FLOP", points, partial(below, limit))
    if given.step_law:
        rows = step_law_rows(given.step_law)
        best = [Measured(n, d, min(one[2] for one in trials)) for (n, d), trials in rows.items()]
        if not given.chinchilla:
            print(heads)
        held_out(f"Step Law, N < {STEP_LAW_LIMIT:.0e}", best, lambda one: one.parameters < STEP_LAW_LIMIT)
        rates(rows)


if __name__ == "__main__":
    main()
