"""What a ladder has come to: the law through its rungs, what it says of the top, and what the top came to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.base import count_text, duration_text
from chainrule.ladder.rungs import Rung
from chainrule.plan import EPOCH, FittedLaw, Measured, Range, fit_with_range
from chainrule.run import Record

# By which runs of one setting and other seeds differ, in the standard deviation: the books and King James, of minutes.
SEED_SHARE = 0.004


@dataclass(frozen=True)
class Climb(Record):
    """rungs.jsonl: a rung that was trained; `bits` per byte of held-out text at its end."""

    rung: Rung
    bits: float
    seconds: float = 0.0


@dataclass(frozen=True)
class Prediction(Record):
    """ladder.json: what was said of the top before it was trained."""

    bits: float
    low: float
    high: float
    made: str = ""
    """When, as a date and a time."""


@dataclass(frozen=True)
class Climbed:
    """A ladder, done or under way: `measured` is the top's figure, None while it is not trained."""

    path: Path
    unique: float
    climbs: tuple[Climb, ...]
    top: Rung
    fitted: FittedLaw | None
    prediction: Prediction | None
    measured: Climb | None
    status: str
    signal: int | None = None

    @property
    def error(self) -> float | None:
        """Share by which the prediction was off: positive where the top came out worse than was said."""
        if self.prediction is None or self.measured is None:
            return None
        return self.measured.bits / self.prediction.bits - 1

    @property
    def covered(self) -> bool | None:
        """Whether the top lies in the interval."""
        if self.prediction is None or self.measured is None:
            return None
        return self.prediction.low <= self.measured.bits <= self.prediction.high

    @property
    def times(self) -> float:
        """How many times the computation of the largest rung the top has."""
        return self.top.compute / max((one.rung.compute for one in self.climbs), default=self.top.compute)


def measured(climb: Climb, unique: float) -> Measured:
    """A rung as the fit takes it: a text that is read again is worth less than as much new text."""
    return Measured(climb.rung.weights, new_tokens(climb.rung, unique), climb.bits)


def new_tokens(rung: Rung, unique: float) -> float:
    """Tokens of new text that a rung's are worth."""
    return EPOCH.worth(rung.weights, rung.tokens, unique)[1]


def fitted_to(climbs: Sequence[Climb], unique: float) -> FittedLaw:
    """The law through the rungs; raises ConfigError where they are too few."""
    return fit_with_range([measured(one, unique) for one in climbs])


def foretold(fitted: FittedLaw, rung: Rung, unique: float) -> Range:
    """What the law says of a rung."""
    return fitted.at(rung.weights, new_tokens(rung, unique), least_share=SEED_SHARE)


def verdict(found: Climbed) -> str:
    """One sentence: foretold, measured, and how far apart."""
    said = found.prediction
    if said is None:
        return "Not enough rungs are trained to say anything of the top."
    told = f"{said.bits:.4f} bits per byte ({said.low:.4f} to {said.high:.4f})"
    times = f"{found.times:.3g} times the computation of the largest rung"
    if found.measured is None or found.error is None:
        return f"Foretold for the top, with {times}: {told}; it is not trained yet."
    place = "inside the interval" if found.covered else "outside of the interval"
    return (
        f"The top, with {times}, was foretold to need {told} and needs {found.measured.bits:.4f}: {found.error:+.2%}, "
        f"{place}. One run of one seed."
    )


HEADS = ("model", "width", "blocks", "weights", "tokens", "operations", "bits per byte", "the law", "off", "time")


def ladder_tables(found: Climbed) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]], str]]:
    """Title, heads, rows and a quiet sentence of each table."""
    trained = [*found.climbs, *([found.measured] if found.measured else [])]
    rows = [_row(found, one) for one in trained]
    yield (
        "Rungs",
        HEADS,
        rows,
        "Weights are those that a token is multiplied with, attention included. The law is fitted to all but the top.",
    )


def row_of(found: Climbed) -> dict[str, Any]:
    """As JSON holds it."""
    law = found.fitted.law if found.fitted else None
    return {
        "status": found.status,
        "folder": str(found.path),
        "unique_tokens": found.unique,
        "rungs": [one.row() for one in found.climbs],
        "top": found.top.row(),
        "times": found.times,
        "law": None if law is None else {key: value for key, value in vars(law).items() if key != "source"},
        "foretold": found.prediction.row() if found.prediction else None,
        "measured": found.measured.bits if found.measured else None,
        "error": found.error,
        "covered": found.covered,
        "said": verdict(found),
    }


def _row(found: Climbed, climb: Climb) -> tuple[str, ...]:
    rung, law = climb.rung, ("", "")
    if found.fitted is not None:
        told = found.fitted.law.loss(rung.weights, new_tokens(rung, found.unique))
        law = (f"{told:.4f}", f"{climb.bits / told - 1:+.2%}")
    return (
        rung.name,
        str(rung.emb_dim),
        str(rung.n_layers),
        count_text(rung.weights),
        count_text(rung.tokens),
        f"{rung.compute:.2g}",
        f"{climb.bits:.4f}",
        *law,
        duration_text(climb.seconds),
    )
