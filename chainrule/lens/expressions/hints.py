"""What to write instead: small changes of the operation that broke, each tried before it is said."""

import ast
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.expressions import names
from chainrule.lens.expressions.evaluate import BrokenAt, Walk
from chainrule.lens.expressions.products import product_trouble
from chainrule.lens.expressions.remedies import remedies, retyped
from chainrule.lens.expressions.steps import Doing
from chainrule.lens.expressions.tree_changes import (
    changed,
    method,
    one_changed,
    places,
    replaced,
    with_argument,
    with_keyword,
)

MOST = 3
SMALL = 2**16


def hints(doing: Doing, values: Mapping[str, Any], message: str) -> tuple[str, ...]:
    """Up to three expressions close to the broken one that work with these tensors; `message` is what torch said."""
    found: list[str] = []
    for candidate in chain(_candidates(doing), remedies(doing)):
        text = ast.unparse(candidate)
        if text not in found and _works(candidate, values):
            found.append(text)
        if len(found) == MOST:
            break
    for candidates in () if found else retyped(doing, message):
        found += [ast.unparse(one) for one in candidates if _works(one, values)][:1]
    return tuple(found)


def _candidates(doing: Doing) -> Iterator[ast.expr]:
    """Changes that people mean, likeliest first."""
    node, name = doing.node, doing.operation
    dtypes = {one.dtype for one in doing.tensors}
    if name in names.PRODUCTS | {"linear"}:
        if len(dtypes) > 1:
            alike = next(changed(node, doing, lambda part, one: _as_float(part, one, dtypes)))
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
            yield with_argument(node, place, ast.UnaryOp(ast.USub(), ast.Constant(1)))
    if name in ("cat", "concat", "concatenate", "stack") and isinstance(node, ast.Call):
        for axis in range(max((one.dim() for one in doing.tensors), default=0) + (name == "stack")):
            yield with_keyword(node, "dim", axis)
    if name in names.REDUCTIONS | names.ALONG and isinstance(node, ast.Call):
        yield from one_changed(node, doing, lambda part, _: method(part, "float"))
        yield with_keyword(node, "dim", -1)


def _products(node: ast.expr, doing: Doing) -> Iterator[ast.expr]:
    """One operand transposed, both, or the other way round; batches in pairs; a scalar multiplied by."""
    yield from one_changed(node, doing, _turned, matrices=True)
    yield from changed(node, doing, _turned)
    found = places(node, doing)
    if isinstance(node, ast.BinOp):
        yield ast.BinOp(node.right, node.op, node.left)
    elif len(found) == 2:
        yield ast.BinOp(found[0][0], ast.MatMult(), found[1][0])
    if len(found) == 2 and min(one.dim() for _, one in found) == 0:
        yield ast.BinOp(found[0][0], ast.Mult(), found[1][0])
    if len(found) == 2 and min(one.dim() for _, one in found) > 2:  # each matrix of one batch with each of the other
        yield ast.BinOp(method(found[0][0], "unsqueeze", 1), ast.MatMult(), found[1][0])


def _aligned(node: ast.expr, doing: Doing) -> Iterator[ast.expr]:
    """A reduced operand with its axis kept; one of lower rank with a new axis; a transposed one."""
    most = max((one.dim() for one in doing.tensors), default=0)
    for part, _ in places(node, doing):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in names.REDUCTIONS:
            kept = ast.keyword("keepdim", ast.Constant(True))
            yield replaced(node, part, ast.Call(part.func, part.args, [*part.keywords, kept]))
    for axis in range(-1, -1 - most, -1):
        for part, one in reversed(places(node, doing)):
            if one.dim() < most or most == 1:
                yield replaced(node, part, method(part, "unsqueeze", axis))
    yield from one_changed(node, doing, _turned, matrices=True)


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


def _as_float(part: ast.expr, one: Tensor, dtypes: set[torch.dtype]) -> ast.expr:
    """The operand in the widest of the number types, where it is not of it yet."""
    widest = max(dtypes, key=lambda dtype: (dtype.is_complex, dtype.is_floating_point, dtype.itemsize))
    names_of = {torch.float32: "float", torch.float64: "double", torch.complex64: "cfloat", torch.int64: "long"}
    return part if one.dtype == widest else method(part, names_of.get(widest, "float"))


def _turned(part: ast.expr, one: Tensor) -> ast.expr:
    if isinstance(part, ast.Attribute) and part.attr in ("T", "mT"):
        return part.value
    return part if one.dim() < 2 else ast.Attribute(part, "T" if one.dim() == 2 else "mT", ast.Load())
