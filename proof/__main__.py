"""Runs the proofs and prints a table: python -m proof [--only kills …] [--quick] [--minutes N] [--mutants].

Exit code 1 when anything did not hold; what did not is told with the command that makes it happen again.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

# Before torch is loaded: one thread, so that a fork loses none.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from chainrule.base import usable_cores
from proof.bad_input import bad_input
from proof.bench import Bench
from proof.calls import calls
from proof.case import Attempt, Case, NotHeldError, Outcome, order, try_case, try_side_by_side
from proof.child import warm, warm_kernels
from proof.disk import disk
from proof.flips import flips
from proof.hostile import hostile
from proof.interruptions import interruptions
from proof.kills import kills
from proof.mutants import mutants
from proof.results import print_outcomes, write_results
from proof.resumes import resumes
from proof.spoiled import spoiled
from proof.together import together
from proof.verbs import verbs

Part = Callable[[Bench], Iterator[Case]]
PARTS: dict[str, Part] = {
    "kills": kills,
    "verbs": verbs,
    "calls": calls,
    "flips": flips,
    "disk": disk,
    "signals": interruptions,
    "resumes": resumes,
    "together": together,
    "bad-input": bad_input,
    "hostile": hostile,
    "spoiled": spoiled,
}
STANDS_ON = "what all of it stands on"
RESULTS = Path(__file__).parent / "results"


def parsed() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="a few attempts of each case: half a minute in all")
    parser.add_argument("--minutes", type=float, default=0.0, help="at most so long for each case")
    parser.add_argument("--case", help="one case alone, by its name")
    parser.add_argument("--attempts", type=int, help="at most so many of each case")
    parser.add_argument("--number", type=int, help="one attempt of it alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--processes", type=int, default=usable_cores(), help="attempts at once, of cases that allow it [%(default)s]"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder for proof.json and proof.md")
    parser.add_argument("--mutants", action="store_true", help="plant faults, and see that the proofs find them")
    parser.add_argument("--keep", action="store_true", help="leave the proof's folder as it is, and say where")
    return parser.parse_args()


def _cases(name: str, bench: Bench) -> Iterator[Case]:
    """The cases of a part; when what they stand on does not hold, one that says so."""
    try:
        yield from PARTS[name](bench)
    except NotHeldError as fault:
        told = str(fault)

        def attempt(attempt: Attempt) -> str:
            raise NotHeldError(told)

        yield Case(STANDS_ON, 1, attempt, quick=1)


def carried_out(options: argparse.Namespace, folder: Path) -> Iterator[Outcome]:
    """The outcome of each case, one after the other."""
    bench = Bench(folder, options.seed, options.quick)
    for name in options.only:
        for case in _cases(name, bench):
            if options.case not in (None, case.name) and case.name != STANDS_ON:
                continue
            numbers = order(case, options.seed)[: case.quick if options.quick else None]
            if options.attempts is not None:
                numbers = order(case, options.seed)[: options.attempts]
            if options.number is not None:
                numbers = [options.number]
            if not numbers:
                continue
            place = folder / f"{name}-{len(list(folder.iterdir()))}"
            place.mkdir()
            until = time.monotonic() + (options.minutes * 60 or float("inf"))
            trying = partial(try_case, name, case, numbers)
            if case.side_by_side and options.processes > 1 and not options.quick:
                trying = partial(try_side_by_side, name, case, numbers, processes=options.processes)
            yield trying(seed=options.seed, folder=place, until=until)


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="chainrule-proof-"))
    try:
        yield folder
    finally:
        if keep:
            print(f"everything is in {folder}")
        else:
            shutil.rmtree(folder)


def main() -> int:
    """Proves, prints, writes; returns the exit code."""
    options = parsed()
    began = time.monotonic()
    if not options.mutants:
        warm()
    with _folder(keep=options.keep) as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        tempfile.tempdir = f"{folder}/said"
        Path(tempfile.tempdir).mkdir()
        if not options.mutants:
            warm_kernels()
        outcomes = []
        for outcome in mutants(folder, options.only) if options.mutants else carried_out(options, folder):
            outcomes.append(outcome)
            print_outcomes([outcome])
            # After each: hours of it are not lost with the machine.
            took = time.monotonic() - began
            write_results(outcomes, options.results, seed=options.seed, quick=options.quick, seconds=took)
    wrong = [outcome for outcome in outcomes if outcome.wrong]
    print(f"\n{sum(one.held for one in outcomes):,} of {sum(one.tried for one in outcomes):,} attempts held")
    return 1 if wrong or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
