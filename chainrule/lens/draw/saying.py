"""An operation in words: `u = x · w`, `a = sigmoid(z)`, and its arguments that are no tensors."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from chainrule.lens.tape import Node, Ref

SIGNS = {"mul": "·", "add": "+", "sub": "−", "div": "/", "mm": "@", "bmm": "@", "matmul": "@"}
LONGEST = 60


def saying(node: Node, names: Mapping[int, str]) -> str:
    """The operation as a line of mathematics or as a call, with the values by their names."""
    made = ", ".join(_told(node, names))
    read = [_word(names, node.arguments[name]) for name in _operands(node)]
    sign = SIGNS.get(node.rule_name)
    if sign and len(read) == 2 and node.arguments.get("alpha", 1) == 1:
        return f"{made} = {read[0]} {sign} {read[1]}"
    return f"{made} = {node.rule_name.strip('_')}({', '.join(read)})"


def _told(node: Node, names: Mapping[int, str]) -> list[str]:
    """The results: the first, and of the others those that the program gave a name."""
    first, *others = [names[value] for value in node.outputs] or [""]
    return [first, *(name for name in others if not name.startswith(node.rule_name.strip("_")))]


def given(node: Node) -> Iterator[tuple[str, str]]:
    """The arguments that hold no tensor and are not what the operation takes by itself, as text."""
    held = {name.partition("[")[0] for name, _ in node.references()}
    schema = node.func._schema.arguments if node.func is not None else ()
    usual = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    for name, argument in node.arguments.items():
        if name not in held and argument is not None and not (name in usual and usual[name] == argument):
            yield name, _short(argument)


def _operands(node: Node) -> list[str]:
    """The arguments that are tensors, and the second of an operation with a sign when it is a number."""
    held = list(dict.fromkeys(name.partition("[")[0] for name, _ in node.references()))
    if node.rule_name in SIGNS and isinstance(node.arguments.get("other"), int | float):
        held.append("other")
    return held


def _word(names: Mapping[int, str], argument: Any) -> str:
    if isinstance(argument, Ref):
        return names[argument.value]
    if isinstance(argument, list | tuple):
        return ", ".join(_word(names, one) for one in argument)
    return _short(argument)


def _short(argument: Any) -> str:
    if isinstance(argument, float):
        return f"{argument:.6g}"
    text = str(argument).removeprefix("torch.") if isinstance(argument, torch.dtype) else str(argument)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
