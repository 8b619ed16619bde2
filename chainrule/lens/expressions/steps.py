"""What an explanation is made of: operands, operations, and the place where an expression breaks."""

import ast
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from chainrule.lens.tensors import dtype_name, shape_words


@dataclass(frozen=True)
class Operand:
    """A value in the expression, by the text that stands for it; without shape and dtype it is no tensor."""

    source: str
    shape: tuple[int, ...] | None
    dtype: str | None
    text: str

    def __str__(self) -> str:
        return self.text if self.shape is None else shape_words(self.shape)


@dataclass(frozen=True)
class Words:
    """The rule of an operation in a sentence, and a drawing of it where one helps."""

    rule: str
    drawing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """Why an operation breaks: the reason, the two numbers that do not fit where there are two, and a drawing."""

    why: str
    sizes: tuple[int, int] | None = None
    drawing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One operation that was done. `start` and `end` are its letters in the expression.

    `memory` says whether its result is a view or new memory; `dtype` is empty where nothing is converted; `notes` are
    torch's own warnings.
    """

    number: int
    source: str
    start: int
    end: int
    operation: str
    operands: tuple[Operand, ...]
    results: tuple[Operand, ...]
    rule: str
    drawing: tuple[str, ...]
    dtype: str
    memory: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Breakage:
    """The operation at which the expression breaks. `hints` are expressions in its place that do work; `error` is what
    torch itself says.
    """

    number: int
    source: str
    start: int
    end: int
    operation: str
    operands: tuple[Operand, ...]
    why: str
    sizes: tuple[int, int] | None
    drawing: tuple[str, ...]
    hints: tuple[str, ...]
    error: str


@dataclass(frozen=True)
class Doing:
    """An operation about to be done: its name, its arguments in order, those by keyword, and the text of each."""

    operation: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    sources: tuple[str, ...]
    node: ast.expr
    room: str = ""
    result: Any = field(default=None, compare=False)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors among the arguments, those in lists too, in order."""
        return [one for one in flat((self.arguments, tuple(self.named.values()))) if isinstance(one, Tensor)]

    def get(self, name: str, place: int, default: Any = None) -> Any:
        """An argument by keyword or by its place; the tensor of a method call has place 0."""
        if name in self.named:
            return self.named[name]
        return self.arguments[place] if place < len(self.arguments) else default

    def sizes(self, place: int = 1) -> tuple[int, ...]:
        """The sizes in `x.view(2, 3)` or `x.view((2, 3))`."""
        rest = self.arguments[place:] or tuple(
            self.named.get(name, ()) for name in ("shape", "size") if name in self.named
        )
        sizes = rest[0] if len(rest) == 1 and isinstance(rest[0], tuple | list) else rest
        return tuple(size for size in sizes if isinstance(size, int))


def flat(value: Any) -> list[Any]:
    """What stands in tuples and lists, at any depth."""
    if isinstance(value, tuple | list):
        return [one for inner in value for one in flat(inner)]
    return [value]


def operand(source: str, value: Any) -> Operand:
    """A value as an operand."""
    if isinstance(value, Tensor):
        return Operand(source, tuple(value.shape), dtype_name(value.dtype), "")
    if isinstance(value, np.ndarray):
        return Operand(source, tuple(value.shape), f"NumPy {value.dtype}", "")
    text = repr(value)
    return Operand(source, None, None, text if len(text) <= 40 else text[:37] + "…")
