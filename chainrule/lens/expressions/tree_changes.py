"""Small changes of an expression's tree: one operand replaced, an argument set, a method called on a part."""

import ast
from collections.abc import Callable, Iterator

from torch import Tensor

from chainrule.lens.expressions.steps import Doing

Change = Callable[[ast.expr, Tensor], ast.expr]


def places(node: ast.expr, doing: Doing) -> list[tuple[ast.expr, Tensor]]:
    """The trees of the operands that are tensors, each with its value."""
    named: list[tuple[ast.expr, object]] = []
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp):
        parts = [node.operand]
    elif isinstance(node, ast.Subscript):
        parts = [node.value, node.slice]
    elif isinstance(node, ast.Call):
        parts = [*([node.func.value] if isinstance(node.func, ast.Attribute) and not doing.room else []), *node.args]
        named = [(one.value, doing.named.get(one.arg or "")) for one in node.keywords]
    else:
        return []
    pairs = [*zip(parts, doing.arguments, strict=False), *named]
    return [(part, one) for part, one in pairs if isinstance(one, Tensor)]


def one_changed(node: ast.expr, doing: Doing, change: Change, *, matrices: bool = False) -> Iterator[ast.expr]:
    """The tree with one operand changed, the last first, because people fit the second to the first."""
    for part, one in reversed(places(node, doing)):
        if not matrices or one.dim() >= 2:
            yield replaced(node, part, change(part, one))


def changed(node: ast.expr, doing: Doing, change: Change) -> Iterator[ast.expr]:
    """The tree with every operand changed."""
    for part, one in places(node, doing):
        node = replaced(node, part, change(part, one))
    yield node


def replaced(node: ast.expr, old: ast.expr, new: ast.expr) -> ast.expr:
    """The tree with one of its direct parts replaced."""
    if isinstance(node, ast.BinOp):
        return ast.BinOp(new if node.left is old else node.left, node.op, new if node.right is old else node.right)
    if isinstance(node, ast.UnaryOp):
        return ast.UnaryOp(node.op, new)
    if isinstance(node, ast.Subscript):
        return ast.Subscript(
            new if node.value is old else node.value, new if node.slice is old else node.slice, node.ctx
        )
    assert isinstance(node, ast.Call)
    function = node.func
    if isinstance(function, ast.Attribute) and function.value is old:
        function = ast.Attribute(new, function.attr, ast.Load())
    keywords = [ast.keyword(one.arg, new) if one.value is old else one for one in node.keywords]
    return ast.Call(function, [new if one is old else one for one in node.args], keywords)


def method(part: ast.expr, name: str, *arguments: int) -> ast.expr:
    """`part.name(arguments)`."""
    numbers: list[ast.expr] = [number(one) for one in arguments]
    return ast.Call(ast.Attribute(part, name, ast.Load()), numbers, [])


def number(one: int | tuple[int, ...]) -> ast.expr:
    """A number, or a tuple of them, as one writes it."""
    return ast.parse(repr(one), mode="eval").body


def with_argument(node: ast.Call, place: int, new: ast.expr) -> ast.expr:
    """The call with another argument in that place."""
    return ast.Call(node.func, [*node.args[:place], new, *node.args[place + 1 :]], node.keywords)


def with_keyword(node: ast.Call, name: str, value: int) -> ast.expr:
    """The call with that keyword; what else it said of axes is left out."""
    first = node.args[:1] if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) else []
    return ast.Call(node.func, first, [*(k for k in node.keywords if k.arg != name), ast.keyword(name, number(value))])
