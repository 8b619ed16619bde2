"""How often a run's end lies where it was foretold from its looks on the way: real runs, at nine places of each.

    python benchmarks/foretold_end.py benchmarks/more_minutes.jsonl

Reads what `benchmarks/more_minutes.py --measure` wrote. The constants of `chainrule.plan.foretell_end` were chosen on
these very runs, rounded, so that the table says how wide an honest interval is. How well it would do on runs of others
says the last line: with the ends of the interval at the 5 and 95 % of the runs of the other texts alone.
"""

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

from chainrule.plan import foretell_end
from chainrule.plan.ending import LEAST_SHARE, line_to_the_end

PLACES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.9)


def main() -> None:
    """The table, a line for each place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("runs", type=Path)
    runs = [json.loads(line) for line in parser.parse_args().runs.read_text("utf-8").splitlines()]
    print(f"{'place':>6} {'runs':>5} {'held':>5} {'off by (median)':>16}")
    held = said = 0
    for place in PLACES:
        off = []
        inside = 0
        for run in (one for one in runs if one["looks"]):
            # The curve's own last look: the final figure is of all held-out text, with more context.
            last_at, last = run["looks"][-1]
            told = foretell_end([look for look in run["looks"] if look[0] <= place * last_at + 1], last_at)
            if told is not None:
                off.append(abs(math.log(told.value / last)))
                inside += told.low <= last <= told.high
        held, said = held + inside, said + len(off)
        print(f"{place:>6.0%} {len(off):>5} {inside:>5} {statistics.median(off) if off else math.nan:>16.1%}")
    print(f"{held} of {said} forecasts held")
    held, said = blind(runs)
    print(f"{held} of {said} with an interval from the runs of other texts alone")


def blind(runs: list[dict[str, Any]]) -> tuple[int, int]:
    """How many ends lie between the 5 and 95 % of what runs of other texts at this place had still to fall."""
    held = said = 0
    for place in PLACES:
        shares = []
        for run in (one for one in runs if one["looks"]):
            last_at, last = run["looks"][-1]
            looks = [look for look in run["looks"] if 0 < look[0] <= place * last_at + 1]
            line = line_to_the_end(looks, last_at) if looks else None
            if line is not None:
                shares.append((run["text"], (line[0] - math.log(last)) / line[1], LEAST_SHARE / line[1]))
        for text, share, room in shares:
            others = sorted(one for other, one, _ in shares if other != text)
            low, high = (others[min(len(others) - 1, int(part * len(others)))] for part in (0.05, 0.95))
            held, said = held + (low - room <= share <= high + room), said + 1
    return held, said


if __name__ == "__main__":
    main()
