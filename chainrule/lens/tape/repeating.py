"""Running the same thing again, exactly as the first time: buffers, attributes and weights are put back."""

import copy
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from chainrule.base import LensError
from chainrule.lens.tape.nodes import Tape
from chainrule.lens.tape.randomness import RandomState
from chainrule.lens.tape.subject import Subject


@contextmanager
def same_buffers(modules: list[nn.Module]) -> Iterator[None]:
    """What the block does to buffers (the running statistics of batch norm) is undone at its end."""
    buffers = [buffer for module in modules for buffer in module.buffers()]
    before = [buffer.detach().clone() for buffer in buffers]
    try:
        yield
    finally:
        for buffer, copy in zip(buffers, before, strict=True):
            buffer.data.copy_(copy)  # .data: a tape that holds the buffer does not take it for changed


@contextmanager
def leaves_before(tape: Tape) -> Iterator[None]:
    """Inside, weights that the recorded run wrote to (a norm kept small) hold what they held before it."""
    found = [(value.tensor, value.in_program) for value in tape.leaves() if value.overwritten]
    written = [(before, tensor) for before, tensor in found if before is not None and tensor is not None]
    counted = tuple(tensor for _, tensor in written)
    with torch.autograd._unsafe_preserve_version_counter(counted):  # type: ignore[attr-defined]
        after = [tensor.data for tensor in counted]
        for before, tensor in written:
            tensor.data = before.clone()
        try:
            yield
        finally:
            for tensor, data in zip(counted, after, strict=True):
                tensor.data = data


@contextmanager
def same_state(modules: list[nn.Module]) -> Iterator[None]:
    """What the block does to buffers and plain attributes (running means, counters, caches) is undone at its end.

    Inside, modules hold clones of their tensors: what a tape or a graph of one run holds is not written to by the next.
    """
    before = [_Attributes(part) for module in modules for part in module.modules()]
    clones: dict[int, Tensor] = {}
    for one in before:
        one.swap(clones)
    try:
        yield
    finally:
        for one in reversed(before):
            one.restore()


class _Attributes:
    """The buffers and plain attributes of a module as they were; lists and the like with what they held."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.plain, self.buffers = module, dict(vars(module)), dict(module._buffers.items())
        self.compiled = isinstance(module, torch.jit.ScriptModule)
        self.before = [one.clone() for one in self.buffers.values() if one is not None] if self.compiled else []
        self.held = [(one, copy.copy(one)) for name, one in self.plain.items() if _is_container(name, one)]

    def swap(self, clones: dict[int, Tensor]) -> None:
        """Puts clones in the place of tensors, one for each however many modules hold it.

        What TorchScript compiled keeps its own, and has its numbers put back.
        """
        if self.compiled:
            return
        for holder in (self.module._buffers, vars(self.module)):
            for name, one in list(holder.items()):
                if isinstance(one, Tensor) and not one.requires_grad:
                    known = clones.get(id(one))
                    holder[name] = clones[id(one)] = one.clone() if known is None else known
                    clone = vars(holder[name])
                    clone.update({**vars(one), **clone})  # of a tensor that wraps another its own stays

    def restore(self) -> None:
        """Puts all back."""
        if self.compiled:
            for one, copy_ in zip((b for b in self.buffers.values() if b is not None), self.before, strict=True):
                one.data.copy_(copy_)
            return
        for one, contents in self.held:
            one.clear()
            (one.extend if isinstance(one, list | deque) else one.update)(contents)
        self.module._buffers.clear()
        self.module._buffers.update(self.buffers)
        vars(self.module).clear()
        vars(self.module).update(self.plain)


def _is_container(name: str, one: Any) -> bool:
    """Whether it is a list, dict, set or deque of the module's own, and not one of those that make it a module."""
    return isinstance(one, list | dict | set | deque) and name not in _MODULE_PARTS


_MODULE_PARTS = frozenset(vars(nn.Module()))


class Forward:
    """The loss of a subject as a function of whatever lies in its weights: each call draws the same random numbers.

    To be called inside `same_random_numbers`, which puts those of the outside back once, at the end. `holding` is the
    context that each run happens in. Autograd is on, since a program may ask (or register a hook); it keeps nothing,
    unless the program `goes_back` itself, as for a gradient penalty.
    """

    def __init__(self, subject: Subject, state: RandomState, modules: list[nn.Module]) -> None:
        self.subject, self.state, self.modules = subject, state, modules
        self.holding: Callable[[], AbstractContextManager[object]] = nullcontext
        self.n_runs, self.goes_back = 0, False

    def __call__(self) -> float:
        """The loss of one more run."""
        self.n_runs += 1
        loss = self._run()
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise LensError(f"{self.subject.name} returned no single number; pass loss=lambda output: …")
        return float(loss.detach())

    def _run(self) -> Any:
        self.state.restore()
        kept = nullcontext() if self.goes_back else saved_tensors_hooks(_forget, _forget)
        with same_state(self.modules), torch.enable_grad(), kept, self.holding():
            return self.subject.run()


def _forget(_saved: object) -> Any:
    """Nobody goes back through these runs."""
    return None
