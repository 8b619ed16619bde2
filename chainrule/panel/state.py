"""What the live panel knows of a run: fed record by record while it trains, or from the files of a finished one."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from chainrule.panel.curve import Series
from chainrule.panel.expected import Expected
from chainrule.run import EvalRow, Plan, Progress, Record, Replanned, RunFolder, Sample, Summary, TrainRow, rows_of


@dataclass
class PanelState:
    """The latest records and the curves of one run."""

    plan: Plan = field(default_factory=Plan)
    train: TrainRow | None = None
    held_out: EvalRow | None = None
    train_loss: Series = field(default_factory=Series)
    held_out_loss: Series = field(default_factory=Series)
    samples: dict[str, str] = field(default_factory=dict)
    samples_step: int = -1
    phase: str = ""
    expected: Expected = field(default_factory=Expected)

    def feed(self, record: Record) -> None:
        """Takes in a plan, a row of figures, a sample or a progress; others do not concern the panel."""
        self.phase = f"{record.phase} …" if isinstance(record, Progress) else ""
        self.expected.feed(record)
        match record:
            case Plan():
                self.plan = record
            case Replanned():
                self.plan = record.plan
            case TrainRow():
                self.train = record
                self.train_loss.add(record.step, record.loss)
            case EvalRow():
                self.held_out = record
                self.held_out_loss.add(record.step, record.val_loss)
            case Summary(status="finished", val_loss=float(loss), val_bits_per_byte=float(bits)):
                # The last frame stays on the screen, beside the same figures in words.
                self.held_out = EvalRow(record.step or 0, val_loss=loss, val_bits_per_byte=bits, final=True)
            case Sample():
                if record.step != self.samples_step:
                    self.samples, self.samples_step = {}, record.step
                self.samples[record.prompt] = record.text

    @property
    def step(self) -> int:
        """The last step that was logged."""
        last = self.train or self.held_out
        return last.step if last else 0

    @property
    def steps(self) -> int:
        """Steps of the whole run; the last one logged when there is no plan."""
        return max(self.plan.steps or 0, self.step, 1)


def state_of(run: RunFolder, plan: Plan, until_step: int | None = None) -> PanelState:
    """The panel's state as it stood at `until_step` (the end without it), read from the run's files."""
    state = PanelState()
    state.feed(plan)
    for row in _rows(run):
        if until_step is None or row.step <= until_step:
            state.feed(row)
    return state


def _rows(run: RunFolder) -> Iterator[TrainRow | EvalRow | Sample]:
    yield from rows_of(run.metrics, TrainRow)
    yield from rows_of(run.metrics, EvalRow)
    yield from rows_of(run.samples, Sample)
