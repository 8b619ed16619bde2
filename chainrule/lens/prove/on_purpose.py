"""Gradients that the program itself changes on the way back: by hooks, or by a custom Function that is meant to."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.base import LensError
from chainrule.lens.engine import CustomFunctions, autograd_gradients, function_name, function_site, held_nodes
from chainrule.lens.prove.locate import Place
from chainrule.lens.prove.no_way_back import no_way_back
from chainrule.lens.tape import Site, Tape, Value, WatchedHook, ends_with, is_line_of, watch_tensor, watched_in


@dataclass(frozen=True)
class Change:
    """Who changes a gradient, and by how much of its largest element; `allowed` is what was said to be on purpose."""

    what: str
    site: Site | None
    change: float
    allowed: bool

    def __str__(self) -> str:
        return f"{self.what}{'' if self.site is None else f' at {self.site}'}: {self.change:.1e}"


class Allowed:
    """What `allow=` names: each entry has a line (`line 12`, `model.py:12`) or the name of a hook or Function."""

    def __init__(self, entries: Iterable[str]) -> None:
        if isinstance(entries, str):
            raise LensError(f"allow={entries!r}: give a list, allow=[{entries!r}]")
        self.entries = tuple(entries)
        self.used: set[str] = set()

    def allows(self, name: str, written: Sequence[Any], site: Site | None = None) -> bool:
        """Whether something of this name is allowed, or a line of what was `written`, or that where it is called."""
        for entry in self.entries:
            line = _line(entry)
            here = line is not None and (
                any(is_line_of(one, *line) for one in written)
                or (site is not None and site.line == line[1] and ends_with(site.file, line[0]))
            )
            if here or _names(entry, name):
                self.used.add(entry)
                return True
        return False

    def whole(self, function: type, site: Site | None) -> bool:
        """Whether a custom Function, called at `site`, is one whose gradient is what its backward pass says."""
        return self.allows(function.__name__, [function], site)

    @property
    def unused(self) -> tuple[str, ...]:
        """The entries that named nothing."""
        return tuple(entry for entry in self.entries if entry not in self.used)


def _names(entry: str, name: str) -> bool:
    """Whether the entry has the name, or its last part, as a word."""
    last = name.rpartition(".")[2]
    return last != "<lambda>" and re.search(rf"(?<![\w.]){re.escape(last)}(?!\w)", entry) is not None


def _line(entry: str) -> tuple[str, int] | None:
    """The file (or nothing) and the line that the entry names."""
    found = re.search(r"([\w./\\-]+\.\w+):(\d+)", entry) or re.search(r"()\bline (\d+)", entry)
    return None if found is None else (found[1], int(found[2]))


@dataclass
class WayBack:
    """Autograd's way back with the hooks in place: `gradients` are as training would get them, but for what is allowed.

    `plain` are those without any hook that changed something; the same when none did that is not allowed. `writers` are
    custom Functions that wrote into the gradient that they were given.
    """

    gradients: dict[int, Tensor | None]
    plain: dict[int, Tensor | None] | None
    changes: tuple[Change, ...]
    writers: list[Any] = field(default_factory=list)
    guilty: WatchedHook | None = None


def way_back(tape: Tape, modules: Sequence[nn.Module], everywhere: Sequence[WatchedHook], allowed: Allowed) -> WayBack:
    """Goes back once to see what each hook does, then without those that are allowed to."""
    on_leaves = {leaf.id: _after(leaf) for leaf in tape.leaves()}
    hooks = [*everywhere, *watched_in(modules), *_on_tensors(tape)]
    writers: list[Any] = []

    def go_back() -> dict[int, Tensor | None]:
        try:
            gradients = autograd_gradients(tape, writers=writers)
        except RuntimeError as fault:
            raise LensError(no_way_back(tape, fault)) from fault
        for leaf, after in on_leaves.items():
            if after and gradients.get(leaf) is not None:
                gradients[leaf] = _accumulated(tape.values[leaf], gradients[leaf], after)
        return gradients

    gradients = go_back()
    changing = [hook for hook in hooks if hook.change]
    changes = tuple(
        Change(f"{hook.kind} {hook.name} on {hook.on}", hook.site, hook.change, allowed.allows(hook.name, [hook.hook]))
        for hook in changing
    )
    for hook, change in zip(changing, changes, strict=True):
        hook.off = change.allowed
    if any(hook.off for hook in changing):
        gradients.clear()
        gradients = go_back()
    guilty = [hook for hook in changing if not hook.off]
    for hook in guilty:
        hook.off = True
    plain = go_back() if guilty else None
    worst = max(guilty, key=lambda one: one.change, default=None)
    return WayBack(gradients, plain, changes, writers, worst)


def place_of_hook(tape: Tape, hook: WatchedHook) -> Place:
    """The hook as the place of a wrong gradient: shown at the operation that made what it hangs on, or reads it."""
    value = tape.named(hook.on)
    inside = [node.id for node in tape.nodes if node.module == hook.on or node.module.startswith(hook.on + ".")]
    node = (inside or [0])[-1]
    if value is not None:
        readers = tape.consumers().get(value.id, [0])
        node = readers[0] if value.producer is None else value.producer
    shown = tape.nodes[node]
    what = f"{hook.kind} {hook.name} on {hook.on}"
    return Place(node, shown.op, "", shown.site, hook.on, hook.change, what, hook.site, by_hook=True)


def place_of_function(tape: Tape, backward: Any, relative: float) -> Place:
    """A custom Function as the place of a wrong gradient."""
    members = CustomFunctions(tape).members(backward)
    node = tape.nodes[members[-1] if members else 0]
    name = tape.values[node.outputs[0]].name if node.outputs else node.op
    return Place(
        node.id, node.op, node.module, node.site, name, relative, function_name(backward), function_site(backward)
    )


def place_of_unseen(tape: Tape, number: int | None = None) -> Place | None:
    """A write that autograd did not see, where there is one: it changes numbers, and the gradient says nothing.

    That of this number, or the first. Writes to weights themselves are none: their gradient is that of what they hold
    after it.
    """
    held = held_nodes(tape)
    unseen = (one for one in tape.nodes if one.unseen and one.id not in held and number in (None, one.id))
    node = next(unseen, None)
    if node is None:
        return None
    written = tape.values[node.outputs[0]]
    maker = tape.nodes[written.producer] if node.func is None and written.producer is not None else node
    for name, ref in node.references():  # `.data` was written to: the line is that of the write
        producer = tape.values[ref.value].producer
        maker = tape.nodes[producer] if name == "written" and producer is not None else maker
    return Place(maker.id, maker.op, maker.module, maker.site, written.name, float("nan"), unseen=True)


def _on_tensors(tape: Tape) -> list[WatchedHook]:
    found: dict[int, WatchedHook] = {}
    for value in tape.values:
        if value.tensor is not None and value.requires_grad:
            found.update({id(hook): hook for hook in watch_tensor(value.tensor, value.name)})
    return list(found.values())


def _after(leaf: Value) -> list[WatchedHook]:
    hooks = () if leaf.tensor is None else watch_tensor(leaf.tensor, leaf.name)
    return [hook for hook in hooks if hook.kind == "post-accumulate hook"]


def _accumulated(leaf: Value, gradient: Tensor | None, hooks: Sequence[WatchedHook]) -> Tensor | None:
    """What `.grad` is after the hooks; the tensor is as before. A hook that takes the gradient away has used it up."""
    tensor = leaf.tensor
    assert tensor is not None and gradient is not None
    data, before = tensor.data, tensor.grad
    with torch.autograd._unsafe_preserve_version_counter(tensor):  # type: ignore[attr-defined]
        tensor.data, tensor.grad = data.clone(), gradient.clone()
        try:
            for hook in hooks:
                hook(tensor)
            return gradient if tensor.grad is None else tensor.grad.detach()
        finally:
            tensor.data, tensor.grad = data, before
