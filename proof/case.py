"""What a proof consists of: cases, each with numbered attempts, and what came of them."""

import json
import os
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

# More than this of one case is told by its number alone.
MOST_TOLD = 25


class NotHeldError(Exception):
    """An attempt showed what must not be; the message says what was found."""


def hold(what: object, found: str) -> None:
    """Raises NotHeldError with what was found unless `what` is true."""
    if not what:
        raise NotHeldError(found)


@dataclass(frozen=True)
class Attempt:
    """One numbered try: a folder of its own, and a chance of its own that the seed and the number repeat."""

    number: int
    chance: random.Random
    below: Path

    @cached_property
    def folder(self) -> Path:
        """Made when it is asked for."""
        place = self.below / str(self.number)
        place.mkdir(parents=True)
        return place


@dataclass(frozen=True)
class Case:
    """A sentence that must hold in `total` attempts, of which a quick proof makes `quick`.

    `attempt` returns a word for how it held ("noticed", "harmless"), or raises NotHeldError. Several processes may make
    attempts at once, unless these are not to stand `side_by_side`: what all of them use is made by the first one.
    """

    name: str
    total: int
    attempt: Callable[[Attempt], str]
    quick: int = 0
    side_by_side: bool = True


@dataclass
class Outcome:
    """What came of a case: how many attempts were made and held, in which ways, and what did not hold."""

    part: str
    case: str
    total: int
    tried: int = 0
    held: int = 0
    seconds: float = 0.0
    ways: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "seconds": round(self.seconds, 1), "ways": dict(self.ways)}

    def add(self, other: "Outcome") -> None:
        """Takes up what another process tried at the same time."""
        self.tried, self.held = self.tried + other.tried, self.held + other.held
        self.ways.update(other.ways)
        self.wrong += other.wrong

    def told(self) -> str:
        """The ways in which it held, in words."""
        words = ", ".join(f"{count:,} {way}" for way, count in self.ways.most_common() if way)
        return words if self.tried == self.total else f"{words}{'; ' if words else ''}of {self.total:,}"


def order(case: Case, seed: int) -> list[int]:
    """All numbers of a case in an order that spreads over it however early one stops."""
    numbers = list(range(case.total))
    random.Random(f"{seed}:{case.name}").shuffle(numbers)
    return numbers


def try_case(part: str, case: Case, numbers: Sequence[int], *, seed: int, folder: Path, until: float) -> Outcome:
    """Makes the attempts of those numbers, until time.monotonic() is `until`; at least one is made."""
    outcome = Outcome(part, case.name, case.total)
    began = time.monotonic()
    for number in numbers:
        if outcome.tried and time.monotonic() > until:
            break
        outcome.tried += 1
        try:
            way = case.attempt(Attempt(number, random.Random(f"{seed}:{case.name}:{number}"), folder))
        except NotHeldError as fault:
            outcome.wrong.append(_wrong(part, case, number, seed, str(fault), len(outcome.wrong)))
        except Exception as fault:  # a proof that fails proves nothing
            told = "".join(traceback.format_exception(fault)[-4:])
            outcome.wrong.append(_wrong(part, case, number, seed, f"the proof itself: {told}", len(outcome.wrong)))
        else:
            outcome.held += 1
            outcome.ways[way] += 1
    outcome.seconds = time.monotonic() - began
    return outcome


def try_side_by_side(
    part: str, case: Case, numbers: Sequence[int], *, seed: int, folder: Path, until: float, processes: int
) -> Outcome:
    """`try_case` in so many processes, each with its part of the numbers, when the first attempt was made here."""
    together = try_case(part, case, numbers[:1], seed=seed, folder=folder, until=until)
    rest = numbers[1:]
    parts = [rest[first::processes] for first in range(min(processes, len(rest)))]
    took, began = together.seconds, time.monotonic()
    told = [folder / f"outcome {place}" for place in range(len(parts))]
    workers = []
    for mine, path in zip(parts, told, strict=True):
        if (worker := os.fork()) == 0:
            code = 1
            try:
                outcome = try_case(part, case, mine, seed=seed, folder=folder, until=until)
                path.write_text(json.dumps(vars(outcome)))
                code = 0
            finally:
                os._exit(code)
        workers.append(worker)
    for worker, path in zip(workers, told, strict=True):
        if os.waitpid(worker, 0)[1] == 0:
            row = json.loads(path.read_text())
            together.add(Outcome(**{**row, "ways": Counter(row["ways"])}))
        else:
            together.wrong.append(f"a process of the proof itself ended early; what it tried is not counted ({path})")
    together.seconds = took + time.monotonic() - began
    return together


def _wrong(part: str, case: Case, number: int, seed: int, what: str, n_told: int) -> str:
    again = f"python -m proof --only {part} --case '{case.name}' --number {number} --seed {seed}"
    return f"{what.strip()[:2000]}\n    again: {again}" if n_told < MOST_TOLD else f"number {number}"
