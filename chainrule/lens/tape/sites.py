"""Where an operation was asked for: the module that is running and the line of the program."""

import linecache
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType

import jaxtyping
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

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


class ModuleStack:
    """Which module is running, by its path in `root`; a module outside `root` goes by its class name.

    `newcomer(module, path)` is told of a module outside, the first time that it is called.
    """

    def __init__(self, root: nn.Module | None, newcomer: Callable[[nn.Module, str], None] | None = None) -> None:
        self.paths: dict[int, str] = {}
        self.classes: dict[str, str] = {}
        self.running: list[tuple[str, int]] = [("", 0)]
        self.calls: dict[str, int] = {}
        self.known: list[nn.Module] = []
        self.newcomer = newcomer
        self.thread = threading.get_ident()
        if root is not None:
            self.know(root, "")

    def know(self, module: nn.Module, prefix: str) -> None:
        """Names every module below `module`; those that have a name keep it."""
        self.known.append(module)  # keeps it alive, so that its id stays its own
        for path, child in module.named_modules(prefix=prefix):
            if id(child) not in self.paths:
                self.paths[id(child)] = path
                self.classes.setdefault(path, type(child).__name__)

    @property
    def here(self) -> tuple[str, int]:
        """The running module's path, and which call of it this is, from 0."""
        return self.running[-1]

    def _enter(self, module: nn.Module, _inputs: object) -> None:
        if threading.get_ident() != self.thread:
            return
        if id(module) not in self.paths:
            self._meet(module)
        path = self.paths[id(module)]
        self.running.append((path, self.calls.get(path, 0)))
        self.calls[path] = self.calls.get(path, 0) + 1

    def _meet(self, module: nn.Module) -> None:
        name = type(module).__name__
        same = sum(path == name or path.startswith(f"{name}_") for path in self.classes)
        path = f"{name}_{same}" if same else name
        self.know(module, path)
        if self.newcomer is not None:
            self.newcomer(module, path)

    def _leave(self, _module: nn.Module, _inputs: object, _output: object) -> None:
        if threading.get_ident() == self.thread:
            self.running.pop()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follows every module call of this thread until the end of the block."""
        before = register_module_forward_pre_hook(self._enter)
        after = register_module_forward_hook(self._leave, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()
