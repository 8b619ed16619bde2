"""Explains an expression on tensors: each operation with its shapes and its rule, and where and why it breaks."""

import ast
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chainrule.lens.expressions.evaluate import BrokenAt, Walk
from chainrule.lens.expressions.hints import hints
from chainrule.lens.expressions.parse import parse
from chainrule.lens.expressions.range_words import range_said
from chainrule.lens.expressions.steps import Breakage, Doing, Operand, Step, flat, operand
from chainrule.lens.expressions.text import explanation_text
from chainrule.lens.expressions.words import diagnosed, dtype_said, memory_said, said
from chainrule.lens.tensors import as_tensor, require_strided

# Of a list of numbers (`x.tolist()`) a step tells no more.
MOST_RESULTS = 64


@dataclass(frozen=True, repr=False)
class Explanation:
    """An expression, taken apart: the tensors given, the steps that were done, and the one that broke, if one did.

    `value` is what the whole expression gives; None when it broke.
    """

    expression: str
    given: tuple[Operand, ...]
    steps: tuple[Step, ...]
    broken: Breakage | None
    value: Any

    def __bool__(self) -> bool:
        return self.broken is None

    def __repr__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """The steps below each other, with a caret under the place that broke."""
        return explanation_text(self.expression, self.given, self.steps, self.broken, self.value, width)


def explanation_facts(found: Explanation) -> dict[str, Any]:
    """All of it as values that JSON can hold; the value as shape and dtype."""
    results = [asdict(operand(found.expression, one)) for one in flat(found.value)] if found.broken is None else []
    return {
        "expression": found.expression,
        "given": [asdict(one) for one in found.given],
        "steps": [asdict(step) for step in found.steps],
        "broken": None if found.broken is None else asdict(found.broken),
        "results": results,
    }


def explain(expression: str, /, **values: Any) -> Explanation:
    """Evaluates `expression` on the tensors in `values`, innermost operation first, and says what each step does.

    Values may be tensors, NumPy arrays, numbers, or lists of numbers. The expression may use operators, indexing,
    methods of tensors and functions of torch that make new tensors; nothing else is ever run, and nothing is written
    to. What breaks is in `.broken`. Raises LensError for what is no such expression, for an unknown name, and for a
    result of more than 1 GiB.
    """
    tensors = {name: as_given(name, value) for name, value in values.items()}
    line, tree = parse(expression, tensors.keys())
    arrays = [name for name, value in values.items() if isinstance(value, np.ndarray)]
    steps: list[Step] = []

    def done(doing: Doing, result: Any, notes: list[str]) -> None:
        steps.append(_step(line, len(steps) + 1, doing, result, notes))

    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    given = tuple(operand(name, value) for name, value in tensors.items() if name in used)
    with torch.random.fork_rng(devices=[]):
        try:
            value = Walk(tensors, done, arrays, tree).value(tree)
        except BrokenAt as broken:
            return Explanation(line, given, tuple(steps), _breakage(line, len(steps) + 1, broken, tensors), None)
    return Explanation(line, given, tuple(steps), None, value)


def as_given(name: str, value: Any) -> Any:
    """A value of the expression: numbers stay numbers, all else becomes a tensor."""
    if isinstance(value, bool | int | float | complex):
        return value
    tensor = as_tensor(value)[0]
    return require_strided(tensor)


def place(line: str, node: ast.expr) -> tuple[int, int]:
    """Where a tree begins and ends in the line, in letters (Python counts bytes)."""
    encoded = line.encode()
    start, end = node.col_offset, node.end_col_offset or len(encoded)
    return len(encoded[:start].decode()), len(encoded[:end].decode())


def _step(line: str, number: int, doing: Doing, result: Any, notes: Iterable[str]) -> Step:
    doing = Doing(doing.operation, doing.arguments, doing.named, doing.sources, doing.node, doing.room, result)
    start, end = place(line, doing.node)
    words = said(doing)
    return Step(
        number,
        line[start:end],
        start,
        end,
        doing.operation,
        _operands(doing),
        tuple(
            operand("", one) for one in ([result] if isinstance(result, torch.Size) else flat(result))[:MOST_RESULTS]
        ),
        words.rule,
        words.drawing,
        "; ".join(said for said in (dtype_said(doing), range_said(doing)) if said),
        memory_said(doing),
        tuple(notes),
    )


def _breakage(line: str, number: int, broken: BrokenAt, values: dict[str, Any]) -> Breakage:
    doing = broken.doing
    start, end = place(line, doing.node)
    trouble = diagnosed(doing, broken.fault)
    return Breakage(
        number,
        line[start:end],
        start,
        end,
        doing.operation,
        _operands(doing),
        trouble.why,
        trouble.sizes,
        trouble.drawing,
        hints(doing, values, str(broken.fault)),
        str(broken.fault).strip().split("\n")[0],
    )


def _operands(doing: Doing) -> tuple[Operand, ...]:
    pairs = [*zip(doing.sources, doing.arguments, strict=False), *doing.named.items()]
    return tuple(
        operand(source, one) for source, value in pairs for one in flat(value) if isinstance(one, Tensor | np.ndarray)
    )
