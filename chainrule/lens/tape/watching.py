"""The hooks of a program on its way back: in place, watched for what they change, and off when they are asked to be."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, finfo, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from chainrule.lens.tape.nodes import Site

# Kinds of hooks by the attribute that holds them: of modules, and of tensors.
MODULE_HOOKS = {"_backward_hooks": "backward hook", "_backward_pre_hooks": "backward pre-hook"}
EVERYWHERE = ("_global_backward_hooks", "_global_backward_pre_hooks")


@dataclass(eq=False)
class WatchedHook:
    """A hook that stands in for the program's own: calls it, and notes how far it moved what it was given.

    `on` says what it hangs on, `change` is the largest difference of an element over the largest element (0 while
    nothing was changed). While it is `off` gradients pass as they are.
    """

    hook: Callable[..., Any]
    kind: str
    on: str
    change: float = 0.0
    n_calls: int = 0
    off: bool = field(default=False, repr=False)

    def __call__(self, *given: Any) -> Any:
        """As the hook. The last of `given` is the gradient; of a module's hook before it the module and the inputs'."""
        if self.off:
            return None
        self.n_calls += 1
        before = tree_map_only(Tensor, lambda one: one.detach().clone(), self._gradient(given))
        answer = self.hook(*given)
        after = self._gradient(given) if answer is None else answer
        self.change = max(self.change, _moved(before, after))
        return answer

    def _gradient(self, given: tuple[Any, ...]) -> Any:
        if self.kind == "post-accumulate hook":
            return given[0].grad
        return given[1] if self.kind == "backward hook" else given[-1]

    @property
    def name(self) -> str:
        """What the hook is called in its source."""
        inner = inspect.unwrap(getattr(self.hook, "func", self.hook))
        return str(getattr(inner, "__qualname__", type(inner).__qualname__)).rpartition("<locals>.")[2]

    @property
    def site(self) -> Site | None:
        """Where the hook is written; None for one that is not written in Python."""
        return written_at(self.hook)


def written_at(function: Any) -> Site | None:
    """The line where a function or class begins: that of its `def`, not of what decorates it."""
    found = _source(function)
    if found is None:
        return None
    inner, lines, first, file = found
    start = next((i for i, line in enumerate(lines) if line.lstrip().startswith(("def ", "class "))), 0)
    return Site(_shown(file), first + start, inner.__qualname__, lines[start].strip())


def is_line_of(function: Any, file: str, line: int) -> bool:
    """Whether a function or class has this line; the file may be given by the end of its path."""
    found = _source(function)
    if found is None:
        return False
    _, lines, first, where = found
    return first <= line < first + len(lines) and ends_with(str(where), file)


def ends_with(path: str, end: str) -> bool:
    """Whether the path is `end`, or lies there; everything ends with nothing."""
    path, end = path.replace("\\", "/"), end.replace("\\", "/")
    return not end or path == end or path.endswith("/" + end.removeprefix("./"))


def _shown(file: Path) -> str:
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


def _source(function: Any) -> tuple[Any, list[str], int, Path] | None:
    """What was written, its lines, the number of the first, and the file; None of what is not written in Python."""
    inner = inspect.unwrap(getattr(function, "func", function))
    if not (inspect.isfunction(inner) or inspect.ismethod(inner) or inspect.isclass(inner)):
        inner = type(inner).__call__
    try:
        lines, first = inspect.getsourcelines(inner)
        return inner, lines, first, Path(inspect.getsourcefile(inner) or "?")
    except (OSError, TypeError):
        return None


def watched_in(modules: Iterable[nn.Module]) -> list[WatchedHook]:
    """The watchers of modules and of all in them."""
    parts = {id(part): part for module in modules for part in module.modules()}.values()
    hooks = [hook for part in parts for attribute in MODULE_HOOKS for hook in getattr(part, attribute).values()]
    return [hook for hook in hooks if isinstance(hook, WatchedHook)]


def watch_module(module: nn.Module, prefix: str) -> None:
    """Puts watchers in the place of the backward hooks of a module and of all in it."""
    for path, part in module.named_modules(prefix=prefix):
        for attribute, kind in MODULE_HOOKS.items():
            _watch(getattr(part, attribute), kind, path or type(module).__name__)


def watch_tensor(tensor: Tensor, name: str) -> list[WatchedHook]:
    """Puts watchers in the place of a tensor's hooks, and returns all that are there."""
    return [
        *_watch(tensor._backward_hooks, "tensor hook", name),
        *_watch(getattr(tensor, "_post_accumulate_grad_hooks", None), "post-accumulate hook", name),
    ]


@contextmanager
def watching_everywhere() -> Iterator[list[WatchedHook]]:
    """Inside the block the backward hooks of all modules (`register_module_full_backward_hook`) are watched."""
    places = [getattr(torch.nn.modules.module, name) for name in EVERYWHERE]
    before = [dict(place) for place in places]
    found = [
        *_watch(places[0], "backward hook", "all modules"),
        *_watch(places[1], "backward pre-hook", "all modules"),
    ]
    try:
        yield found
    finally:
        for place, hooks in zip(places, before, strict=True):
            place.update({key: hook for key, hook in hooks.items() if key in place})


def _watch(hooks: Any, kind: str, on: str) -> list[WatchedHook]:
    """The watchers in a dictionary of hooks, which autograd asks again on each way back."""
    for key, hook in list((hooks or {}).items()):
        if not isinstance(hook, WatchedHook):
            hooks[key] = WatchedHook(hook, kind, on)
    return list((hooks or {}).values())


def _moved(before: Any, after: Any) -> float:
    """The largest change of an element over the largest element, of the pair that changed most."""
    pairs = zip(tree_leaves(before), tree_leaves(after), strict=False)
    return max((_apart(one, other) for one, other in pairs if isinstance(one, Tensor)), default=0.0)


def _apart(one: Tensor, other: Any) -> float:
    if not isinstance(other, Tensor):
        return 0.0  # a gradient that a hook takes away from `.grad` was used up
    if one.shape != other.shape or not one.numel():
        return float(one.shape != other.shape)
    size = float(one.abs().max())
    gone = float(torch.where((one == other) | (one.isnan() & other.isnan()), 0.0, (other - one).abs()).max())
    eps = finfo(one.dtype).eps
    return 0.0 if gone <= 8 * eps * size else gone / size if size else float("inf")
