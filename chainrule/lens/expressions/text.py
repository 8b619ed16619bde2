"""An explanation as plain text."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from torch import Tensor

from chainrule.lens.expressions.steps import Breakage, Operand, Step, flat, operand
from chainrule.lens.tensors import WHOLE_ELEMENTS, numbers_text

INDENT = 4
MOST_LETTERS = 1000


def explanation_text(
    expression: str, given: Sequence[Operand], steps: Sequence[Step], broken: Breakage | None, value: Any, width: int
) -> str:
    """The expression, what was given, each step, then the value or the place that broke."""
    named = ", ".join(f"{one.source} {_kind(one)}" for one in given)
    lines = [*wrap(expression, width), *wrap(f"with {named}", width)] if named else wrap(expression, width)
    for step in steps:
        lines += ["", *_step(step, width)]
    if broken is not None:
        return "\n".join([*lines, "", *_broken(expression, broken, width)])
    lines += ["", *_value(value, width)]
    return "\n".join(line.rstrip() for line in lines)


def _step(step: Step, width: int) -> list[str]:
    shapes = _shapes(step.operation, step.operands)
    results = ", ".join(_kind(one) for one in step.results[:4]) + (" …" if len(step.results) > 4 else "")
    lines = _headed(step.number, step.source, f"{shapes} → {results}" if shapes else f"→ {results}", width)
    lines += _indented(step.rule, width)
    lines += [" " * (INDENT + 2) + row for row in step.drawing]
    lines += _indented(step.dtype, width)
    lines += _indented(step.memory, width)
    return lines + [row for note in step.notes for row in _indented(f"torch warns: {note}", width)]


def _broken(expression: str, broken: Breakage, width: int) -> list[str]:
    shapes = _shapes(broken.operation, broken.operands)
    lines = _headed(broken.number, broken.source, f"{shapes} → breaks" if shapes else "breaks", width)
    lines += [" " * INDENT + row for row in pointed(expression, broken.start, broken.end, width - INDENT)]
    lines += _indented(broken.why, width)
    lines += [" " * (INDENT + 2) + row for row in broken.drawing]
    for place, hint in enumerate(broken.hints):
        lines += _indented(f"{'did you mean' if place == 0 else '          or'} {hint}", width)
    if broken.error and broken.error != broken.why:
        lines += _indented(f"torch says: {broken.error}", width)
    return lines


def pointed(expression: str, start: int, end: int, width: int) -> list[str]:
    """The expression with carets below the letters from `start` to `end`; of a long one the part around them."""
    if len(expression) > width:
        room = max(10, width - 2)
        first = max(0, min(start - room // 4, len(expression) - room))
        shown = ("…" if first else "") + expression[first : first + room]
        shown += "…" if first + room < len(expression) else ""
        shift = first - (1 if first else 0)
        return [shown, " " * (start - shift) + "^" * max(1, min(end, first + room) - start)]
    return [expression, " " * start + "^" * max(1, end - start)]


def _headed(number: int, source: str, shapes: str, width: int) -> list[str]:
    head = f"{number:<{INDENT - 1}} {source}"
    if len(head) + len(shapes) + 4 <= width:
        return [f"{head}    {shapes}"]
    return [*wrap(head, width, subsequent_indent=" " * INDENT), *_indented(shapes, width)]


def _shapes(operation: str, operands: Sequence[Operand]) -> str:
    joint = {"matmul": " · ", "mm": " · ", "bmm": " · ", "mv": " · ", "dot": " · "}.get(operation, ", ")
    return joint.join(map(str, operands))


def _indented(words: str, width: int) -> list[str]:
    pad = " " * INDENT
    return wrap(words, width, initial_indent=pad, subsequent_indent=pad, drop_whitespace=True) if words else []


def _kind(one: Operand) -> str:
    return one.text if one.shape is None else f"{one} {one.dtype}"


def _value(value: Any, width: int) -> list[str]:
    if isinstance(value, np.ndarray):
        lines = [f"result: {_kind(operand('', value))}"]
        whole = 0 < value.size <= WHOLE_ELEMENTS and value.dtype.kind in "biufc"
        return lines + (numbers_text(value.tolist(), value.shape, width) if whole else [])
    if not any(isinstance(one, Tensor) for one in flat(value)):
        shown = repr(value)
        return wrap(f"result: {shown if len(shown) <= MOST_LETTERS else shown[:MOST_LETTERS] + ' …'}", width)
    lines = []
    for one in flat(value):
        lines.append(f"result: {_kind(operand('', one))}")
        if isinstance(one, Tensor) and 0 < one.numel() <= WHOLE_ELEMENTS and not one.is_meta:
            plain = one.detach().cpu()
            short = plain.is_floating_point() and plain.element_size() < 4
            lines += numbers_text((plain.float() if short else plain).tolist(), tuple(one.shape), width)
    return lines
