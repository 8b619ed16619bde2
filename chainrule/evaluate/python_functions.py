"""Which share of the functions that a model wrote is Python: a parser's word, not an opinion."""

import ast
import warnings
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class PythonShare:
    """How many samples began a function, and how many of these functions parse."""

    functions: int
    parsed: int

    @property
    def share(self) -> float | None:
        """`parsed / functions`; None when no sample began a function."""
        return self.parsed / self.functions if self.functions else None


def python_share(texts: Iterable[str]) -> PythonShare:
    """Counts the samples that begin with `def ` and those whose function Python's own parser accepts.

    The function is cut out by `function_text`, parsed, and must be one definition with a body on lines of its own;
    nothing is ever executed. A sample that ends inside a bracket, a string or an empty block counts as not parsed.
    """
    cut = [function_text(text) for text in texts if text.startswith("def ")]
    return PythonShare(len(cut), sum(map(_parses, cut)))


def function_text(text: str) -> str:
    """The first function of a sample: up to the first line that returns to column 0 after the body.

    Without such a line it goes up to the last complete line, because the sample's length cut the one after it.
    """
    *complete, cut_off = text.split("\n")
    for place, line in enumerate([*complete, cut_off]):
        # A closing bracket at column 0 ends a signature over several lines, not the function.
        if place and line.strip() and line[0] not in " \t)":
            return "".join(f"{line}\n" for line in complete[:place])
    return "".join(f"{line}\n" for line in complete)


def _parses(function: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as an invalid escape sequence: bad taste, but Python
            tree = ast.parse(function)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # all that ast.parse raises on text
        return False
    return len(tree.body) == 1 and isinstance(tree.body[0], ast.FunctionDef) and _has_own_lines(tree.body[0])


def _has_own_lines(function: ast.FunctionDef) -> bool:
    return function.body[-1].lineno > function.lineno
