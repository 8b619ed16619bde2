"""The health of a run while it trains: what is measured at each step, looked at now and then, and written down.

Nothing here moves a bit of the training: it only reads, and draws no random numbers. It is in no checkpoint either: a
resumed run begins its means and its window of usual steps from what the run folder holds.
"""

import math
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.data import Windows
from chainrule.health import Excess, Inside, NormMeter, Norms, SpikeDetector, look_inside, parameter_norms
from chainrule.model import Batch, evaluating
from chainrule.run import (
    Heads,
    HealthRecord,
    InsideRow,
    LayersRow,
    NoiseScale,
    NormsRow,
    OutOfLine,
    Record,
    SpikeRow,
    TrainRow,
    noise_scale,
    rows_from_end,
    rows_of,
)
from chainrule.train.bundle import Circumstances, PastStep, save_bundle
from chainrule.train.session import Session
from chainrule.train.step import StepResult, gradient_norms
from chainrule.verdict import judge

# Rows of each kind in the file of a whole run: GPT-2 124M then takes about 3 MB, and a page shows a quarter of them.
MOST_ROWS = 400
# Rows that a warning during the run is judged by, each of them once, and past steps that a bundle holds.
RECENT, REMEMBERED = 16, 32
# After a step out of line the next ones usually are too: they belong to the same event.
QUIET_STEPS = 10
# No warning in the beginning of a run, when embeddings start small and everything moves fast.
QUIET_SHARE = 0.1


@dataclass(frozen=True)
class _Unread:
    """A step whose norms are still on the device; `small` is the norm of the first `n_small` of `n_windows` alone."""

    step: int
    result: StepResult
    norms: Float[Tensor, "3 P"]
    small: Float[Tensor, ""] | None
    n_small: int
    n_windows: int

    @property
    def numbers(self) -> Float[Tensor, " N"]:
        """All of them in a row."""
        return torch.cat((self.norms.flatten(), *(() if self.small is None else (self.small.reshape(1),))))


class RunHealth:
    """Watches the steps of one session (it is a StepWatcher) and writes health.jsonl.

    The norms of its steps are read when a row is due or a step is out of line: no step waits for a GPU because of them.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.model = session.state.model
        self.meter = NormMeter(self.model)
        self.detector = SpikeDetector()
        self.past: deque[PastStep] = deque(maxlen=REMEMBERED)
        self.recent: dict[str, deque[Record]] = {one.KIND: deque(maxlen=RECENT) for one in (NormsRow, InsideRow)}
        self.said: set[str] = set()
        self.last_spike = -QUIET_STEPS - 1
        self.head = LayersRow(
            tuple(self.meter.layers),
            samples=session.config.batch_windows,
            sample_tokens=session.config.model.context_length,
        )
        self.n_rows = 0
        self.unread: list[_Unread] = []
        self.rows: list[Norms] = []
        self.noise = NoiseScale()
        self.small: tuple[int, Tensor] | None = None
        self._go_on()

    def begin(self, windows: Windows) -> None:
        """Before a step on `windows`: a look inside when one is due."""
        self.windows = windows
        if self.session.state.progress.step % self._apart(self.session.config.training.health_every) == 0:
            self._look()

    def first_portion(self, n_windows: int) -> None:
        """Keeps the norm of the first micro-batch's own mean gradient."""
        if n_windows < len(self.windows.ids):
            share = n_windows / len(self.windows.ids)
            self.small = n_windows, torch.linalg.vector_norm(gradient_norms(self.model)) / share

    def before_update(self, norms: Float[Tensor, " P"], result: StepResult) -> None:
        """Holds the step against those before it, and keeps what the update is measured by."""
        self.result, self.gradients = result, norms
        usual = {"loss": list(self.detector.losses), "grad_norm": list(self.detector.norms)}
        excess = self.detector.see(result.loss, result.grad_norm)
        if result.unlike:
            excess = (Excess("gradient made twice", result.unlike.largest, 0.0, math.inf),)
        excess = excess or result.excess
        step = self.session.state.progress.step + 1
        if excess and step - self.last_spike > QUIET_STEPS:
            self.last_spike = step
            self._read()
            weights = parameter_norms(self.meter.parameters.values()).tolist()
            numbers = norms.tolist()
            around = Circumstances(
                layers=self.meter.layers,
                gradient=self.meter.by_layer(numbers),
                weight=self.meter.by_layer(weights),
                parameters=dict(zip(self.meter.parameters, numbers, strict=True)),
                usual=usual,
                past=list(self.past),
            )
            path = save_bundle(self.session, self.windows, result, excess, around)
            self._tell_spike(step, excess, path.name if path else None)

    def moving(self, parameters: list[Tensor]) -> AbstractContextManager[object]:
        """Measures by how much they move."""
        return self.meter.moving(parameters)

    def after_update(self) -> None:
        """Measures the update."""
        step, norms = self.session.state.progress.step + 1, self.meter.measured(self.gradients)
        n_small, small = self.small or (0, None)
        self.unread.append(_Unread(step, self.result, norms, small, n_small, len(self.windows.ids)))

    def end(self) -> None:
        """After a step: a row when one is due, and at most one line about what it shows."""
        self.small = None
        progress, steps = self.session.state.progress, self.session.course.steps
        every = self._apart(self.session.config.training.log_every)
        due = progress.step % every == 0 or progress.step in (1, steps)
        if due or len(self.unread) >= REMEMBERED:
            self._read()
        if self.rows and due:
            self._write(norms_row(progress.step, self.rows, self.noise))
            self.rows, self.noise = [], NoiseScale()
            self.n_rows += 1
            if progress.step >= QUIET_SHARE * steps and self.n_rows % RECENT == 0:
                self._warn()

    def _read(self) -> None:
        """What was measured since the last time, in one transfer."""
        numbers = iter(torch.cat([one.numbers for one in self.unread]).tolist() if self.unread else ())
        for one in self.unread:
            n_parameters = one.norms.shape[1]
            norms = self.meter.norms([list(islice(numbers, n_parameters)) for _ in range(3)])
            self.rows.append(norms)
            self.past.append(PastStep(one.step, one.result.loss, one.result.grad_norm, norms))
            if one.small is not None:
                self.noise += noise_scale(next(numbers), one.n_small, one.result.grad_norm, one.n_windows)
        self.unread = []

    def _apart(self, asked: int) -> int:
        """Steps between two rows: as asked, or more when the run as planned now would have more than MOST_ROWS."""
        return max(asked, -(-self.session.course.steps // MOST_ROWS))

    def _look(self) -> None:
        """One window through the model as it is at inference: without dropout, without gradients."""
        session = self.session
        one = Batch.of(self.windows, slice(1), device=session.precision.device)
        units = [path for path, _ in self.model.named_modules() if path.endswith("feed_forward.down")]

        def forward() -> None:
            with torch.no_grad(), session.precision.autocast():
                self.model.stream(one.inputs, None, one.documents)

        with evaluating(self.model):
            inside = look_inside(self.model, forward, units=units)
        self._write(inside_row(session.state.progress.step + 1, inside))

    def _write(self, row: NormsRow | InsideRow) -> None:
        self.session.append(self.session.run.health, row.row())
        self.recent[row.KIND].append(row)

    def _tell_spike(self, step: int, excess: Sequence[Excess], bundle: str | None) -> None:
        what = tuple(OutOfLine(one.what, one.value, one.usual, one.score) for one in excess)
        self.session.append(self.session.run.health, SpikeRow(step, what, bundle, self.result.applied).row())
        if self.result.applied:  # a step that is not finite is told of by the guard
            said = "; ".join(f"{one.what} {one.value:.3g}, usually {one.usual:.3g}" for one in excess)
            why = f": `chainrule lens spike {self.session.run.path}` says why" if bundle else ""
            self.session.note(f"step {step} is out of line ({said}){why}")

    def _warn(self) -> None:
        record = HealthRecord.of([self.head, *(row for rows in self.recent.values() for row in rows)])
        for verdict in judge(record):
            if verdict.mark == "bad" and verdict.kind not in self.said:
                self.said.add(verdict.kind)
                self.session.note(f"health: {verdict.text}")
                return

    def _go_on(self) -> None:
        """The layers' names where the file has none yet, and the usual steps of a run that goes on."""
        run = self.session.run
        if next(rows_of(run.health, LayersRow), None) is None:
            self.session.append(run.health, self.head.row())
        last = (TrainRow.of(row) for row in islice(rows_from_end(run.metrics, TrainRow.KIND), RECENT * 4))
        for row in reversed(list(last)):
            if row is not None and row.loss is not None and row.grad_norm is not None:
                self.detector.see(row.loss, row.grad_norm)


def norms_row(step: int, rows: list[Norms], noise: NoiseScale) -> NormsRow:
    """Means and largest values of each layer over the steps since the last row; weights as they are now."""
    gradients, ratios = ([getattr(one, name) for one in rows] for name in ("gradient", "ratio"))
    parts = (_short(noise.gradient_squared), _short(noise.variance), noise.n_steps)
    return NormsRow(
        step=step,
        n=len(rows),
        gradient=tuple(_short(sum(column) / len(rows)) for column in zip(*gradients, strict=True)),
        gradient_max=tuple(_short(max(column)) for column in zip(*gradients, strict=True)),
        weight=tuple(_short(value) for value in rows[-1].weight),
        ratio=tuple(_short(sum(column) / len(rows)) for column in zip(*ratios, strict=True)),
        ratio_max=tuple(_short(max(column)) for column in zip(*ratios, strict=True)),
        noise=parts if noise.n_steps else None,
    )


def inside_row(step: int, inside: Inside) -> InsideRow:
    """A look just before `step` as one line: four numbers of each output, two of each hidden layer, all entropies."""
    outputs = {p: tuple(_short(v) for v in (a.mean, a.std, a.largest, a.zeros)) for p, a in inside.outputs.items()}
    units = {path: (_short(one.dead), _short(one.silent)) for path, one in inside.units.items()}
    heads = {
        path: Heads(tuple(_short(v) for v in one.entropy), _short(one.largest_logit))
        for path, one in inside.attention.items()
    }
    return InsideRow(step, outputs, units, heads)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
