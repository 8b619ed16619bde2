"""Writes docs/reference.md from the docstrings, the schema and the command line: python docs/make_reference.py

A test writes it again in memory and fails when the page on disk is stale.
"""

import ast
import importlib
import inspect
import itertools
import re
import typing
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any, Literal

from cyclopts import App, Argument
from pydantic.fields import FieldInfo

from chainrule.base import errors
from chainrule.cli.verbs import SUB_APPS, VERBS, command_line
from chainrule.config import PRESETS, SAFE_ON_RESUME, Config, preset, resolve, section_type, toml_value
from chainrule.plan import flops_per_token, parameters
from chainrule.run import folder
from chainrule.verdict import THRESHOLDS

HERE = Path(__file__).resolve().parent
PAGE = HERE / "reference.md"
HEALTH = HERE / "lens" / "health.md"
PACKAGE = HERE.parent / "chainrule"
ROOMS = (
    *(
        "train",
        "config",
        "checkpoint",
        "generate",
        "evaluate",
        "export",
        "report",
        "compare",
        "tune",
        "verdict",
        "spike",
        "verify",
        "health",
        "data",
        "device",
        "tokenizer",
    ),
    *("model", "optim", "plan", "run", "base"),
)
LIMITS = {"gt": "above {}", "ge": "{} or more", "lt": "below {}", "le": "up to {}"}
EXIT_CODES = (
    ("0", "done"),
    ("1", "the run or an export went wrong by itself: see the errors below"),
    ("2", "something that you can put right: a setting, a text, a file, a full disk; the message says how"),
    ("130", "interrupted by Ctrl-C; a run was saved and `--resume` goes on with it"),
    ("143", "ended by SIGTERM; saved like that"),
)


def with_thresholds(content: str) -> str:
    """docs/lens/health.md with the table of every threshold that a judgement rests on."""
    made = "\n".join(table(("trouble", "threshold", "where it is from"), [astuple(one) for one in THRESHOLDS]))
    return re.sub(r"(<!-- thresholds: .*? -->\n).*?(<!-- end -->)", rf"\1\n{made}\n\n\2", content, flags=re.S)


def page() -> str:
    """The whole reference, Markdown."""
    parts = (
        ("Verbs", verbs()),
        ("Settings", settings()),
        ("Presets", presets()),
        ("The run folder", drawing(folder.__doc__)),
        ("Exit codes", table(("code", "meaning"), EXIT_CODES)),
        ("Errors", drawing(errors.__doc__)),
        ("Python", python()),
    )
    lines = [
        "# Reference",
        "",
        "Made from the docstrings by `make reference` (`.venv/bin/python docs/make_reference.py`). The same words are",
        "the help of the command line: `chainrule VERB --help`.",
    ]
    for title, content in parts:
        lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def verbs() -> Iterator[str]:
    """Every verb with its help and its own options; the settings that some also take have a section of their own."""
    yield "Every verb also takes `--help` and `--debug`, which adds the traceback to an error."
    for verb in VERBS:
        yield from verbs_below(f"chainrule {verb}", command_line(verb)[verb], deeper=verb in SUB_APPS)


def verbs_below(command: str, app: App, *, deeper: bool = True) -> Iterator[str]:
    """A verb, and the verbs below it."""
    if app.default_command:
        yield from one_verb(command, app)
    for name in app if deeper else ():
        if not name.startswith("-"):
            yield from verbs_below(f"{command} {name}", app[name])


def one_verb(command: str, app: App) -> Iterator[str]:
    """One verb: its docstring, then a table of its arguments and options."""
    assert app.default_command
    text = inspect.cleandoc(app.default_command.__doc__ or "").split("\nParameters\n---")[0]
    yield from ("", f"### `{command}`", "", *text.strip().splitlines(), "")
    rows, takes_settings = [], False
    for argument in app.assemble_argument_collection(parse_docstring=True):
        names = argument_names(argument)
        if any("." in name for name in names):
            takes_settings = True
        elif names and argument.show:
            default = argument.field_info.default
            unsaid = default is None or default is False or default == () or default is inspect.Parameter.empty
            shown = "" if unsaid else f"`{default}`"
            rows.append((", ".join(f"`{name}`" for name in names), shown, words(argument.parameter.help)))
    yield from table(("option", "default", "meaning"), rows)
    if takes_settings:
        yield from ("", "And every setting below as a flag: `--model.n-layers 8` is `n_layers = 8` in `[model]`.")


def argument_names(argument: Argument) -> list[str]:
    """Its names as one types them: a place without a name is in capitals, as in the help."""
    if argument.field_info.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
        return [argument.field_info.name.upper()]
    return [name for name in argument.names if name != "*"]


def settings() -> Iterator[str]:
    """Every section and setting of the schema."""
    safe = ", ".join(f"`{name}`" for name in sorted(SAFE_ON_RESUME))
    yield "Sections and keys of a TOML file, flags of `pretrain`, `plan` and `config show`, and fields in Python."
    yield f"A resumed run may change only {safe}."
    for name in Config.model_fields:
        section = section_type(name)
        yield from ("", f"### `[{name}]`", "", words(section.__doc__), "")
        rows = [
            (f"`{key}`", allowed(field), default_of(field), words(field.description))
            for key, field in section.model_fields.items()
        ]
        yield from table(("setting", "allowed", "default", "meaning"), rows)


def allowed(field: FieldInfo) -> str:
    """Type and range in words, such as "number, 0 or more and below 1"."""
    kinds = [kind for kind in typing.get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if typing.get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in kinds)
    kind = {int: "whole number", float: "number", bool: "`true`, `false`", str: "text"}[kinds[0]]
    if typing.get_origin(field.annotation) is tuple:
        kind = "list of texts"
    limits = []
    for limit in field.metadata:
        limits += [text.format(getattr(limit, name)) for name, text in LIMITS.items() if hasattr(limit, name)]
    return ", ".join([kind, " and ".join(limits)] if limits else [kind])


def default_of(field: FieldInfo) -> str:
    """The default in TOML's spelling; "automatic" where it follows from other settings."""
    if field.default_factory:
        return "automatic"
    if field.default is None:
        return "not set"
    return f"`{toml_value(field.default)}`"


def presets() -> Iterator[str]:
    """Every preset with its exact size."""
    rows = []
    for name in PRESETS:
        model = resolve([preset(name)]).config.model
        count, flops = parameters(model).total, flops_per_token(model)
        shape = (model.n_layers, model.emb_dim, model.n_heads, model.context_length, model.vocab_size)
        rows.append((f"`{name}`", f"{count:,}", model.architecture, *map(str, shape), f"{flops / 1e6:,.0f}M"))
    columns = ("preset", "parameters", "exports as", "layers", "width", "heads", "context", "vocabulary", "FLOP/token")
    yield from table(columns, rows)
    yield from ("", "FLOP/token: forward and backward pass. `chainrule config show --preset NAME` shows the rest.")


def drawing(docstring: str | None) -> Iterator[str]:
    """A docstring of sentences and `::` drawings as paragraphs and fenced blocks."""
    for block in inspect.cleandoc(docstring or "").split("::\n\n"):
        lines = block.splitlines()
        drawn = [line for line in lines if line.startswith("  ")]
        rest = [line for line in lines if not line.startswith("  ")]
        if drawn:
            yield from ("```text", *inspect.cleandoc("\n".join(["", *drawn])).splitlines(), "```")
        yield from rest


def python() -> Iterator[str]:
    """The public names of each room with the first line of what they say of themselves."""
    yield "What each room gives to Python, as in `from chainrule.train import pretrain`."
    for room in ROOMS:
        module = importlib.import_module(f"chainrule.{room}")
        said = said_below(PACKAGE / room)
        yield from ("", f"### `chainrule.{room}`", "", words(module.__doc__), "")
        rows = [(f"`{name}`", about(getattr(module, name), said.get(name, ""))) for name in module.__all__]
        yield from table(("name", "what it is"), rows)


def about(thing: Any, said: str) -> str:
    """First line of a class's or function's docstring; of anything else, what stands below its assignment."""
    documented = inspect.isclass(thing) or inspect.isroutine(thing)
    text = words((inspect.getdoc(thing) if documented else said) or "")
    if documented or text:
        return first_sentence(text)
    if isinstance(thing, dict):
        return "By name: " + ", ".join(f"`{key}`" for key in thing) + "."
    if typing.get_origin(thing) is Literal:
        return "One of " + ", ".join(f"`{choice}`" for choice in typing.get_args(thing)) + "."
    if isinstance(thing, tuple | frozenset):
        return f"{len(thing)} entries."
    return f"`{thing}`"


def said_below(room: Path) -> dict[str, str]:
    """The strings that stand below assignments at the top level of a room's files, by the assigned name."""
    said = {}
    for path in sorted(room.glob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for above, below in itertools.pairwise(body):
            if not (isinstance(above, ast.Assign) and isinstance(above.targets[0], ast.Name)):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                said[above.targets[0].id] = str(below.value.value)
    return said


def first_sentence(text: str) -> str:
    """Up to the first full stop that is not that of "et al."."""
    return re.split(r"(?<!et al)\. ", text)[0].rstrip(".") + "." if text else ""


def words(text: str | None) -> str:
    """One line."""
    return " ".join((text or "").split())


def table(columns: tuple[str, ...], rows: typing.Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A Markdown table; nothing for no rows."""
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    if lines:
        yield from (f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    HEALTH.write_text(with_thresholds(HEALTH.read_text(encoding="utf-8")), encoding="utf-8")
