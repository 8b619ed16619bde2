"""Which share of the functions that a model writes is Python: a parser's word, not an opinion."""

import ast
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from chainrule.base import ConfigError
from chainrule.evaluate.tasks.task import Candidate
from chainrule.generate import generate, usual_rules
from chainrule.plan import parameters
from chainrule.run import TaskResult

NAME, PROMPT = "python-functions", "\n\ndef "
# What text.paths calls the library of the Python that runs.
LIBRARY = ("python",)


@dataclass(frozen=True)
class PythonFunctions:
    """So many functions, written after `def `, each to be parsed by the Python that runs; none is ever executed.

    The temperature is cooler than that of samples: code has less room for surprise.
    """

    WHY: ClassVar[str] = "A model that knows a language's grammar writes functions that its parser accepts."

    functions: int = 48
    tokens: int = 192
    temperature: float = 0.6

    @classmethod
    def of(cls, file: str | None) -> "PythonFunctions":
        """The task, which needs no file."""
        if file:
            raise ConfigError(f"{NAME} needs no file, and was given {file}")
        return cls()

    @classmethod
    def suits(cls, paths: Sequence[str]) -> bool:
        """Whether the text is Python's own library."""
        return tuple(paths) == LIBRARY

    @classmethod
    def reads(cls, row: Mapping[str, Any]) -> bool:
        """No row is."""
        return False

    def examine(self, candidate: Candidate) -> TaskResult | None:
        """Writes as many functions as there is time for, and parses them."""
        n_functions = candidate.affords(self.functions, self.tokens)
        if n_functions < 1:
            return None
        size = parameters(candidate.model.config).total
        done = generate(
            candidate.model,
            candidate.tokenizer,
            [PROMPT] * n_functions,
            max_new_tokens=self.tokens,
            rules=usual_rules(size, temperature=self.temperature),
            seed=candidate.seed,
            heal=True,
        )
        share = python_share((one.prompt + one.text).lstrip("\n") for one in done)
        version = sys.version.split()[0]
        return TaskResult(NAME, share.functions, share.parsed, "sampled functions parse", version=version)


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
