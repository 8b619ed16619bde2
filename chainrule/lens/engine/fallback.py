"""For an operation without a rule: its gradient by autograd, of this one operation alone; never independent."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from chainrule.lens.rules import Call, Gradients


def local_fallback(call: Call, incoming: tuple[Tensor | None, ...]) -> Gradients:
    """The gradient of each wanted argument, by running the operation again under autograd."""
    leaves = {
        name: call.tensor(ref).clone().requires_grad_()
        for name, ref in call.node.references()
        if ref.value in call.wanted
    }
    arguments = {name: _with_leaves(call, name, leaves) for name in call.node.arguments}
    with torch.enable_grad():
        outputs = _tensors(_run(call, arguments))
    pairs = [(out, g) for out, g in zip(outputs, incoming, strict=True) if g is not None and out.requires_grad]
    found = torch.autograd.grad(
        [out for out, _ in pairs], list(leaves.values()), [g for _, g in pairs], allow_unused=True
    )
    return {name: gradient for name, gradient in zip(leaves, found, strict=True) if gradient is not None}


def _with_leaves(call: Call, name: str, leaves: Mapping[str, Tensor]) -> Any:
    """The argument with its wanted tensors replaced by the leaves."""
    given = call[name]
    if isinstance(given, list):
        return [leaves.get(f"{name}[{i}]", one) for i, one in enumerate(given)]
    return leaves.get(name, given)


def _run(call: Call, arguments: dict[str, Any]) -> Any:
    schema = call.node.func._schema.arguments
    changed = {a.name for a in schema if a.alias_info is not None and a.alias_info.is_write}
    given = {
        name: one.clone() if name in changed and isinstance(one, Tensor) else one for name, one in arguments.items()
    }
    positional = [given[a.name] for a in schema if not a.kwarg_only]
    return call.node.func(*positional, **{a.name: given[a.name] for a in schema if a.kwarg_only})


def _tensors(result: Any) -> list[Tensor]:
    return [one for one in (result if isinstance(result, list | tuple) else [result]) if isinstance(one, Tensor)]
