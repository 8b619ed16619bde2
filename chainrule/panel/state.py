"""What the live panel knows of a run: fed row by row while it trains, or from the files of a finished one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.panel.curve import Series
from chainrule.run import RunFolder, read_rows

Row = Mapping[str, Any]


@dataclass
class PanelState:
    """The latest rows and the curves of one run."""

    plan: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    held_out: dict[str, Any] = field(default_factory=dict)
    train_loss: Series = field(default_factory=Series)
    held_out_loss: Series = field(default_factory=Series)
    samples: dict[str, str] = field(default_factory=dict)
    samples_step: int = -1
    phase: str = ""

    def feed(self, kind: str, row: Row) -> None:
        """Takes in one row of `kind` plan, train, eval, sample or progress; others do not concern the panel."""
        self.phase = f"{row['phase']} …" if kind == "progress" else ""
        if kind in ("plan", "replan"):
            self.plan = dict(row)
        elif kind == "train":
            self.train = dict(row)
            self.train_loss.add(row["step"], row.get("loss"))
        elif kind == "eval":
            self.held_out = dict(row)
            self.held_out_loss.add(row["step"], row.get("val_loss"))
        elif kind == "sample":
            if row["step"] != self.samples_step:
                self.samples, self.samples_step = {}, int(row["step"])
            self.samples[str(row["prompt"])] = str(row["text"])

    @property
    def step(self) -> int:
        """The last step that was logged."""
        return int(self.train.get("step", self.held_out.get("step", 0)))

    @property
    def steps(self) -> int:
        """Steps of the whole run; the last one logged when there is no plan."""
        return max(int(self.plan.get("steps") or 0), self.step, 1)


def state_of(run: RunFolder, plan: Row, until_step: int | None = None) -> PanelState:
    """The panel's state as it stood at `until_step` (the end without it), read from the run's files."""
    state = PanelState()
    state.feed("plan", plan)
    for path, kind in ((run.metrics, ""), (run.samples, "sample")):
        for row in read_rows(path):
            if until_step is None or row.get("step", 0) <= until_step:
                state.feed(kind or str(row.get("kind")), row)
    return state
