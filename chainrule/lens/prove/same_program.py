"""Whether the float64 copy that is verified computes what the original does: their losses, within rounding."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from chainrule.lens.engine import first_not_finite, name_of, unit_roundoff
from chainrule.lens.prove.wrapped import wrapped_otherwise
from chainrule.lens.tape import (
    Forward,
    RandomState,
    Subject,
    Tape,
    inner_of,
    modules_of,
    random_state,
    same_random_numbers,
    same_state,
    tensors_of,
)

# Losses that differ by fewer roundings are equal without a look at how the program answers to rounding.
ROUNDINGS = 64
# So many runs with rounding errors, and so many times the worst of them.
N_RUNS, MARGIN = 4, 16


def not_the_same(original: Subject, tape: Tape, state: RandomState, forward: Forward) -> str:
    """Why the copy on the tape may be another program than the original, in a sentence; nothing when it is the same.

    The original runs once in its own formats and on its own device, from the same random numbers; what it changes is
    put back.
    """
    assert tape.loss is not None
    kept = tape.values[tape.loss].tensor
    assert kept is not None
    ours = float(kept.detach())
    otherwise = wrapped_otherwise(original, forward.subject, state)
    if otherwise:
        return otherwise
    seen = _OwnFormats(tape)
    try:
        with same_random_numbers(state), _untouched(original, tape), seen:
            theirs = float(inner_of(original.run().detach()))
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as fault:
        return f"the model does not run in its own formats here ({str(fault).splitlines()[0]}), only in float64"
    formats = name_of(seen.coarsest)
    if not (math.isfinite(ours) and math.isfinite(theirs)):
        if (math.isnan(ours) and math.isnan(theirs)) or ours == theirs:
            return ""  # the report says so itself
        where = f"; {first_not_finite(tape)}" if not math.isfinite(ours) else ""
        return f"the loss is {theirs:.6g} in {formats} and {ours:.6g} in float64{where}"
    gap, u = abs(ours - theirs), unit_roundoff(seen.coarsest)
    if gap <= ROUNDINGS * u * max(abs(ours), abs(theirs)):
        return ""
    moved = _moved_by_rounding(forward, ours, u)
    if gap <= MARGIN * moved:
        return ""
    return (
        f"the copy in float64 is not the same program: its loss is {ours:.9g}, that of the model in {formats} "
        f"{theirs:.9g}, and rounding explains {MARGIN * moved:.1e}; look for what asks for a number format (x.dtype, "
        "torch.finfo), casts one away, reads memory in one (a pointer), or jumps between them (argmax, rounding)"
    )


def _moved_by_rounding(forward: Forward, loss: float, u: float) -> float:
    """How far rounding errors of this size, one in each result, move the loss."""
    generator, moved = torch.Generator().manual_seed(0), 0.0
    for _ in range(N_RUNS):
        with _Rounding(u, generator):
            found = abs(forward() - loss)
        moved = max(moved, found if math.isfinite(found) else 0.0)
    return moved


@contextmanager
def _untouched(subject: Subject, tape: Tape) -> Iterator[None]:
    """What a run changes of the caller's modules and tensors is put back."""
    modules = modules_of(subject)
    loose = [inner_of(one) for one in tensors_of(subject)]
    # Weights are many, and few programs write to theirs.
    if any(leaf.overwritten for leaf in tape.leaves()):
        loose += [inner_of(weight) for module in modules for weight in module.parameters()]
    before, drawing = [one.detach().clone() for one in loose], random_state(subject)
    counted = tuple(one for one in loose if not one.is_inference())
    with (
        torch.autograd._unsafe_preserve_version_counter(counted),  # type: ignore[attr-defined]
        same_state(modules),
        torch.enable_grad(),
    ):
        try:
            yield
        finally:
            drawing.restore_own()
            for one, copy in zip(loose, before, strict=True):
                if not torch.equal(one.detach(), copy):
                    one.data.copy_(copy)


class _OwnFormats(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the coarsest number format of a run, and draws random numbers as the float64 copy draws them."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.coarsest = torch.float64
        # In which format the copy drew, in order: layers that are made on the way draw their weights as they always do.
        drawing = [node for node in tape.nodes if torch.Tag.nondeterministic_seeded in getattr(node.func, "tags", ())]
        self.drawn = iter([tape.values[node.outputs[0]].meta.dtype for node in drawing if node.outputs])

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        drawn = torch.Tag.nondeterministic_seeded in func.tags
        wide = drawn and next(self.drawn, torch.float64) == torch.float64
        result = _drawn_wide(func, args, kwargs) if wide else func(*args, **kwargs)
        for one in tree_leaves(result):
            if isinstance(one, Tensor) and (one.is_floating_point() or one.is_complex()):
                self.coarsest = max(self.coarsest, one.dtype, key=lambda dtype: torch.finfo(dtype).eps)
        return result


def _drawn_wide(func: Any, args: Any, kwargs: Any) -> Any:
    """In float64 on the CPU, then brought to the format that was asked for: another format draws other numbers."""
    given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor) and one.is_floating_point()]
    asked = kwargs.get("dtype") or (given[0].dtype if given else None)
    device = kwargs.get("device") or (given[0].device if given else None)
    if asked is None or not asked.is_floating_point:
        return func(*args, **kwargs)
    wide, named = _widened(args), _widened({**kwargs, **{key: one for key, one in _WIDE.items() if kwargs.get(key)}})
    made = func(*wide, **named)
    for place, one in enumerate(func._schema.arguments[: len(args)]):
        if one.alias_info is not None and one.alias_info.is_write:
            args[place].copy_(wide[place])
    if func._schema.returns[0].alias_info is not None:  # what was written to, `self` first
        return args[0]
    return tree_map_only(Tensor, lambda one: one.to(device, asked) if one.dtype == torch.float64 else one, made)


_WIDE = {"dtype": torch.float64, "device": torch.device("cpu")}


def _widened(given: Any) -> Any:
    return tree_map_only(Tensor, lambda one: one.to("cpu", torch.float64) if one.is_floating_point() else one, given)


class _Rounding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Makes every new result wrong by a random relative error of up to `u`."""

    def __init__(self, u: float, generator: torch.Generator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.u, self.generator = u, generator

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._schema.is_mutable or any(one.alias_info is not None for one in func._schema.returns):
            return result
        return tree_map_only(Tensor, self._rough, result)

    def _rough(self, tensor: Tensor) -> Tensor:
        if tensor.dtype != torch.float64:
            return tensor
        errors = torch.empty(tensor.shape, dtype=torch.float64).uniform_(-1.0, 1.0, generator=self.generator)
        return tensor * errors.mul_(2 * self.u).add_(1.0)
