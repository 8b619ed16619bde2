"""One sentence about a run, how bad it is, and what to do about it."""

from dataclasses import dataclass
from typing import Literal, get_args

Mark = Literal["good", "note", "bad"]
MARKS: tuple[Mark, ...] = get_args(Mark)
"""From the best to the worst."""


@dataclass(frozen=True)
class Verdict:
    """What was seen and what it means, and in `remedy` what to try; `kind` is the same for the same trouble."""

    kind: str
    mark: Mark
    sentence: str
    remedy: str = ""

    @property
    def text(self) -> str:
        """The sentence and the remedy, where there is one."""
        return f"{self.sentence} {self.remedy}".rstrip()
