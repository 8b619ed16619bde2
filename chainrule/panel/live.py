"""How a person sees a run: a live panel on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from chainrule.base import bytes_text
from chainrule.panel.blocks import block, result
from chainrule.panel.layout import frame
from chainrule.panel.plain import PlainLog, report_of, run_of
from chainrule.panel.state import PanelState
from chainrule.run import EvalRow, Plan, Progress, Record, Sample, Saved, Summary, TrainRow
from chainrule.show import one_line

Watch = Callable[[Record], None]
FRAME_SECONDS = 1.0
PROGRESS_SECONDS = 0.2
PHASES = {"reading": "reading the text", "tokens": "turning text into tokens", "tokenizer": "training the tokenizer"}


class Screen(Protocol):
    """Where rows are shown."""

    def show(self, record: Record) -> None:
        """Takes in one record and shows it when it is time."""

    def close(self) -> None:
        """Leaves the terminal as it was found."""


@contextmanager
def make_watch(*, json_mode: bool) -> Iterator[Watch]:
    """What `pretrain` is given to be watched with; the terminal is clean again after the block, whatever ended it.

    On a terminal a live panel; elsewhere lines on standard output; with `json_mode` lines on standard error, so that
    standard output holds the one JSON object alone.
    """
    stream = sys.stderr if json_mode else sys.stdout
    screen: Screen = PlainLog(stream) if json_mode or not _is_terminal() else LivePanel(Console(file=stream))
    try:
        yield screen.show
    finally:
        screen.close()


def _is_terminal() -> bool:
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return sys.stdout.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"} and encoding == "utf8"


class LivePanel:
    """Blocks as they happen, then one panel that is redrawn in place, then the result.

    It has no thread of its own: it draws inside `show`, at most once a second, so that training loses a few
    milliseconds each second and nothing else.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.clock = clock
        self.state = PanelState()
        self.live: Live | None = None
        self.drawn = -1e9
        self.training = False
        self.run: str | None = None

    def show(self, record: Record) -> None:
        """Takes in one record; a block is printed at once, the panel is redrawn when a second has passed."""
        if isinstance(record, Progress) and not self.training:
            self._draw(_progress(record, self.console.width), PROGRESS_SECONDS)
            return
        if not self.training:
            self._stop()
        if isinstance(record, Sample) and record.step != self.state.samples_step:
            self._keep_first_sample()
        again = isinstance(record, Plan) and self.state.plan != Plan()
        self.state.feed(record)
        if isinstance(record, Saved):
            self.run = run_of(record)
        if (lines := block(record, again=again)) is not None:
            self.console.print(lines)
        if isinstance(record, Summary):
            self._finish(record)
        elif isinstance(record, TrainRow | EvalRow | Sample | Progress):
            self.training = True
            self._draw_panel(0 if isinstance(record, Progress) else FRAME_SECONDS)

    def close(self) -> None:
        """Draws the last state, if a panel is up, and gives the terminal back."""
        if self.training and self.live is not None:
            self._draw_panel(0)
        self._stop()

    def _finish(self, summary: Summary) -> None:
        self.close()
        self.training = False
        self.console.print(result(summary, report_of(summary, self.run), self.run, self.console.width))

    def _draw_panel(self, every: float) -> None:
        if self.live is None or self.clock() - self.drawn >= every:
            self._draw(frame(self.state, self.console), every, transient=False)

    def _draw(self, picture: RenderableType, every: float, *, transient: bool = True) -> None:
        if self.live is None:
            self.live = Live(console=self.console, auto_refresh=False, transient=transient)
            self.live.start()
        elif self.clock() - self.drawn < every:
            return
        self.live.update(picture, refresh=True)
        self.drawn = self.clock()

    def _stop(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _keep_first_sample(self) -> None:
        """The round before goes up above the panel as one line: the way from noise to words stays in view."""
        if not self.state.samples:
            return
        prompt, text = next(iter(self.state.samples.items()))
        label = f"step {self.state.samples_step:>6}  "
        line = one_line(prompt + text, self.console.width - len(label) - 1)
        self.console.print(Text.assemble((label, "dim"), line), no_wrap=True, overflow="crop")


def _progress(seen: Progress, width: int) -> RenderableType:
    done, total = seen.done, seen.total
    grid = Table.grid(padding=(0, 2))
    label = PHASES.get(seen.phase, one_line(seen.phase, 30))
    if not done:
        return Text(f"{label} …", style="bold cyan")
    bar = ProgressBar(total=max(total, 1), completed=min(done, max(total, 1)), width=max(10, min(40, width - 55)))
    grid.add_row(Text(label, style="bold cyan"), bar, Text(f"{bytes_text(done)} of {bytes_text(total)}", style="dim"))
    return grid
