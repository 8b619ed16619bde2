"""Several processes that make each update together: what the one that leads asks of all, itself among them.

The leader alone decides, looks and writes; so clocks, signals and journals are those of one process. The others know a
run's settings and its text, and do what they are told. How that is done is no matter of this room: see `ranks`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from chainrule.config import Config
from chainrule.device import MachineFacts
from chainrule.health import Excess
from chainrule.plan import Layout
from chainrule.run import RunFolder
from chainrule.train.step import StepResult

if TYPE_CHECKING:
    from chainrule.train.state import TrainState

Judge = Callable[[float, float], tuple[Excess, ...]]


@dataclass(frozen=True)
class Portion:
    """What one update learns from, and how: samples `first` to `first + count - 1` in pieces, all processes together.

    `step` is the update's number from 0, `factor` its share of the peak rate, `micro_batch` the windows (not pieces) of
    a forward pass in each process. `judged`: whether the leader says of loss and norm that nothing is to move.
    """

    step: int
    first: int
    count: int
    n_pieces: int
    micro_batch: int
    factor: float
    judged: bool = False


@dataclass(frozen=True)
class Made:
    """An update as all made it; `signal` is the number of one that asked any process for the end, or 0."""

    result: StepResult
    signal: int = 0


class Team(Protocol):
    """The processes of a run. Everything that is called here, all of them do; RankError where one is gone."""

    @property
    def size(self) -> int:
        """How many."""

    @property
    def on_this_machine(self) -> int:
        """How many of them share this machine."""

    @property
    def layout(self) -> Layout:
        """How the run lies on them, once it has begun."""

    def begin(self, run: RunFolder, config: Config, facts: MachineFacts) -> None:
        """Makes the model in parts, without weights yet; raises what any process finds wrong, with its rank."""

    def take(self, state: "TrainState") -> None:
        """Shares out weights and the optimizer's state."""

    def give(self, state: "TrainState", *, optimizer: bool) -> None:
        """Gathers the weights into the leader's model, and the optimizer's state where that is asked for."""

    def update(self, portion: Portion, judge: Judge | None = None) -> Made:
        """One update; `judge` says of loss and norm what is out of line, and then nothing moves."""

    def trial(self, portion: Portion) -> float:
        """The seconds of an update at a rate of zero; afterwards the optimizer knows nothing of it."""
