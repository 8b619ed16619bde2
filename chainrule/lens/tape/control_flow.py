"""torch's control flow as the Python that it stands for: `cond` is an if; `scan`, `map` and `while_loop` are loops.

Torch compiles the bodies first and differentiates what it compiled, and in there nothing can be recorded. What each of
them computes, and so its derivative, is that of the program written out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch._higher_order_ops import utils
from torch._higher_order_ops.cond import CondOp
from torch._higher_order_ops.map import MapImpl
from torch._higher_order_ops.scan import ScanOp
from torch._higher_order_ops.while_loop import WhileLoopOp
from torch.utils._pytree import tree_leaves, tree_map

Body = Callable[..., Any]


def _cond(_op: object, taken: Any, if_true: Body, if_false: Body, operands: Sequence[Any] = ()) -> Any:
    return if_true(*operands) if taken else if_false(*operands)


def _scan(_op: object, step: Body, init: Any, xs: Sequence[Any], additional_inputs: Sequence[Any] = ()) -> Any:
    carried, made = init, []
    for i in range(len(xs[0])):
        carried, one = step(*tree_leaves(carried), *(x[i] for x in xs), *additional_inputs)
        made.append(one)
    return carried, _stacked(made)


def _map(_op: object, body: Body, xs: Sequence[Any], pos_args: Sequence[Any] = ()) -> Any:
    return _stacked([body(*(x[i] for x in xs), *pos_args) for i in range(len(xs[0]))])


def _while_loop(
    _op: object, goes_on: Body, body: Body, carried_inputs: Any, additional_inputs: Sequence[Any] = ()
) -> Any:
    carried = carried_inputs
    while goes_on(*tree_leaves(carried), *additional_inputs):
        carried = body(*tree_leaves(carried), *additional_inputs)
    return carried


def _stacked(made: Sequence[Any]) -> Any:
    """One tree of the trees of all steps, each leaf with a first axis of steps."""
    return tree_map(lambda *leaves: None if leaves[0] is None else torch.stack(leaves), *made)


def _as_it_is(function: Body, args: Sequence[Any], kwargs: Any = None) -> Any:
    return function(*args, **(kwargs or {}))


# Whose attribute is replaced by what; torch compiles in the last.
WRITTEN_OUT: tuple[tuple[Any, str, Body], ...] = (
    (CondOp, "__call__", _cond),
    (ScanOp, "__call__", _scan),
    (MapImpl, "__call__", _map),
    (WhileLoopOp, "__call__", _while_loop),
    (utils, "_hop_compile_and_call", _as_it_is),
)


@contextmanager
def control_flow_written_out() -> Iterator[None]:
    """Inside, each operation of control flow runs as the Python that it stands for."""
    before = [getattr(owner, name) for owner, name, _ in WRITTEN_OUT]
    for owner, name, plain in WRITTEN_OUT:
        setattr(owner, name, plain)
    try:
        yield
    finally:
        for (owner, name, _), original in zip(WRITTEN_OUT, before, strict=True):
            setattr(owner, name, original)
