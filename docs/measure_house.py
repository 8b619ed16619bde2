"""How the house stands, in numbers: python docs/measure_house.py [--times]

Rooms and doors are held by tests/test_house.py; this prints what a person would want to see go down. With --times it
also runs `chainrule --help` and imports the trainer, each in a process of its own.
"""

import argparse
import ast
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PACKAGE = HERE / "chainrule"
# Parameters that a function may have before it is counted, and lines below which a file is small.
MOST_PARAMETERS, SMALL = 6, 40
PRINTING = {"print", "say", "print_json", "print_table", "console", "deliver"}
# Files of `cli` that are the typing of options; and what builds the command line itself gives back one of these.
PARSING = {"flags.py", "options.py", "lens_options.py", "output.py", "command.py", "verbs.py", "__init__.py"}
COMMAND_LINE = {"App", "'App'"}
ROW_KEYS = ("val_bits_per_byte", "val_loss", "val_perplexity", "tokens_per_second", "grad_norm", "peak_share")


def files(*below: str) -> list[Path]:
    """The package's files, or those of some rooms."""
    return sorted(path for room in below or (".",) for path in (PACKAGE / room).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def inner_room_of(path: Path) -> str:
    """`lens/tape` for a file of a room inside a room, else the room."""
    parts = path.relative_to(PACKAGE).parts
    inside = len(parts) > 2 and (PACKAGE / parts[0] / parts[1] / "__init__.py").is_file()
    return "/".join(parts[:2]) if inside else room_of(path)


def largest_room() -> str:
    """The room with most lines, and its share of the package."""
    lines: Counter[str] = Counter()
    for path in files():
        lines[inner_room_of(path)] += len(path.read_text(encoding="utf-8").splitlines())
    (name, count), total = lines.most_common(1)[0], lines.total()
    return f"{count / total:.0%} ({name})"


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def called(node: ast.AST) -> set[str]:
    """The names of what is called inside."""
    return {getattr(call.func, "id", "") for call in ast.walk(node) if isinstance(call, ast.Call)}


def unreachable() -> list[str]:
    """Functions of `cli` that give back a value and neither print nor parse: work that Python cannot ask for."""
    found = []
    for path in files("cli"):
        if path.name in PARSING:
            continue
        prints = set(PRINTING)
        for _ in range(3):  # what calls what prints, prints
            prints |= {node.name for node in functions(path) if called(node) & prints}
        for node in functions(path):
            gives = node.returns is not None and ast.unparse(node.returns) not in ("None", "int")
            lines = (
                ast.unparse(node.returns) in ("Iterator[str]", "str", "list[str]", "tuple[str, ...]") if gives else True
            )
            built = gives and ast.unparse(node.returns) in COMMAND_LINE
            if gives and not built and not lines and not called(node) & prints:
                found.append(f"{path.name}:{node.name}")
    return found


def row_keys() -> int:
    """Places outside the room of the run folder that ask a row for a figure by a string: row["…"], row.get("…")."""
    return sum(
        (isinstance(node, ast.Subscript) and getattr(node.slice, "value", None) in ROW_KEYS)
        or (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get" and _first(node) in ROW_KEYS)
        for path in files()
        if room_of(path) != "run"
        for node in ast.walk(tree(path))
    )


def _first(call: ast.Call) -> object:
    return getattr(call.args[0], "value", None) if call.args else None


def imported() -> dict[str, set[str]]:
    """For each module of the package the names that files outside its room import from it."""
    found: dict[str, set[str]] = defaultdict(set)
    others = [path for folder in ("docs", "examples", "benchmarks") for path in (HERE / folder).rglob("*.py")]
    for path in [*files(), *others]:
        mine = inner_room_of(path) if path.is_relative_to(PACKAGE) else ""
        if path.name == "__init__.py" and path.parent.parent == PACKAGE and inner_rooms(path.parent) == []:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module == PACKAGE.name:
                for alias in node.names:
                    found[alias.name] |= attributes(path, alias.asname or alias.name)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chainrule."):
                room = (node.module or "").removeprefix("chainrule.").replace(".", "/")
                if room != mine:
                    found[room] |= {alias.name for alias in node.names}
                for alias in node.names:  # a room that is imported whole is asked for its names by attribute
                    if (PACKAGE / room / alias.name / "__init__.py").is_file():
                        found[f"{room}/{alias.name}"] |= attributes(path, alias.asname or alias.name)
    pages = [HERE / "README.md", *(page for page in (HERE / "docs").rglob("*.md") if page.name != "reference.md")]
    for page in [*pages, *(HERE / "examples").glob("*.py")]:
        content = page.read_text(encoding="utf-8")
        for words in re.findall(r"from chainrule\.([\w.]+) import ([\w, ]+)", content):
            found[words[0].replace(".", "/")] |= {name.strip() for name in words[1].split(",")}
        found["lens"] |= set(re.findall(r"\blens\.(\w+)\(", content))
    return found


def attributes(path: Path, name: str) -> set[str]:
    """What a file asks of the thing that it calls `name`."""
    asked = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute))
    return {node.attr for node in asked if isinstance(node.value, ast.Name) and node.value.id == name}


def inner_rooms(room: Path) -> list[Path]:
    """The rooms inside a room."""
    return [path.parent for path in room.glob("*/__init__.py")]


def listed(path: Path) -> list[str]:
    """The names of a front door."""
    found = [node.value for node in tree(path).body if isinstance(node, ast.Assign)]
    return list(ast.literal_eval(found[0])) if found else []


def unused() -> list[str]:
    """Names that a front door lists and nobody outside takes, tests aside; types that functions take or give count."""
    used, found = imported(), []
    for path in files():
        if path.name != "__init__.py" or path.parent == PACKAGE:
            continue
        room = str(path.parent.relative_to(PACKAGE))
        given = {
            word
            for file in path.parent.rglob("*.py")
            for node in functions(file)
            for part in (node.returns, *(arg.annotation for arg in [*node.args.args, *node.args.kwonlyargs]))
            if part is not None
            for word in re.findall(r"\w+", ast.unparse(part))
        }
        found += [f"{room}.{name}" for name in listed(path) if name not in used[room] and name not in given]
    return found


def shadowed() -> list[str]:
    """Modules that a name of the same spelling hides in their front door."""
    return [
        f"{path.parent.relative_to(PACKAGE)}.{name}"
        for path in files()
        if path.name == "__init__.py" and path.parent != PACKAGE
        for name in listed(path)
        if (path.parent / f"{name}.py").is_file() or (path.parent / name).is_dir()
    ]


def deferred() -> str:
    """Imports inside functions, in `cli` and elsewhere."""
    counts: Counter[bool] = Counter()
    for path in files():
        for node in functions(path):
            inside = [part for part in ast.walk(node) if isinstance(part, ast.Import | ast.ImportFrom)]
            counts[room_of(path) == "cli"] += len(inside)
    return f"{counts[True]} / {counts[False]}"


def parameters() -> str:
    """Booleans that may be given by position, and functions with many parameters (verbs aside)."""
    booleans = many = 0
    for path in files():
        for node in functions(path):
            args = [*node.args.posonlyargs, *node.args.args]
            booleans += sum(ast.unparse(arg.annotation) == "bool" for arg in args if arg.annotation)
            count = len([arg for arg in [*args, *node.args.kwonlyargs] if arg.arg not in ("self", "cls")])
            many += count > MOST_PARAMETERS and room_of(path) != "cli"
    return f"{booleans}; {many}"


def together() -> list[str]:
    """Small files each of whose changes (three or more) was a change of one other file, by the history."""
    log = subprocess.run(
        ["git", "-C", str(HERE), "log", "--format=%x00", "--name-only", "--no-renames", "--", "chainrule"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    commits = [set(part.split()) for part in log.split("\0") if part.strip()]
    found = []
    for path in files():
        name = str(path.relative_to(HERE))
        if path.name == "__init__.py" or len(path.read_text(encoding="utf-8").splitlines()) >= SMALL:
            continue
        mine = [commit for commit in commits if name in commit]
        others = set.intersection(*mine) - {name} if len(mine) >= 3 else set()
        if any((HERE / other).is_file() and not other.endswith("__init__.py") for other in others):
            found.append(name)
    return found


def small() -> int:
    """Files below SMALL lines, front doors aside."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) < SMALL for path in files() if path.name[:2] != "__")


def seconds(*words: str) -> str:
    """The quickest of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True, cwd=HERE)
        times.append(time.perf_counter() - start)
    return f"{min(times):.2f} s"


def measures() -> list[tuple[str, str]]:
    """What is measured, and what it is today."""
    return [
        ("largest room or inner room, share of the package", largest_room()),
        ("functions in cli that Python cannot reach", str(len(unreachable()))),
        ("string keys of a run's rows outside run", str(row_keys())),
        ("names exported and used nowhere outside their room", str(len(unused()))),
        ("modules shadowed by a name of the same spelling", str(len(shadowed()))),
        ("deferred imports in cli / elsewhere", deferred()),
        ("boolean positional parameters; functions with more than 6", parameters()),
        ("files below 40 lines; that always change with another", f"{small()}; {len(together())}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", action="store_true", help="also how long --help and the trainer's import take")
    parser.add_argument("--list", action="store_true", help="also the names behind the counts")
    options = parser.parse_args()
    rows = measures()
    if options.times:
        rows.append(("chainrule --help", seconds("-m", "chainrule", "--help")))
        rows.append(("import of chainrule.train", seconds("-c", "import chainrule.train")))
    for what, value in rows:
        print(f"{what:<62} {value}")
    if options.list:
        for title, names in (("cannot reach", unreachable()), ("unused", unused()), ("shadowed", shadowed())):
            print(f"\n{title}:", *names, sep="\n  ")


if __name__ == "__main__":
    main()
