"""Where an operation was asked for: the module that is running and the line of the program."""

import linecache
import os
import sys
from functools import lru_cache
from pathlib import Path
from types import FrameType

import jaxtyping
import torch

from chainrule.lens.tape.nodes import Site

# Frames of these places are how an operation came about, not where it was asked for; "<@" are generated wrappers, and
# jaxtyping's stand around every function whose shapes are checked.
LENS = Path(__file__).parent.parent
OWN = tuple(f"{LENS / room}{os.sep}" for room in ("tape", "prove"))
COMMANDS = str(LENS.with_name("cli"))
SKIPPED = (
    str(Path(torch.__file__).parent),
    str(Path(jaxtyping.__file__).parent),
    "<frozen",
    "<@",
    "<eval_with_key",
    *OWN,
)


def calling_site() -> Site | None:
    """The innermost line that belongs neither to torch nor to the recorder; None when a command of ours ran torch."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(COMMANDS):
            return None
        if not file.startswith(SKIPPED):
            code = linecache.getline(file, frame.f_lineno).strip()
            return Site(_short(file), frame.f_lineno, frame.f_code.co_name, code)
        frame = frame.f_back
    return None


@lru_cache(maxsize=1024)
def _short(file: str) -> str:
    """The path from the present folder or from site-packages, where it lies below one of them."""
    _, installed, below = file.rpartition("site-packages/")
    if installed:
        return below
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file
