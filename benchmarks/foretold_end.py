"""How often a run's end lies where it was foretold from its looks on the way: real runs, at nine places of each.

    python benchmarks/foretold_end.py benchmarks/more_minutes.jsonl

Reads what `benchmarks/more_minutes.py --measure` wrote. The constants of `chainrule.plan.foretell_end` were chosen on
these very runs, so that the table says how wide an honest interval is, and not how well it would do on runs of others.
"""

import argparse
import json
import math
import statistics
from pathlib import Path

from chainrule.plan import foretell_end

PLACES = (0.3, 0.35, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.9)


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


if __name__ == "__main__":
    main()
