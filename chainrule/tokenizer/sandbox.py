"""The only door to `jinja2`: a chat template is somebody else's program, so it runs in a sandbox with bounds.

Jinja2's ImmutableSandboxedEnvironment keeps a template away from Python's inner things, not from taking all memory and
time. Here everything that a template computes is weighed, every turn of a loop and every call is counted, and only the
filters and methods whose work is bounded by their arguments are there.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes, pass_context
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from chainrule.base import ConfigError, DataError

LONGEST_SOURCE = 1 << 16
"""Characters of a template; the longest published ones have some 20,000, and compiling 250,000 took 3 s and 550 MB."""
LARGEST = 1 << 22
"""Characters that may be written, and the weight of any value: characters of strings, entries of lists."""
ENTRY = 8
"""What an entry of a list weighs: the bytes of a pointer, and half a million take a tenth of a second to walk over."""
MOST_STEPS = 1_000_000
MOST_SECONDS = 1.0
"""Of this thread's own processor time, so that a busy machine refuses nothing."""
BEGIN, END = "generation_begin", "generation_end"
"""The variables whose values are written around what stands between {% generation %} and {% endgeneration %}."""

# What published templates use. Those that make much out of a small number (center, indent, format, round) are not here.
FILTERS = """
abs capitalize count d default dictsort e escape first float groupby int items last length list lower map max min reject
rejectattr reverse safe select selectattr sort string title trim unique upper
"""
TEXT_METHODS = """
capitalize count endswith find index isalnum isalpha isdigit islower isspace isupper join lower lstrip partition
removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip split splitlines startswith strip swapcase title
upper
"""
METHODS: dict[type, frozenset[str]] = {
    str: frozenset(TEXT_METHODS.split()),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
    dict: frozenset(("get", "items", "keys", "values")),
    int: frozenset(),
    float: frozenset(),
    bool: frozenset(),
}


@dataclass
class Meter:
    """What one rendering has used so far; raises DataError when it is too much."""

    began: float = field(default_factory=time.thread_time)
    steps: int = 0
    written: int = 0

    def step(self) -> None:
        """One more turn of a loop, call or filter."""
        self.steps += 1
        if self.steps > MOST_STEPS or time.thread_time() - self.began > MOST_SECONDS:
            raise DataError(
                f"the chat template does not end: it was stopped after {self.steps:,} steps and "
                f"{time.thread_time() - self.began:.1f} s ({MOST_STEPS:,} and {MOST_SECONDS:.0f} s are allowed)"
            )

    def write(self, n_characters: int) -> None:
        """Characters more."""
        self.written += n_characters
        check_size(self.written)


_METER: ContextVar[Meter] = ContextVar("meter of the template that this thread renders")


def rendered(source: str, variables: Mapping[str, Any]) -> str:
    """What the template writes; `variables` are what it may read, of str, int, bool, None, list and dict alone.

    Raises ConfigError for a template that is none, and DataError for one that refuses its messages, fails, or takes
    too much: a second of processor time, a million steps, 4 million characters. Safe in any thread.
    """
    template = _compiled(source)
    meter = Meter()
    token = _METER.set(meter)
    try:
        return "".join(template.generate(**variables))
    except TemplateError as fault:
        raise DataError(f"the chat template refuses these messages: {fault}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError, MemoryError) as fault:
        raise DataError(f"the chat template fails with {type(fault).__name__}: {fault}") from None
    finally:
        _METER.reset(token)


def check_size(weight: int) -> None:
    """Raises DataError for more than a template may make."""
    if weight > LARGEST:
        raise DataError(f"the chat template makes too much: more than {LARGEST:,} characters or entries")


@lru_cache(maxsize=32)
def _compiled(source: str) -> Template:
    if len(source) > LONGEST_SOURCE:
        raise ConfigError(f"a chat template of {len(source):,} characters; at most {LONGEST_SOURCE:,} are read")
    try:
        return _Environment().from_string(source)
    except TemplateSyntaxError as fault:
        raise ConfigError(f"the chat template is not valid Jinja, line {fault.lineno}: {fault.message}") from None
    except (TemplateError, RecursionError, MemoryError, SyntaxError, ValueError) as fault:
        raise ConfigError(f"the chat template cannot be compiled: {fault}") from None


class _Generation(Extension):
    """{% generation %}: what the assistant says, between two marks."""

    tags = {"generation"}  # noqa: RUF012 (as jinja2 declares it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        begin, end = (nodes.Output([nodes.Name(name, "load")], lineno=line) for name in (BEGIN, END))
        return [begin, *body, end]


class _Environment(ImmutableSandboxedEnvironment):
    """As transformers has it (trim_blocks, lstrip_blocks, loop controls), and every value weighed."""

    intercepted_binops = frozenset(("*", "+", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # else constants are computed when it is compiled, before anything is counted
            finalize=_finalized,
            extensions=[_Generation, loopcontrols],
        )
        own: dict[str, Callable[..., Any]] = {"tojson": _to_json, "join": _joined, "replace": _replaced}
        own |= {"concat": _concatenated, "weighed": _same}
        self.filters = {name: _weighed(self.filters[name]) for name in FILTERS.split()}
        self.filters |= {name: _weighed(function) for name, function in own.items()}
        self.globals = {
            "range": self.globals["range"],
            "dict": lambda **entries: dict(entries),
            "namespace": _Namespace,
            "raise_exception": _refuse,
            "strftime_now": lambda form: datetime.now().strftime(str(form)[:100]),
            "step": lambda: None,  # `call` counts it
        }

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return _instrumented(super()._parse(source, name, filename))

    def wrap_str_format(self, value: Any) -> None:
        """Nothing: str.format, with its widths, is no method of METHODS."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        allowed = METHODS.get(type(obj))
        return super().is_safe_attribute(obj, attr, value) and (allowed is None or attr in allowed)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            raise TypeError("'%' on a text is not there; join texts with '~'")
        if operator == "**" and not -64 <= right <= 64:
            raise TypeError("powers beyond 64 are not there")
        if operator == "*" and isinstance(left, str | list | tuple):
            check_size(_weight(left) * right)
        if operator == "*" and isinstance(right, str | list | tuple):
            check_size(_weight(right) * left)
        return _checked(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 (jinja2's names)
        _METER.get().step()
        _checked((args, kwargs))
        name, owner = getattr(__obj, "__name__", ""), getattr(__obj, "__self__", None)
        if isinstance(owner, str) and name == "replace":
            _check_replaced(owner, *args)
        elif isinstance(owner, str) and name == "join":
            args = tuple(_checked_parts(parts, owner) for parts in args)
        return _checked(super().call(__context, __obj, *args, **kwargs))


class _Namespace(Namespace):
    """Its text says nothing of what is in it, which may be itself."""

    def __repr__(self) -> str:
        return "<namespace>"


def _instrumented(tree: nodes.Template) -> nodes.Template:
    """The template with a counted step in every loop, and with all that makes a value of others weighed."""
    for loop in tree.find_all(nodes.For):
        loop.body.insert(0, nodes.ExprStmt(nodes.Call(nodes.Name("step", "load"), [], [], None, None)))
    _weigh_children(tree)
    return tree


def _weigh_children(parent: nodes.Node) -> None:
    for name, value in parent.iter_fields():
        if isinstance(value, list):
            setattr(parent, name, [_weighed_node(child) if isinstance(child, nodes.Node) else child for child in value])
        elif isinstance(value, nodes.Node):
            setattr(parent, name, _weighed_node(value))


def _weighed_node(node: nodes.Node) -> nodes.Node:
    _weigh_children(node)
    if isinstance(node, nodes.TemplateData):
        return nodes.Const(node.data, lineno=node.lineno)  # so that `finalize` counts literal text too
    if isinstance(node, nodes.Concat):
        return _filtered(_filtered(nodes.List(node.nodes, lineno=node.lineno), "weighed"), "concat")
    if isinstance(node, nodes.List | nodes.Dict | nodes.Tuple) and getattr(node, "ctx", "load") == "load":
        return _filtered(node, "weighed")
    return node


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


@pass_context
def _finalized(context: Context, value: Any) -> Any:
    """What is written; with the context it is never applied when the template is compiled."""
    text = value if isinstance(value, str) else str(_checked(value))
    _METER.get().write(len(text))
    return text


def _weighed(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)  # which keeps jinja2's marks of what is passed first
    def weighed(*args: Any, **kwargs: Any) -> Any:
        _METER.get().step()
        made = function(*args, **kwargs)
        return _checked_stream(made) if isinstance(made, Iterator) else _checked(made)

    return weighed


def _checked(value: Any) -> Any:
    check_size(_weight(value))
    return value


def _checked_stream(values: Iterator[Any], each: int = 0) -> Iterator[Any]:
    """The values as they come, `each` more for every one, until they are too many."""
    total = 0
    for value in values:
        total += 1 + each + _weight(value)
        check_size(total)
        yield value


def _weight(value: Any) -> int:
    """Characters and entries in a value, counted as often as it is reached, up to just above LARGEST."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int):
        return value.bit_length() ** 2  # what a product of such numbers takes
    if not isinstance(value, list | tuple | dict):
        return 1
    total = ENTRY * len(value)
    for part in [*value.keys(), *value.values()] if isinstance(value, dict) else value:
        total += _weight(part) if isinstance(part, str | list | tuple | dict) else 0
        if total > LARGEST:
            break
    return total


def _same(value: Any) -> Any:
    return value


def _to_json(
    value: Any, ensure_ascii: Any = False, indent: Any = None, separators: Any = None, sort_keys: Any = False
) -> str:
    """As transformers has it: nothing is escaped for HTML."""
    indent = None if indent is None else min(int(indent), 16)
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> None:
    raise TemplateError(str(message)[:1000])


def _concatenated(parts: list[Any]) -> str:
    return "".join(map(str, parts))


def _joined(parts: Any, between: Any = "", attribute: str | None = None) -> str:
    named = (part[attribute] for part in parts) if attribute is not None else parts
    return str(between).join(map(str, _checked_parts(named, between)))


def _checked_parts(parts: Any, between: Any) -> list[Any]:
    """The parts as a list, checked with what comes between them."""
    return list(_checked_stream(iter(parts), each=len(str(between))))


def _replaced(text: Any, old: Any, new: Any, count: int = -1) -> str:
    _check_replaced(str(text), str(old), str(new))
    return str(text).replace(str(old), str(new), count)


def _check_replaced(text: str, old: Any, new: Any, *_: Any) -> None:
    check_size(len(text) + text.count(old) * len(new))
