"""All rules as a book to read: in chapters, each operation once, with its formulas, its conventions and its source."""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.base import LensError, nearest
from chainrule.lens.rules.rule import Rule
from chainrule.lens.rules.table import CHAPTERS, RULES


@dataclass(frozen=True)
class RuleEntry:
    """One rule, under the names of all operations that it is for; `note` says its conventions."""

    names: tuple[str, ...]
    chapter: str
    rule: Rule
    note: str
    source: str
    file: str


class RuleBook(tuple[RuleEntry, ...]):
    """All rules, chapter by chapter."""

    __slots__ = ()


def rule_book() -> RuleBook:
    """Every rule, chapter by chapter; operations that share one stand together."""
    return RuleBook(
        _entry(chapter, rule, tuple(name for name, one in rules.items() if one is rule))
        for chapter, rules in CHAPTERS.items()
        for rule in {id(rule): rule for rule in rules.values()}.values()
    )


def find_rule(name: str) -> RuleEntry:
    """The rule of an operation, by PyTorch's name (`mul`, `mul.Tensor`, `mul_`); LensError with the nearest name."""
    whole = name.removeprefix("aten.").removeprefix("aten::").replace("::", ".")
    # An operation of another library is called `library.name`.
    plain = next((one for one in (whole, whole.rpartition(".")[0]) if one in RULES), whole.split(".")[0])
    known = plain if plain in RULES else plain.removesuffix("_")
    for entry in rule_book():
        if known in entry.names:
            return entry
    hint = nearest(name, RULES) or _named_like(plain)
    raise LensError(f"there is no rule called {name!r}.{hint} `chainrule lens rules` lists all {len(RULES)}")


def _named_like(word: str) -> str:
    """` Did you mean …?` with the names that contain the word, such as _softmax or native_layer_norm."""
    like = [name for name in RULES if len(word) > 2 and word.replace("_", "") in name.replace("_", "")]
    return f" Did you mean {' or '.join(repr(name) for name in like[:3])}?" if like else ""


def _conventions(docstring: str) -> str:
    """The docstring without the repetition of what the operation computes."""
    rest = re.sub(r"^`y = [^`]*`\W*", "", docstring)
    return rest[:1].upper() + rest[1:]


def _parts(function: Any) -> list[Any]:
    """The private functions of the same file that it calls."""
    known = {name: function.__globals__.get(name) for name in function.__code__.co_names if name.startswith("_")}
    return [part for part in known.values() if inspect.isfunction(part) and part.__module__ == function.__module__]


def _entry(chapter: str, rule: Rule, names: tuple[str, ...]) -> RuleEntry:
    function = inspect.unwrap(getattr(rule.pullback, "func", rule.pullback))
    file = Path(inspect.getsourcefile(function) or "")
    return RuleEntry(
        names,
        chapter,
        rule,
        _conventions(inspect.getdoc(function) or ""),
        "\n\n".join(inspect.getsource(one) for one in (function, *_parts(function))),
        "/".join(file.parts[-4:]),
    )
