"""Which module of a model is running, followed from call to call."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook


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
