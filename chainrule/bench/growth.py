"""Whether speed and memory hold while layers, width, context, batch and text grow to ten times what they were."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

from chainrule.base import bytes_text
from chainrule.bench.asked import Asked
from chainrule.bench.contest import Contest, Reading, Readings, Side
from chainrule.bench.process import read_side
from chainrule.config import Config, Layer, resolve
from chainrule.train import prepare_text

TIMES = (3, 10)
# No size may have less than this part of the largest share of the peak; no memory may be off its plan by more.
LEAST_OF_BEST, OFF_PLAN = 0.8, 0.1
HEAD_DIM = 64
# Besides a first update. A size that takes longer is timed over two updates.
SECONDS, SHORT_SECONDS = 3.0, 0.0


@dataclass(frozen=True)
class Shape:
    """GPT-2's architecture and AdamW, what an update reads, and how many tenths of the text there are to read."""

    layers: int = 2
    width: int = 320
    context: int = 256
    batch: int = 8
    text: int = 1

    def grown(self, name: str, times: int) -> "Shape":
        """The same with one of its numbers so many times as large."""
        return replace(self, **{name: times * getattr(self, name)})

    def config(self, vocab_size: int) -> Config:
        """As the settings of a run."""
        model: dict[str, object] = {"vocab_size": vocab_size, "context_length": self.context, "emb_dim": self.width}
        model |= {"n_heads": max(1, self.width // HEAD_DIM), "n_layers": self.layers, "drop_rate": 0.0}
        training = {"batch_tokens": self.batch * self.context}
        return resolve([Layer("grown", {"model": model, "training": training, "optimizer": {"kind": "adamw"}})]).config

    @property
    def words(self) -> str:
        """For a result."""
        text = "all of the text" if self.text == max(TIMES) else f"{self.text}/{max(TIMES)} of the text"
        return f"{self.layers} layers of {self.width}, {self.batch} windows of {self.context} an update, {text}"


# So large that products are most of a step (quiet, two Zen 4 cores in bfloat16: a width of 384 reaches 83 % of the
# peak, 128 41 %), and so small that such a machine makes an update of ten times the width in seconds: 2.5 million
# numbers in the blocks, and 246 million there.
BASE, SHORT_BASE = Shape(), Shape(layers=1, width=16, context=16, batch=2)


def growth(asked: Asked) -> Iterator[Contest]:
    """One contest in shares of the measured peak: where each size stands beside the one that all grow from."""
    base = SHORT_BASE if asked.short else BASE
    sizes = {"base": base}
    for one in fields(Shape):
        sizes |= {f"{one.name} × {times}": base.grown(one.name, times) for times in TIMES}
    text = cache(partial(prepared, asked))

    def read(size: Shape) -> Reading:
        return read_side("grown-steps", request(asked, size, text(size.text)), asked.threads)

    sides = [Side(name, size.words, partial(read, size)) for name, size in sizes.items()]
    yield Contest("growth", "% of peak", sides, judge=verdicts)


def verdicts(readings: Readings) -> tuple[str, ...]:
    """A line for each size, and which are beyond the bars."""
    shares = {name: median(one.figure for one in many) for name, many in readings.items()}
    best = max(shares.values())
    said, slow, off = [], [], []
    for name, many in readings.items():
        line, apart = _line(many)
        said.append(f"{name}: {line}, {shares[name] / best:.0%} of the best share")
        if shares[name] < LEAST_OF_BEST * best:
            slow.append(name)
        if apart is not None and abs(apart) > OFF_PLAN:
            off.append(name)
    said.append(_bar(f"shares of the peak within {1 - LEAST_OF_BEST:.0%} of the best", slow))
    said.append(_bar(f"memory within {OFF_PLAN:.0%} of the plan", off))
    return tuple(said)


def _line(many: Sequence[Reading]) -> tuple[str, float | None]:
    """Speed and memory in words, and by what part the plan is off."""
    speed = median(one.tokens_per_second or 0.0 for one in many)
    planned, peaks = many[0].planned_bytes or 0, [one.peak_bytes for one in many if one.peak_bytes is not None]
    line = f"{speed:,.0f} tokens/s, {bytes_text(planned)} planned"
    if not peaks:
        return line, None
    apart = planned / median(peaks) - 1
    return f"{line} and {bytes_text(int(median(peaks)))} at most ({apart:+.0%})", apart


def _bar(what: str, beyond: Sequence[str]) -> str:
    return f"{what}: NOT {', '.join(beyond)}" if beyond else f"{what}: all"


def request(asked: Asked, size: Shape, data: Path) -> dict[str, Any]:
    """What the process of a size is told; `data` is the folder of its text."""
    return {
        "shape": asdict(size),
        "data": str(data),
        "precision": asked.precision,
        "peak_flops": asked.peak_flops,
        "seconds": SHORT_SECONDS if asked.short else SECONDS,
    }


def prepared(asked: Asked, tenths: int) -> Path:
    """The folder of so many tenths of the text, by characters, made ready as a run makes it; no reading's time."""
    whole = asked.text.read_text(encoding="utf-8")
    folder = Path(tempfile.mkdtemp(dir=asked.folder))
    part = folder / "text.txt"
    part.write_text(whole[: len(whole) * tenths // max(TIMES)], encoding="utf-8", newline="")
    settings: dict[str, dict[str, Any]] = {
        "text": {"paths": [str(part)]},
        "vocabulary": {"kind": "chars"},
        "machine": {"cache": str(folder / "cache"), "device": "cpu", "threads": asked.threads},
    }
    return prepare_text([Layer("growth", settings)]).folder
