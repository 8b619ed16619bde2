"""The first words of a command: what is imported takes seconds where the disk is cold, and that is said."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from chainrule.base import others_cores, sleep_beside


def load_torch(*, logged: bool = False) -> None:
    """Loads torch for the imports after it. A terminal shows it while it lasts; with `logged` a log has a line of it.

    Call it when all that can be refused without torch has been looked at.
    """
    if "torch" in sys.modules:
        return
    with shown_while("loading torch …", logged=logged):
        if logged:  # a training, which goes on for long; others are to answer at once
            sleep_beside(others_cores())
        # What torch makes while it loads stays: looking through its hundred thousands of objects for garbage cost 0.1 s
        # here, and as much again in the imports after it.
        gc.disable()
        try:
            import_module("torch")
        finally:
            gc.freeze()
            gc.enable()


@contextmanager
def shown_while(words: str, *, logged: bool = False) -> Iterator[None]:
    """Shows `words` on a terminal while the block lasts, then takes them back; with `logged` they are a log's line."""
    fleeting = sys.stderr.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
    if fleeting or logged:
        print(words, end="" if fleeting else "\n", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if fleeting:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
