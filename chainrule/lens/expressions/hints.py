"""What to write instead: small changes of the operation that broke, each tried before it is said."""

import ast
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.expressions import names
from chainrule.lens.expressions.evaluate import BrokenAt, Walk
from chainrule.lens.expressions.products import product_trouble
from chainrule.lens.expressions.steps import Doing

MOST = 3
SMALL = 2**16


def hints(doing: Doing, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Up to three expressions close to the broken one that work with these tensors."""
    found: list[str] = []
    for candidate in _candidates(doing):
        text = ast.unparse(candidate)
        if text not in found and _works(candidate, values):
            found.append(text)
        if len(found) == MOST:
            break
    return tuple(found)


def _candidates(doing: Doing) -> Iterator[ast.expr]:
    """Changes that people mean, likeliest first."""
    node, name = doing.node, doing.operation
    dtypes = {one.dtype for one in doing.tensors}
    if name in names.PRODUCTS | {"linear"}:
        if len(dtypes) > 1:
            alike = next(_changed(node, doing, lambda part, one: _as_float(part, one, dtypes)))
            yield alike
            trouble = product_trouble(doing)
            if trouble is not None and trouble.sizes is None:
                return
            yield from _products(alike, doing)
        yield from _products(node, doing)
    if name in names.BROADCAST:
        yield from _aligned(node, doing)
    if name in ("view", "view_as", "reshape") and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        yield ast.Call(
            ast.Attribute(node.func.value, name.replace("view", "reshape"), ast.Load()), node.args, node.keywords
        )
        for place in range(len(node.args)):
            yield _with_argument(node, place, ast.UnaryOp(ast.USub(), ast.Constant(1)))
    if name in ("cat", "concat", "concatenate", "stack") and isinstance(node, ast.Call):
        for axis in range(max((one.dim() for one in doing.tensors), default=0) + (name == "stack")):
            yield _with_keyword(node, "dim", axis)
    if name in names.REDUCTIONS | names.ALONG and isinstance(node, ast.Call):
        yield from _one_changed(node, doing, lambda part, _: _method(part, "float"))
        yield _with_keyword(node, "dim", -1)


def _products(node: ast.expr, doing: Doing) -> Iterator[ast.expr]:
    """One operand transposed, both, or the other way round; a scalar multiplied by."""
    yield from _one_changed(node, doing, _turned, matrices=True)
    yield from _changed(node, doing, _turned)
    places = _places(node, doing)
    if isinstance(node, ast.BinOp):
        yield ast.BinOp(node.right, node.op, node.left)
    elif len(places) == 2:
        yield ast.BinOp(places[0][0], ast.MatMult(), places[1][0])
    if len(places) == 2 and min(one.dim() for _, one in places) == 0:
        yield ast.BinOp(places[0][0], ast.Mult(), places[1][0])


def _aligned(node: ast.expr, doing: Doing) -> Iterator[ast.expr]:
    """A reduced operand with its axis kept; one of lower rank with a new axis; a transposed one."""
    most = max((one.dim() for one in doing.tensors), default=0)
    for part, _ in _places(node, doing):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in names.REDUCTIONS:
            kept = ast.keyword("keepdim", ast.Constant(True))
            yield _replaced(node, part, ast.Call(part.func, part.args, [*part.keywords, kept]))
    for axis in range(-1, -1 - most, -1):
        for part, one in reversed(_places(node, doing)):
            if one.dim() < most or most == 1:
                yield _replaced(node, part, _method(part, "unsqueeze", axis))
    yield from _one_changed(node, doing, _turned, matrices=True)


def _works(candidate: ast.expr, values: Mapping[str, Any]) -> bool:
    """Whether it can be done: tried in earnest, or with large tensors without values, where only shapes count."""
    tree = ast.fix_missing_locations(candidate)
    small = sum(one.numel() for one in values.values() if isinstance(one, Tensor)) <= SMALL
    try:
        with nullcontext() if small else torch.device("meta"):
            light = values if small else {name: _light(one) for name, one in values.items()}
            Walk(light, lambda *_: None).value(tree)
    except (BrokenAt, LensError):
        return False
    return True


def _light(value: Any) -> Any:
    if not isinstance(value, Tensor) or value.layout is not torch.strided:
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")


def _places(node: ast.expr, doing: Doing) -> list[tuple[ast.expr, Tensor]]:
    """The trees of the operands that are tensors, each with its value."""
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Call):
        whole = [node.func.value] if isinstance(node.func, ast.Attribute) and not doing.room else []
        parts = [*whole, *node.args]
    else:
        return []
    return [(part, one) for part, one in zip(parts, doing.arguments, strict=False) if isinstance(one, Tensor)]


def _one_changed(node: ast.expr, doing: Doing, change: Any, *, matrices: bool = False) -> Iterator[ast.expr]:
    """The tree with one operand changed, the last first, because people fit the second to the first."""
    for part, one in reversed(_places(node, doing)):
        if not matrices or one.dim() >= 2:
            yield _replaced(node, part, change(part, one))


def _changed(node: ast.expr, doing: Doing, change: Any) -> Iterator[ast.expr]:
    """The tree with every operand changed."""
    for part, one in _places(node, doing):
        node = _replaced(node, part, change(part, one))
    yield node


def _as_float(part: ast.expr, one: Tensor, dtypes: set[torch.dtype]) -> ast.expr:
    """The operand in the widest of the number types, where it is not of it yet."""
    widest = max(dtypes, key=lambda dtype: (dtype.is_complex, dtype.is_floating_point, dtype.itemsize))
    names_of = {torch.float32: "float", torch.float64: "double", torch.complex64: "cfloat", torch.int64: "long"}
    return part if one.dtype == widest else _method(part, names_of.get(widest, "float"))


def _turned(part: ast.expr, one: Tensor) -> ast.expr:
    if isinstance(part, ast.Attribute) and part.attr in ("T", "mT"):
        return part.value
    return part if one.dim() < 2 else ast.Attribute(part, "T" if one.dim() == 2 else "mT", ast.Load())


def _replaced(node: ast.expr, old: ast.expr, new: ast.expr) -> ast.expr:
    """The tree with one of its direct parts replaced."""
    if isinstance(node, ast.BinOp):
        return ast.BinOp(new if node.left is old else node.left, node.op, new if node.right is old else node.right)
    assert isinstance(node, ast.Call)
    function = node.func
    if isinstance(function, ast.Attribute) and function.value is old:
        function = ast.Attribute(new, function.attr, ast.Load())
    return ast.Call(function, [new if one is old else one for one in node.args], node.keywords)


def _method(part: ast.expr, name: str, *arguments: int) -> ast.expr:
    numbers: list[ast.expr] = [ast.parse(str(one), mode="eval").body for one in arguments]
    return ast.Call(ast.Attribute(part, name, ast.Load()), numbers, [])


def _with_argument(node: ast.Call, place: int, new: ast.expr) -> ast.expr:
    return ast.Call(node.func, [*node.args[:place], new, *node.args[place + 1 :]], node.keywords)


def _with_keyword(node: ast.Call, name: str, value: int) -> ast.expr:
    number = ast.parse(str(value), mode="eval").body
    first = node.args[:1] if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) else []
    return ast.Call(node.func, first, [*(k for k in node.keywords if k.arg != name), ast.keyword(name, number)])
