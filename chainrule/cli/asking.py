"""Asking before something is removed for good."""

import sys
from collections.abc import Sequence

from chainrule.base import RunError
from chainrule.cli.output import say


def agreed(lines: Sequence[str]) -> bool:
    """Shows what goes, and whether a person at a terminal says yes; without one, RunError."""
    if not sys.stdin.isatty():
        raise RunError("nobody is there to be asked; add --yes to remove them all the same")
    for line in lines:
        say(line)
    say("remove all of this for good? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
