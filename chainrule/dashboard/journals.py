"""The journals of one run as far as they were read, in bounded memory."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, TypeVar

from chainrule.dashboard.thinning import Curve
from chainrule.run import AnswersRow, EvalRow, Event, PreferenceRow, RunFolder, Sample, Tail, TrainRow

TRAIN = ("loss", "lr", "grad_norm", "tokens_per_second", "peak_share")
HELD_OUT = ("val_loss", "val_bits_per_byte")
# What is read of a journal at one look; a page asks again at once, so that 100,000 rows come in pieces of a quarter
# of a second rather than after two seconds of nothing.
LOOK_BYTES = 3 * 2**20
# Of a journal that is held row by row; beyond, every second row between the first and the last is left out.
MOST_ROWS, MOST_EVENTS = 4096, 200
# Rounds of samples; beyond, every second round goes, and a page gets those that are left.
MOST_ROUNDS = 200
Row = TypeVar("Row")


class Journals:
    """What stands in the journals so far; `look` reads what is new."""

    def __init__(self, run: RunFolder) -> None:
        self._metrics, self._samples, self._events, self._health = (
            Tail(path) for path in (run.metrics, run.samples, run.events, run.health)
        )
        self.train, self.held_out = Curve(TRAIN), Curve(HELD_OUT)
        self.first: TrainRow | None = None
        self.looks: list[EvalRow] = []
        self.answers: list[AnswersRow] = []
        self.preferences: list[PreferenceRow] = []
        self.samples: list[Sample] = []
        self.samples_generation = 0
        self.events: list[Event] = []
        self.health: list[dict[str, Any]] = []

    def look(self) -> bool:
        """Reads on; False when what was read before is void, and all has to begin anew."""
        takers = (
            (self._metrics, self._take_metrics),
            (self._samples, self._take_samples),
            (self._events, self._take_events),
            (self._health, self._take_health),
        )
        for tail, take in takers:
            rows, void = tail.read(LOOK_BYTES)
            if void:
                return False
            take(rows)
        return True

    @property
    def waiting(self) -> bool:
        """Whether much is left to be read."""
        return self._metrics.behind > LOOK_BYTES // 8

    @property
    def wrong(self) -> tuple[str, ...]:
        """What of the rows so far is damaged, missing or out of place, in words."""
        tails = (self._metrics, self._samples, self._events, self._health)
        return tuple(tail.wrong for tail in tails if tail.wrong)

    @property
    def state(self) -> tuple[int, ...]:
        """Changes with whatever is judged; the single steps are not."""
        held = (self.looks, self.answers, self.preferences, self.events, self.health)
        told = sum(map(len, self.wrong))
        return (*(len(one) for one in held), told, *((self.looks[-1].step,) if self.looks else ()))

    def _take_metrics(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            match row.get("kind"):
                case TrainRow.KIND if trained := TrainRow.of(row):
                    self.first = self.first or trained
                    self.train.add(trained)
                case EvalRow.KIND if look := EvalRow.of(row):
                    self.held_out.add(look)
                    self.looks = _fewer([*self.looks, look], MOST_ROWS)
                case AnswersRow.KIND if answers := AnswersRow.of(row):
                    self.answers = _fewer([*self.answers, answers], MOST_ROWS)
                case PreferenceRow.KIND if preferred := PreferenceRow.of(row):
                    self.preferences = _fewer([*self.preferences, preferred], MOST_ROWS)

    def _take_samples(self, rows: Iterable[dict[str, Any]]) -> None:
        self.samples += [one for one in map(Sample.of, rows) if one is not None]
        rounds = [list(group) for _, group in groupby(self.samples, key=lambda one: one.step)]
        if len(rounds) > MOST_ROUNDS:
            self.samples = [row for group in _fewer(rounds, MOST_ROUNDS) for row in group]
            self.samples_generation += 1

    def _take_events(self, rows: Iterable[dict[str, Any]]) -> None:
        self.events = [*self.events, *(one for one in map(Event.of, rows) if one is not None)][-MOST_EVENTS:]

    def _take_health(self, rows: Iterable[dict[str, Any]]) -> None:
        """The first row says whose the columns are."""
        self.health = _fewer([*self.health, *rows], MOST_ROWS)


def _fewer(rows: Sequence[Row], most: int) -> list[Row]:
    """The rows; of more than `most` the first, the last and every second one between."""
    return list(rows) if len(rows) <= most else [rows[0], *rows[2:-1:2], rows[-1]]
