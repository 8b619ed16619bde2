"""The log of a run where there is no terminal: one line for each thing, flushed, without colour."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from chainrule.base import bytes_text, duration_text
from chainrule.panel.blocks import headline, measured, measured_baselines, sentences, what_next
from chainrule.run import RunFolder
from chainrule.show import count, number, one_line, percent, rate

Row = Mapping[str, Any]
LINES_PER_RUN = 100
EVERY_SECONDS = 30.0
PROGRESS_PARTS = 4


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

    def show(self, kind: str, row: Row) -> None:
        """Writes the line or lines of one row, when it is worth one."""
        words = "measured plan" if kind == "plan" and self.steps else kind
        if kind in ("plan", "replan"):
            self.steps = int(row.get("steps") or 0)
            self.stride = max(1, self.steps // LINES_PER_RUN)
        writers = {
            "train": self._train,
            "eval": self._eval,
            "sample": self._sample,
            "progress": self._progress,
            "saved": self._saved,
            "finished": self._finished,
        }
        if kind in writers:
            writers[kind](row)
        for label, sentence, _ in sentences(words, row):
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

    def _train(self, row: Row) -> None:
        step = int(row["step"])
        due = step <= 3 or step % self.stride == 0 or step == self.steps
        if not due and self.clock() - self.spoke < EVERY_SECONDS:
            return
        left = row.get("seconds_left")
        self.write(
            f"step {step}/{self.steps or '?'} loss {number(row.get('loss'), 4)} lr {rate(row.get('lr'))} "
            f"norm {number(row.get('grad_norm'), 2)} {count(row.get('tokens_per_second'))} tokens/s "
            f"{percent(row.get('peak_share'))} of peak" + (f", {duration_text(left)} left" if left is not None else "")
        )

    def _eval(self, row: Row) -> None:
        bits = number(row.get("val_bits_per_byte"), 4)
        self.write(f"step {row['step']} held-out loss {number(row.get('val_loss'), 4)} bits per byte {bits}")

    def _sample(self, row: Row) -> None:
        text = json.dumps(str(row["text"]), ensure_ascii=False)
        self.write(f"step {row['step']} sample {json.dumps(str(row['prompt']), ensure_ascii=False)} {text}")

    def _progress(self, row: Row) -> None:
        done, total = row.get("done") or 0, row.get("total") or 0
        if not done:
            self.write(f"{row['phase']} …")
            return
        part = PROGRESS_PARTS * done // total if total else 0
        if part > self.phases.get(row["phase"], 0) or self.clock() - self.spoke >= EVERY_SECONDS:
            self.phases[row["phase"]] = part
            share = f" ({percent(min(1, done / total))})" if total else ""
            self.write(f"{row['phase']}: {bytes_text(done)} of {bytes_text(total)}{share}")

    def _saved(self, row: Row) -> None:
        self.run = run_of(row)
        self.write(f"saved step {row['step']}: {row['path']}")

    def _finished(self, row: Row) -> None:
        self.write(headline(row))
        if row.get("val_bits_per_byte") is not None:
            self.write(f"bits per byte, this model: {number(row['val_bits_per_byte'], 4)}")
        for words, value in measured_baselines(row.get("baselines") or {}):
            self.write(f"bits per byte, {words}: {number(value, 4)}")
        for label, sentence in measured(row):
            self.write(f"{label}: {sentence}")
        for completion in list(row.get("completions") or ())[:3]:
            self._sample({"step": row.get("step"), **completion})
        for label, sentence in what_next(report_of(row, self.run), self.run):
            self.write(f"{label}: {sentence}")


def run_of(row: Row) -> str | None:
    """The run folder of a saved checkpoint: runs/NAME of runs/NAME/checkpoints/step-00000250."""
    with suppress(KeyError):
        return str(Path(str(row["path"])).parent.parent)
    return None


def report_of(row: Row, run: str | None) -> str | None:
    """The report's path: as the summary names it, or else where a run folder keeps it, when it is there."""
    if row.get("report"):
        return str(row["report"])
    page = RunFolder(Path(run)).report if run else None
    return str(page) if page and page.is_file() else None
