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
RECORDING = str(LENS / "tape" / "recording.py")
LAYERS = f"{Path(torch.nn.__file__).parent}{os.sep}"
CONTAINERS = tuple(LAYERS + str(Path(one)) for one in ("modules/container.py", "modules/module.py", "functional.py"))
SKIPPED = (
    str(Path(torch.__file__).parent),
    str(Path(jaxtyping.__file__).parent),
    "<frozen",
    "<@",
    "<eval_with_key",
    *OWN,
)


def calling_site() -> Site | None:
    """The innermost line of the program: neither torch's, nor ours, nor that which asked for the recording.

    Where the program has none of its own (a layer of torch in an `nn.Sequential`) it is the line of the layer. None
    when a function of torch was recorded as it is.
    """
    frame: FrameType | None = sys._getframe(1)
    layer: FrameType | None = None
    while frame is not None:
        file, function = frame.f_code.co_filename, frame.f_code.co_name
        if file == RECORDING and function == "record":
            break
        if layer is None and file.startswith(LAYERS) and file not in CONTAINERS:
            layer = frame
        if not file.startswith(SKIPPED):
            return _site(frame)
        frame = frame.f_back
    return None if layer is None else _site(layer)


def _site(frame: FrameType) -> Site:
    file = frame.f_code.co_filename
    code = linecache.getline(file, frame.f_lineno).strip()
    return Site(_short(file), frame.f_lineno, frame.f_code.co_name, code)


@lru_cache(maxsize=1024)
def _short(file: str) -> str:
    """The path from the present folder or from site-packages, where it lies below one of them."""
    _, installed, below = file.rpartition("site-packages/")
    if installed:
        return below
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file
