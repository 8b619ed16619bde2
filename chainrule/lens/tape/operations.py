"""What an operation says of itself: its arguments by name, what it writes to, and what it is made of."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from chainrule.base import LensError

# These keep running statistics up to date while training, and their schemas do not say that they write.
UNDECLARED_WRITES = {
    f"{kind}_batch_norm": ("running_mean", "running_var") for kind in ("native", "cudnn", "miopen", "mkldnn")
}


# Not broken up: `detach` would lose its meaning, and of fused attention the decomposition returns the weights where
# autograd expects their normalisation.
WHOLE = ("detach", "flash_attention")


@lru_cache(maxsize=4096)
def is_composite(func: Any) -> bool:
    """Whether torch always makes it of other operations (`_can_decompose` says yes to more, once it has a table)."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"))


def by_schema(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments by their names in the operation's schema, with the defaults that were left out."""
    schema = func._schema.arguments
    given = {argument.name: one for argument, one in zip(schema, args, strict=False)} | kwargs
    return {a.name: given[a.name] if a.name in given else a.default_value for a in schema}  # noqa: SIM401


def written_by(func: Any, arguments: dict[str, Any]) -> list[Tensor]:
    """The tensors that the operation writes to in place."""
    marked = [a.name for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    if arguments.get("training"):
        marked += UNDECLARED_WRITES.get(func._overloadpacket.__name__, ())
    return [leaf for name in marked for leaf in tree_leaves(arguments[name]) if isinstance(leaf, Tensor)]


def broken_up(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """The result by way of simpler operations, seen by `mode` (which has `decompositions`); else NotImplemented.

    That is where the level asks for it, or where a composite came through whole.
    """
    result = NotImplemented
    if func in mode.decompositions:
        with mode:
            result = mode.decompositions[func](*args, **kwargs)
    if result is NotImplemented and is_composite(func):
        with mode:
            result = func.decompose(*args, **kwargs)
    return result


def core_decompositions() -> dict[Any, Callable[..., Any]]:
    """How operations are made of those of core ATen; LensError when this torch cannot say."""
    table = dict(torch._decomp.core_aten_decompositions())
    if not table:
        raise LensError("this version of torch has no decompositions into core ATen; record with level='op'")
    return {op: simpler for op, simpler in table.items() if not any(word in str(op) for word in WHOLE)}
