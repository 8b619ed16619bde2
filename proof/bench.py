"""What the parts of the proof work with: a folder, a seed, and the straight run that all others are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from proof.case import hold
from proof.child import command
from proof.tiny import fingerprint, new, no_traceback, write_texts


@dataclass
class Bench:
    """`folder` is the proof's own; `quick` asks for a sample of each part."""

    folder: Path
    seed: int
    quick: bool

    @cached_property
    def texts(self) -> Path:
        """The text that all runs learn from."""
        return write_texts(self.folder / "texts")

    @cached_property
    def straight(self) -> Path:
        """The uninterrupted run."""
        return self.run_of("straight")

    @cached_property
    def equal_to(self) -> Mapping[str, str]:
        """The fingerprint of the uninterrupted run; a second one has shown that it does not hang on the hour."""
        told = fingerprint(self.straight)
        if self.quick:
            return told
        again = fingerprint(self.run_of("straight-again"))
        hold(told == again, "two uninterrupted runs differ")
        return told

    def run_of(self, name: str, texts: Path | None = None, **over: str) -> Path:
        """A finished run with these settings over the tiny one's, on its texts or on others."""
        run = self.folder / name / "run"
        run.parent.mkdir()
        ended = command(new(texts or self.texts, run, **over), run.parent)
        no_traceback(ended)
        hold(ended.code == 0, f"the run {name} itself did not end well, {ended.last()}")
        return run
