"""All checks of a run, and the verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule.run import RunFolder
from chainrule.verify.checks import Check, State, verify_files
from chainrule.verify.stretch import replay

SECONDS = 60.0


@dataclass(frozen=True)
class Verified:
    """The checks, in their order; `verdict` is the worst of them."""

    run: str
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> State:
        """Wrong where anything is, else not proved where anything could not be tried."""
        states = {check.state for check in self.checks}
        return "wrong" if "wrong" in states else "not proved" if "not proved" in states else "held"

    def row(self) -> dict[str, Any]:
        """By name, for JSON."""
        checks = [
            {"what": one.what, "tried": one.tried, "held": one.held, "state": one.state, "note": one.note}
            for one in self.checks
        ]
        return {"run": self.run, "verdict": self.verdict, "checks": checks}


def verify_run(
    run: RunFolder,
    *,
    seconds: float = SECONDS,
    say: Callable[[str], object] = lambda what: None,
    on_step: Callable[[int, int], object] = lambda done, total: None,
) -> Verified:
    """Everything that a run's own files can prove; see `verify_files` and `replay` (0 seconds: no step is made again).

    `say` hears what is looked at, `on_step` how many steps of how many are made again. Nothing of the run is changed.
    """
    checks = list(verify_files(run, say))
    if seconds > 0:
        say("steps made again")
        checks.append(replay(run, seconds=seconds, on_step=on_step))
    return Verified(str(run.path), tuple(checks))
