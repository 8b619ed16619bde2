"""Walks a checked tree innermost first and does what it says, one operation after the other, until one breaks."""

import ast
import inspect
import math
import operator
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chainrule.base import LensError, bytes_text
from chainrule.lens.expressions.names import FIELDS
from chainrule.lens.expressions.parse import function_path, homes, is_length
from chainrule.lens.expressions.steps import Doing, flat
from chainrule.lens.expressions.wrong_programs import wrong_program

MOST_BYTES = 2**30
MOST_NUMBER = 2**63
BROKEN = (RuntimeError, TypeError, ValueError, IndexError, AttributeError, AssertionError, ArithmeticError)
OPERATORS: dict[type, tuple[str, Callable[..., Any]]] = {
    ast.Add: ("add", operator.add),
    ast.Sub: ("sub", operator.sub),
    ast.Mult: ("mul", operator.mul),
    ast.Div: ("div", operator.truediv),
    ast.FloorDiv: ("floor_divide", operator.floordiv),
    ast.Mod: ("remainder", operator.mod),
    ast.Pow: ("pow", operator.pow),
    ast.MatMult: ("matmul", operator.matmul),
    ast.LShift: ("bitwise_left_shift", operator.lshift),
    ast.RShift: ("bitwise_right_shift", operator.rshift),
    ast.BitAnd: ("bitwise_and", operator.and_),
    ast.BitOr: ("bitwise_or", operator.or_),
    ast.BitXor: ("bitwise_xor", operator.xor),
    ast.USub: ("neg", operator.neg),
    ast.UAdd: ("positive", operator.pos),
    ast.Invert: ("bitwise_not", operator.invert),
    ast.Eq: ("eq", operator.eq),
    ast.NotEq: ("ne", operator.ne),
    ast.Lt: ("lt", operator.lt),
    ast.LtE: ("le", operator.le),
    ast.Gt: ("gt", operator.gt),
    ast.GtE: ("ge", operator.ge),
}
ARRAY_FACTS = ("shape", "dtype", "ndim", "itemsize", "nbytes")
FACTS = ("shape", "dtype", "device", "ndim", "requires_grad", "is_leaf", "itemsize", "nbytes", "layout")


class BrokenAt(Exception):  # noqa: N818  (control flow of this file and of `explain`, never the user's)
    """Raised inside the walk: this operation cannot be done."""

    def __init__(self, doing: Doing, fault: BaseException) -> None:
        super().__init__(str(fault))
        self.doing, self.fault = doing, fault


class Walk:
    """Evaluates a tree; `done` is told of every operation with its result and torch's warnings.

    `arrays` are the names of values that were NumPy arrays when they were given. What is asked about a tensor
    (`x.shape`) is an operation only where it is the `whole` expression.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        done: Callable[[Doing, Any, list[str]], None],
        arrays: Collection[str] = (),
        whole: ast.expr | None = None,
    ) -> None:
        self.values, self.done, self.arrays, self.whole = values, done, arrays, whole

    def value(self, node: ast.expr) -> Any:
        """What the tree stands for. Raises BrokenAt at the first operation that cannot be done."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.values[node.id]
        if isinstance(node, ast.Tuple | ast.List):
            found = self._several(node.elts)
            return tuple(found) if isinstance(node, ast.Tuple) else found
        if isinstance(node, ast.Slice):
            return slice(*(None if one is None else self.value(one) for one in (node.lower, node.upper, node.step)))
        if isinstance(node, ast.BinOp):
            return self._operator(node, node.op, (node.left, node.right))
        if isinstance(node, ast.UnaryOp):
            return self._operator(node, node.op, (node.operand,))
        if isinstance(node, ast.Compare):
            return self._operator(node, node.ops[0], (node.left, node.comparators[0]))
        if isinstance(node, ast.Subscript):
            return self._index(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        assert isinstance(node, ast.Call), "the parser lets nothing else through"
        return self._call(node)

    def _several(self, nodes: list[ast.expr]) -> list[Any]:
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                inner = self.value(node.value)
                if not isinstance(inner, tuple | list):
                    raise LensError(f"* unpacks a tuple or a list, and {ast.unparse(node.value)} is none")
                found += inner
            else:
                found.append(self.value(node))
        return found

    def _operator(self, node: ast.expr, kind: ast.AST, parts: tuple[ast.expr, ...]) -> Any:
        name, function = OPERATORS[type(kind)]
        arguments = tuple(self.value(part) for part in parts)
        doing = Doing(name, arguments, {}, tuple(ast.unparse(part) for part in parts), node)
        if not doing.tensors:
            return _on_numbers(node, name, function, arguments)
        return self._do(doing, function)

    def _index(self, node: ast.Subscript) -> Any:
        whole = self.value(node.value)
        index = self.value(node.slice)
        doing = Doing("index", (whole, index), {}, (ast.unparse(node.value), ast.unparse(node.slice)), node)
        if isinstance(whole, tuple | list):
            try:
                return whole[index]
            except (IndexError, TypeError) as fault:
                raise BrokenAt(doing, fault) from fault
        return self._do(doing, operator.getitem)

    def _attribute(self, node: ast.Attribute) -> Any:
        where = function_path(node, self.values)
        if where is not None:
            return getattr(homes()[where[0]], where[1]) if where[1] != "newaxis" else None
        whole = self.value(node.value)
        doing = Doing(node.attr, (whole,), {}, (ast.unparse(node.value),), node)
        if node.attr in FIELDS and isinstance(whole, tuple) and hasattr(whole, node.attr):
            return getattr(whole, node.attr)
        if isinstance(whole, np.ndarray) and node.attr in ARRAY_FACTS:
            return self._fact(doing, getattr(whole, node.attr))
        if not isinstance(whole, Tensor):
            raise BrokenAt(doing, TypeError(f".{node.attr} is read of a tensor, not of a {type(whole).__name__}"))
        if node.attr in FACTS:
            return self._fact(doing, getattr(whole, node.attr))
        return self._do(doing, operator.attrgetter(node.attr))

    def _fact(self, doing: Doing, found: Any) -> Any:
        """What is asked about a tensor; told only when nothing else is asked."""
        if doing.node is self.whole:
            self.done(doing, found, [])
        return found

    def _call(self, node: ast.Call) -> Any:
        if is_length(node):
            return self._length(node)
        where = function_path(node.func, self.values)
        if where is None:
            assert isinstance(node.func, ast.Attribute)
            room, name, before = "", node.func.attr, [node.func.value]
        else:
            room, name = where
            before = []
        whole = self._several(before)
        arguments = (*whole, *self._several(node.args))
        named = {keyword.arg: self.value(keyword.value) for keyword in node.keywords if keyword.arg}
        sources = tuple(ast.unparse(one) for one in (*before, *node.args))
        if name in ("from_numpy", "as_tensor", "array", "asarray"):  # a name that was an array is one again
            arguments = tuple(
                one.numpy() if isinstance(part, ast.Name) and part.id in self.arrays else one
                for part, one in zip(node.args, arguments, strict=False)
            )
        doing = Doing(name, arguments, named, sources, node, room)
        wrong = wrong_program(doing)
        if wrong is not None:
            raise BrokenAt(doing, ValueError(wrong))
        if where is not None:
            return self._do(doing, _function(doing))
        if not isinstance(whole[0], Tensor):
            raise BrokenAt(doing, TypeError(f".{name}() is a method of tensors, not of a {type(whole[0]).__name__}"))
        return self._do(doing, lambda one, *rest, **also: getattr(one, name)(*rest, **also))

    def _length(self, node: ast.Call) -> Any:
        one = self.value(node.args[0])
        doing = Doing("len", (one,), {}, (ast.unparse(node.args[0]),), node)
        if isinstance(one, Tensor) and not one.dim():
            raise BrokenAt(doing, TypeError("len() of a tensor without axes"))
        if not isinstance(one, Tensor | np.ndarray | tuple | list):
            raise BrokenAt(doing, TypeError(f"len() counts places, and a {type(one).__name__} has none"))
        return self._fact(doing, len(one))

    def _do(self, doing: Doing, function: Callable[..., Any]) -> Any:
        """Does one operation, after a look at what its result would need."""
        refuse_too_large(doing, function)
        try:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                result = function(*doing.arguments, **doing.named)
        except BROKEN as fault:
            raise BrokenAt(doing, fault) from fault
        heard = [one for one in heard if "__array__ implementation" not in str(one.message)]  # NumPy's, about torch
        self.done(doing, result, [str(one.message).split(" (Triggered")[0].split("\n")[0] for one in heard])
        return result


def refuse_too_large(doing: Doing, function: Callable[..., Any]) -> None:
    """Raises LensError for a result of more than 1 GiB, before it is made."""
    if most_elements(doing) * 16 <= MOST_BYTES or (doing.tensors and all(one.is_meta for one in doing.tensors)):
        return
    try:  # on `meta` shapes cost nothing (but its kernels take a second to import, so only what may be large is tried)
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            result = function(*_on_meta(doing.arguments), **_on_meta(doing.named) | _device(doing.named))
        n_bytes = sum(one.untyped_storage().nbytes() for one in flat(result) if isinstance(one, Tensor))
    except BROKEN:  # it breaks, or needs the values: what it was asked for then bounds its result
        n_bytes = int(max(_numbers(doing), default=0))
    if n_bytes > MOST_BYTES:
        raise LensError(f"{ast.unparse(doing.node)} needs {bytes_text(n_bytes)}; explain stops at 1 GiB")


def most_elements(doing: Doing) -> float:
    """More than any operation makes of these operands: every pair of elements, times every number in the call."""
    sizes = [max(1, one.numel()) for one in doing.tensors]
    return math.prod(map(float, sizes)) * max(sizes, default=1) * math.prod(_numbers(doing))


def _numbers(doing: Doing) -> list[float]:
    """The numbers among the arguments, as sizes of at least 1."""
    found = [one for one in flat((doing.arguments, tuple(doing.named.values()))) if isinstance(one, int | float)]
    return [max(1.0, abs(float(one))) if math.isfinite(one) else 1.0 for one in found]


def _on_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    if isinstance(value, dict):
        return {name: _on_meta(one) for name, one in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_on_meta(one) for one in value)
    return value


def _device(named: Mapping[str, Any]) -> dict[str, str]:
    return {"device": "meta"} if "device" in named else {}


def _function(doing: Doing) -> Callable[..., Any]:
    """The function of torch; raises LensError where a switch in the call would make it write in place."""
    home = homes()[doing.room]
    function: Callable[..., Any] = getattr(home, doing.operation)
    if home is torch.nn.functional and inspect.isfunction(function):
        try:
            bound = inspect.signature(function).bind(*doing.arguments, **doing.named).arguments
        except TypeError as fault:
            raise BrokenAt(doing, fault) from fault
        for switch in ("inplace", "max_norm"):
            if bound.get(switch):
                raise LensError(f"explain changes nothing: leave {switch} of {doing.operation} away")
    return function


def _on_numbers(node: ast.expr, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Arithmetic without a tensor, as in `x.view(2 * 3)`: on numbers of sensible size, and tuples put together."""
    joined = name == "add" and all(isinstance(one, tuple) for one in arguments)
    if not joined and not all(isinstance(one, int | float | complex) for one in arguments):
        if any(isinstance(one, np.ndarray) for one in arguments):
            raise LensError(f"{ast.unparse(node)} computes with a NumPy array; torch.from_numpy makes a tensor of it")
        raise LensError(f"{ast.unparse(node)} has no tensor in it; only numbers are computed beside tensors")
    if not joined and (name in ("pow", "bitwise_left_shift") and abs(arguments[1]) > 64):
        raise LensError(f"{ast.unparse(node)} is too large a number")
    try:
        result = function(*arguments)
        if isinstance(result, int) and abs(result) > MOST_NUMBER:
            raise LensError(f"{ast.unparse(node)} is too large a number")
    except (ArithmeticError, TypeError, ValueError) as fault:
        raise LensError(f"{ast.unparse(node)} cannot be computed: {fault}") from fault
    return result
