"""The first words of a command: loading torch takes seconds where the disk is cold, and that is said."""

import os
import sys
from importlib import import_module


def load_torch(*, logged: bool = False) -> None:
    """Loads torch for the imports after it. A terminal shows it while it lasts; with `logged` a log has a line of it.

    Call it when all that can be refused without torch has been looked at.
    """
    if "torch" in sys.modules:
        return
    words = "loading torch …"
    fleeting = sys.stderr.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
    if not fleeting:
        if logged:
            print(words, file=sys.stderr, flush=True)
        import_module("torch")
        return
    print(words, end="", file=sys.stderr, flush=True)
    try:
        import_module("torch")
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
