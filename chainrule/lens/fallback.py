"""For an operation without a rule: its gradient by autograd, of this one operation alone; never independent."""

from typing import Any

import torch
from torch import Tensor

from chainrule.lens.rules.rule import Call, Gradients
from chainrule.lens.tape import Ref


def local_fallback(call: Call, incoming: tuple[Tensor | None, ...]) -> Gradients:
    """The gradient of each wanted argument, by running the operation again under autograd."""
    wanted = [name for name, ref in call.node.references() if ref.value in call.wanted and "[" not in name]
    leaves = {name: call[name].clone().requires_grad_() for name in wanted}
    arguments = {
        name: leaves.get(name, call[name] if isinstance(argument, Ref | list | tuple) else argument)
        for name, argument in call.node.arguments.items()
    }
    with torch.enable_grad():
        outputs = _tensors(_run(call, arguments))
    pairs = [(out, g) for out, g in zip(outputs, incoming, strict=True) if g is not None and out.requires_grad]
    found = torch.autograd.grad(
        [out for out, _ in pairs], list(leaves.values()), [g for _, g in pairs], allow_unused=True
    )
    return {name: gradient for name, gradient in zip(wanted, found, strict=True) if gradient is not None}


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
