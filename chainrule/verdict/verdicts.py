"""One sentence about a run's health, and how bad it is."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Verdict:
    """A plain sentence: what was seen, what it means, what to try. `kind` is the same for the same trouble."""

    kind: str
    mark: Literal["good", "note", "bad"]
    sentence: str
