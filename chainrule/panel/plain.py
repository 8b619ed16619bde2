"""The log of a run where there is no terminal: one line for each thing, flushed, without colour."""

import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from chainrule.base import bytes_text, duration_text
from chainrule.panel.blocks import headline, measured, sentences, what_next
from chainrule.panel.expected import Expected
from chainrule.run import (
    EvalRow,
    Plan,
    Progress,
    Record,
    Replanned,
    RunFolder,
    Sample,
    Saved,
    Summary,
    TrainRow,
)
from chainrule.show import count, number, one_line, percent, printable, rate
from chainrule.verdict import known_baselines

LINES_PER_RUN = 100
EVERY_SECONDS = 30.0
PROGRESS_PARTS = 4
# Of a sample, in lines of so many characters; the last ones of a run get more.
SAMPLE_LINES, LAST_LINES, SAMPLE_WIDTH = 3, 12, 100


class PlainLog:
    """Writes rows as lines to `stream`; a reader that has gone away (`| head`) never stops the run."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream
        self.clock = clock
        self.spoke = clock()
        self.alive = True
        self.stride = 1
        self.steps = 0
        self.phases: dict[str, int] = {}
        self.run: str | None = None
        self.expected = Expected()

    def show(self, record: Record) -> None:
        """Writes the line or lines of one record, when it is worth one."""
        again = isinstance(record, Plan) and bool(self.steps)
        self.expected.feed(record)
        match record:
            case Plan():
                self._plan(record)
            case Replanned():
                self._plan(record.plan)
            case TrainRow():
                self._train(record)
            case EvalRow():
                self._eval(record)
            case Sample():
                self._sample(record.step, record.prompt, record.text)
            case Progress():
                self._progress(record)
            case Saved():
                self._saved(record)
            case Summary():
                self._finished(record)
        for label, sentence, _ in sentences(record, again=again):
            self.write(f"{label}: {sentence}")

    def write(self, line: str) -> None:
        """One line, safe for any terminal that it may be shown on later, at once."""
        if not self.alive:
            return
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        self.spoke = self.clock()
        text = one_line(line, 100_000).encode(encoding, "replace").decode(encoding)
        try:
            self.stream.write(text + "\n")
            self.stream.flush()
        except (OSError, ValueError):  # the pipe is broken, or the stream was closed
            self.alive = False

    def close(self) -> None:
        """Nothing is held open."""

    def _plan(self, plan: Plan) -> None:
        self.steps = plan.steps or 0
        self.stride = max(1, self.steps // LINES_PER_RUN)

    def _train(self, row: TrainRow) -> None:
        step = row.step
        due = step <= 3 or step % self.stride == 0 or step == self.steps
        if not due and self.clock() - self.spoke < EVERY_SECONDS:
            return
        left, told = row.seconds_left, self.expected.text()
        self.write(
            f"step {step}/{self.steps or '?'} loss {number(row.loss, 4)} lr {rate(row.lr)} "
            f"norm {number(row.grad_norm, 2)} {count(row.tokens_per_second)} tokens/s "
            f"{percent(row.peak_share)} of peak"
            + (f", {duration_text(left)} left" if left is not None else "")
            + (f", loss {told}" if told and step < self.steps else "")
        )

    def _eval(self, row: EvalRow) -> None:
        bits = number(row.val_bits_per_byte, 4)
        self.write(f"step {row.step} held-out loss {number(row.val_loss, 4)} bits per byte {bits}")

    def _sample(self, step: int | None, prompt: str, text: str, most: int = SAMPLE_LINES) -> None:
        """Its first lines, indented: a log is read by its beginnings of lines, and the whole is in samples.jsonl."""
        self.write(f"step {step} writes")
        lines = [
            piece
            for line in printable(prompt + text).strip("\n").split("\n")
            for piece in textwrap.wrap(line, SAMPLE_WIDTH, replace_whitespace=False, drop_whitespace=False) or [""]
        ]
        cut = " …" if len(lines) > most else ""
        for place, line in enumerate(lines[:most]):
            self.write(f"  | {line}" + (cut if place == most - 1 else ""))

    def _progress(self, seen: Progress) -> None:
        done, total = seen.done, seen.total
        if not done:
            self.write(f"{seen.phase} …")
            return
        part = PROGRESS_PARTS * done // total if total else 0
        if part > self.phases.get(seen.phase, 0) or self.clock() - self.spoke >= EVERY_SECONDS:
            self.phases[seen.phase] = part
            share = f" ({percent(min(1, done / total))})" if total else ""
            self.write(f"{seen.phase}: {bytes_text(done)} of {bytes_text(total)}{share}")

    def _saved(self, saved: Saved) -> None:
        self.run = run_of(saved)
        self.write(f"saved step {saved.step}: {saved.path}")

    def _finished(self, summary: Summary) -> None:
        self.write(headline(summary))
        for completion in summary.completions[:3]:
            self._sample(summary.step, completion.prompt, completion.text, most=LAST_LINES)
        if summary.val_bits_per_byte is not None:
            self.write(f"bits per byte, this model: {number(summary.val_bits_per_byte, 4)}")
        for words, value in known_baselines(summary.baselines).items():
            self.write(f"bits per byte, {words}: {number(value, 4)}")
        for label, sentence in [*measured(summary, self.run), *what_next(report_of(summary, self.run), self.run)]:
            self.write(f"{label}: {sentence}")


def run_of(saved: Saved) -> str:
    """The run folder of a saved checkpoint: runs/NAME of runs/NAME/checkpoints/step-00000250."""
    return str(Path(saved.path).parent.parent)


def report_of(summary: Summary, run: str | None) -> str | None:
    """The report's path: as the summary names it, or else where a run folder keeps it, when it is there."""
    if summary.report:
        return summary.report
    page = RunFolder(Path(run)).report if run else None
    return str(page) if page and page.is_file() else None
