"""Reads an expression into Python's syntax tree and refuses whatever is no arithmetic on tensors. Runs nothing."""

import ast
from collections.abc import Collection
from typing import Any

import numpy as np
import torch

from chainrule.base import LensError, nearest
from chainrule.lens.expressions.names import ATTRIBUTES, CONSTANTS, DTYPES, FIELDS, METHODS, NUMPY_DTYPES, ROOMS

STARTS = ("torch", "F", "np", "numpy")
MOST_LETTERS = 2000
MOST_DEPTH = 100
NODES = (
    *(ast.Expression, ast.Name, ast.Load, ast.Attribute, ast.Call, ast.keyword, ast.Starred, ast.Constant),
    *(ast.BinOp, ast.UnaryOp, ast.Compare, ast.Subscript, ast.Slice, ast.Tuple, ast.List),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult, ast.LShift, ast.RShift),
    *(ast.BitAnd, ast.BitOr, ast.BitXor, ast.USub, ast.UAdd, ast.Invert, ast.Not),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)
REFUSED = {
    ast.Lambda: "a lambda",
    ast.IfExp: "a condition (`a if b else c`; torch.where chooses element by element)",
    ast.BoolOp: "`and` or `or` (a tensor has no single truth value; & and | work element by element)",
    ast.NamedExpr: "an assignment",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.Await: "an await",
    ast.Dict: "a dict",
    ast.Set: "a set",
    ast.JoinedStr: "an f-string",
    ast.In: "`in`",
    ast.NotIn: "`not in`",
    ast.Is: "`is`",
    ast.IsNot: "`is not`",
}
PURE = "only read tensors and make new ones; run such a call by yourself and explain what it gives"
ALLOWED = (
    "allowed are tensors by name, numbers, operators, indexing, tuples and lists, methods of tensors, and functions of "
    "torch, torch.nn.functional (also as F) and torch.linalg; np.array and np.asarray"
)


def parse(expression: str, names: Collection[str]) -> tuple[str, ast.expr]:
    """The expression on one line, and its tree, checked: every name is one of `names`, every call one of the lists.

    Raises LensError for what is no expression and for all that is not on the lists.
    """
    line = " ".join(expression.split("\n")).strip()
    if not line or len(line) > MOST_LETTERS:
        raise LensError(f"give an expression of 1 to {MOST_LETTERS:,} letters, such as 'x.view(4, 1).T @ y'")
    try:
        tree = ast.parse(line, "<expression>", "eval")
    except SyntaxError as fault:
        at = max(0, min(len(line), (fault.offset or 1) - 1))
        raise LensError(f"{line!r} is not an expression: {fault.msg} at letter {at + 1}, {line[at:][:20]!r}") from fault
    except (ValueError, MemoryError, RecursionError) as fault:
        raise LensError(f"this is not an expression that Python reads: {fault or 'too deep'}") from fault
    _check_depth(tree)
    for node in ast.walk(tree):
        if not isinstance(node, NODES):
            what = REFUSED.get(type(node), type(node).__name__)
            raise LensError(f"explain does not take {what}; {ALLOWED}")
    _check(tree.body, frozenset(names))
    return line, tree.body


def dotted(node: ast.expr) -> str | None:
    """`torch.nn.functional.relu` for the tree of it; None for what is no chain of names."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def function_path(node: ast.expr, names: Collection[str]) -> tuple[str, str] | None:
    """(room, name) of a tree that stands for something of torch; None for one that begins with a tensor."""
    path = dotted(node)
    if path is None or path.split(".")[0] in names or path.split(".")[0] not in STARTS:
        return None
    room, _, name = path.rpartition(".")
    return room, name


def is_length(node: ast.Call) -> bool:
    """Whether the call is `len(one)`."""
    named = isinstance(node.func, ast.Name) and node.func.id == "len"
    return named and len(node.args) == 1 and not node.keywords


def _check(node: ast.AST, names: frozenset[str]) -> None:
    """Checks a tree from its root down, so that what is called and what is only read are told apart."""
    if isinstance(node, ast.Call):
        _check_call(node, names)
    elif isinstance(node, ast.Attribute):
        _check_attribute(node, names)
    elif isinstance(node, ast.Name):
        _check_name(node.id, names)
    elif isinstance(node, ast.Constant):
        if not isinstance(node.value, int | float | complex | str | None | type(...)):
            raise LensError(f"explain does not take {ast.unparse(node)}; {ALLOWED}")
    elif isinstance(node, ast.Compare) and len(node.ops) > 1:
        raise LensError(f"write {ast.unparse(node)!r} as two comparisons joined by &: tensors do not chain them")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        raise LensError("a tensor has no single truth value for `not`; ~ works element by element")
    else:
        for child in ast.iter_child_nodes(node):
            _check(child, names)


def _check_call(node: ast.Call, names: frozenset[str]) -> None:
    for keyword in node.keywords:
        if keyword.arg is None:
            raise LensError("explain does not take **keywords; write them out")
        if keyword.arg in ("out", "inplace", "generator", "pin_memory"):
            raise LensError(f"explain changes nothing: leave {keyword.arg}= away")
        _check(keyword.value, names)
    for argument in node.args:
        _check(argument, names)
    where = function_path(node.func, names)
    if where is not None:
        _check_function(*where)
    elif is_length(node):
        pass
    elif isinstance(node.func, ast.Attribute):
        _check_member(node.func.attr, METHODS, "method")
        _check(node.func.value, names)
    else:
        called = ast.unparse(node.func)
        method = f"; write {ast.unparse(node.args[0])}.{called}()" if called in METHODS and node.args else ""
        raise LensError(f"{called}(…) cannot be called{method}; {ALLOWED}")


def _check_attribute(node: ast.Attribute, names: frozenset[str]) -> None:
    where = function_path(node, names)
    if where is None:
        _check_member(node.attr, ATTRIBUTES | FIELDS, "attribute")
        _check(node.value, names)
    elif where[0] in ("np", "numpy") and where[1] in NUMPY_DTYPES:
        return
    elif where[0] != "torch" or where[1] not in CONSTANTS | DTYPES:
        call = f"; call it: {ast.unparse(node)}(…)" if where[1] in ROOMS.get(where[0], ()) else ""
        known = CONSTANTS | DTYPES
        raise LensError(
            f"{ast.unparse(node)} is no value here{call or nearest(where[1], known)}. Values of torch are its dtypes "
            f"and {', '.join(sorted(CONSTANTS))}"
        )


def homes() -> dict[str, Any]:
    """The modules that functions may come from, by the words for them."""
    functional = torch.nn.functional
    return {
        "torch": torch,
        "F": functional,
        "torch.nn.functional": functional,
        "torch.linalg": torch.linalg,
        "np": np,
        "numpy": np,
    }


def _check_function(room: str, name: str) -> None:
    if room not in ROOMS:
        raise LensError(f"{room or name} is not open to explain; functions may come from {', '.join(ROOMS)}")
    if name not in ROOMS[room]:
        elsewhere = next((other for other, known in ROOMS.items() if name in known), None)
        hint = f" It is in {elsewhere}." if elsewhere else nearest(name, ROOMS[room] | METHODS)
        hint = f" As a method it is there: x.{name}(…)" if not elsewhere and name in METHODS else hint
        if (
            not elsewhere and name not in METHODS and hasattr(homes()[room], name)
        ):  # rightly spelled: a word that looks like it helps nobody
            hint = f" It is none of the functions that {PURE}"
        raise LensError(f"explain does not call {room}.{name}{_reason(name)}.{hint}")


def _check_member(name: str, known: Collection[str], kind: str) -> None:
    if name in known:
        return
    if name in METHODS and kind == "attribute":
        raise LensError(f".{name} is a method: write .{name}()")
    if name in ATTRIBUTES and kind == "method":
        raise LensError(f".{name} is an attribute: write it without brackets")
    hint = nearest(name, known)
    if hasattr(torch.Tensor, name) and not _reason(name):
        hint = f" It is none of those that {PURE}"
    raise LensError(f"explain does not take the {kind} .{name}{_reason(name)}.{hint}")


def _check_name(name: str, names: frozenset[str]) -> None:
    if name in names:
        return
    given = f"given are {', '.join(sorted(names))}" if names else "none was given"
    how = f"give one: {name}=torch.zeros(2, 2), or --tensor {name}=2x2"
    raise LensError(f"no tensor is called {name!r}; {given}.{nearest(name, names)} To {how}")


def _reason(name: str) -> str:
    if name.startswith("__"):
        return ", which is Python's own"
    if name.endswith("_") and name.rstrip("_") in METHODS:
        return f", which writes in place; {name.rstrip('_')} makes a new tensor"
    return ""


def _check_depth(tree: ast.AST) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MOST_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise LensError(f"the expression is nested more than {MOST_DEPTH} deep; explain it in parts")
