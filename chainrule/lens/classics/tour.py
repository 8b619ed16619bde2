"""A tour of tensors: short pieces of code, each run for real, with what it prints and what it shows."""

import ast
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from textwrap import wrap
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from chainrule.lens.classics.tour_code import TOUR
from chainrule.lens.expressions import Explanation, explain
from chainrule.lens.tensors import TensorView, shares, tensor, viewing

PROMPT = ">>> "
WIDTH = 92


@dataclass(frozen=True)
class Line:
    """A line of code and what it printed; empty where it printed nothing."""

    code: str
    output: str


@dataclass(frozen=True)
class Section:
    """One subject: a sentence or two, then code with its output."""

    title: str
    words: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, repr=False)
class Tour:
    """All sections, in order. `names` are the variables that the code left behind."""

    sections: tuple[Section, ...]
    names: dict[str, Any]

    def __repr__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """The tour as in a Python session."""
        told: list[str] = []
        for place, section in enumerate(self.sections, 1):
            told += [f"{place}. {section.title}", "", *wrap(section.words, width), ""]
            for line in section.lines:
                told += [f"    {PROMPT}{line.code}", *(f"    {row}".rstrip() for row in line.output.splitlines())]
            told.append("")
        return "\n".join(told)


def tour_facts(tour: Tour) -> dict[str, Any]:
    """Titles, words, code and outputs, for JSON."""
    return {"sections": [asdict(section) for section in tour.sections]}


def tour_of_tensors() -> Tour:
    """Ranks 0 to 3, dtypes, `.to`, view and reshape, `.T`, products, NumPy, autograd and devices.

    Every line is run when this is called, and what is shown is what it gave on this machine. torch's random state
    stays as it was.
    """
    lens = SimpleNamespace(tensor=tensor, explain=explain, shares=shares, viewing=viewing)
    names: dict[str, Any] = {"torch": torch, "np": np, "lens": lens}
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        given = {*names, "__builtins__"}
        sections = tuple(Section(title, words, tuple(_run(code, names))) for title, words, code in TOUR)
    return Tour(sections, {name: one for name, one in names.items() if name not in given})


def _run(code: str, names: dict[str, Any]) -> Iterator[Line]:
    """Runs statements one after the other, as a Python session does: what an expression gives is shown."""
    for statement in ast.parse(code.strip()).body:
        source = ast.get_source_segment(code.strip(), statement) or ""
        yield Line(source, _output(source, statement, names))


def _output(source: str, statement: ast.stmt, names: dict[str, Any]) -> str:
    # The sources are the constants of tour_code.py, never anybody's input.
    try:
        if not isinstance(statement, ast.Expr):
            exec(source, names)  # noqa: S102
            return ""
        value = eval(source, names)  # noqa: S307
    except RuntimeError as refused:
        return "\n".join(wrap(f"RuntimeError: {str(refused).splitlines()[0]}", WIDTH, subsequent_indent="  "))
    if isinstance(value, Explanation | TensorView):
        return value.text(WIDTH)
    if isinstance(value, str):
        return "\n".join(row for line in value.splitlines() for row in wrap(line, WIDTH, drop_whitespace=False))
    return "" if value is None else repr(value)
