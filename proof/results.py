"""The table of a proof: on the terminal, as JSON and as Markdown."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import torch

from proof.case import MOST_TOLD, Outcome

COLUMNS = ("part", "case", "tried", "held", "how", "time")


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """A line for each case, and what did not hold below it."""
    for outcome in outcomes:
        mark = "held" if outcome.held == outcome.tried else "NOT HELD"
        print(
            f"{outcome.part:12} {outcome.case:52} {outcome.held:>6,} of {outcome.tried:>6,} {mark:8} "
            f"{outcome.seconds:6.1f} s  {outcome.told()}",
            flush=True,
        )
        for line in outcome.wrong[:MOST_TOLD]:
            print(f"  - {line}", flush=True)
        if more := outcome.wrong[MOST_TOLD:]:
            print(f"  and {len(more):,} more", flush=True)


def write_results(outcomes: Sequence[Outcome], folder: Path, *, seed: int, quick: bool, seconds: float) -> None:
    """Writes proof.json and proof.md into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        **{"seed": seed, "quick": quick, "seconds": round(seconds, 1), "python": platform.python_version()},
        **{"torch": torch.__version__, "system": platform.platform(), "cores": os.cpu_count()},
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    rows = [outcome.row() for outcome in outcomes]
    (folder / "proof.json").write_text(json.dumps({"about": about, "outcomes": rows}, indent=1) + "\n")
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|--:|--:|---|--:|"]
    for one in outcomes:
        cells = (one.part, one.case, f"{one.tried:,}", f"{one.held:,}", one.told(), f"{one.seconds:.0f} s")
        lines.append("| " + " | ".join(cells) + " |")
    wrong = [f"- {one.part}, {one.case}: {line}" for one in outcomes for line in one.wrong[:MOST_TOLD]]
    head = ", ".join(f"{name} {value}" for name, value in about.items())
    (folder / "proof.md").write_text("\n".join([head, "", *lines, "", *wrong]).rstrip() + "\n")
