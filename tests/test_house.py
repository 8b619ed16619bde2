"""The house rules, read from docs/ARCHITECTURE.md and checked on every file."""

import ast
import functools
import re
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent
PACKAGE = "chainrule"
PAGE = (HERE / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
FILES = sorted((HERE / PACKAGE).rglob("*.py"))


def drawn(name: str) -> str:
    """The content of the page's fenced block of that name."""
    block = re.search(rf"```{name}\n(.*?)```", PAGE, re.S)
    assert block, f"docs/ARCHITECTURE.md has no block {name}"
    return block[1]


def heights(name: str) -> dict[str, int]:
    """How high each room of that drawing lies."""
    return {room: -depth for depth, floor in enumerate(drawn(name).splitlines()) for room in floor.split()}


HEIGHTS = heights("rooms")
INNER = {room: heights(room) for room in HEIGHTS if f"```{room}\n" in PAGE}
LATER = set(drawn("later").split())
TORCH_FREE = set(drawn("torch-free").split())
DOORS = {line.split()[0]: set(line.split()[1:]) for line in drawn("doors").splitlines()}


def room_of(path: Path) -> str:
    return path.relative_to(HERE / PACKAGE).parts[0].removesuffix(".py")


@functools.cache
def imports(path: Path) -> list[tuple[str, int, bool]]:
    """(module, line, stands at the top of the file) of every import; under TYPE_CHECKING counts as the top.

    So does a module that one system alone has, under `sys.platform`.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    conditions = ("TYPE_CHECKING", "sys.platform != 'win32'", "sys.platform == 'win32'")
    guarded = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) in conditions]
    top = {id(node) for node in tree.body} | {id(node) for block in guarded for node in block.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(("." * node.level + (node.module or ""), node.lineno, id(node) in top))
    return found


def each_file(test):
    return pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HERE)))(test)


def test_every_room_is_drawn_and_every_drawing_is_built_or_said_to_come_later():
    built = {room_of(path) for path in FILES} - {"__init__", "__main__"}
    assert not built & LATER, "what is built does not come later"
    assert built | LATER == set(HEIGHTS)


def test_the_page_says_what_lives_in_each_room_from_the_ground_up():
    described = re.findall(r"^\| `(\w+)` \|", PAGE, re.M)
    drawings = [drawn(name).splitlines() for name in ("rooms", *INNER)]
    assert described == [room for floors in drawings for floor in reversed(floors) for room in floor.split()]


@pytest.mark.parametrize("room", INNER)
def test_every_inner_room_is_drawn(room):
    parts = [path.relative_to(HERE / PACKAGE / room).parts for path in FILES if room_of(path) == room]
    assert {part[0] for part in parts} == {*INNER[room], "__init__.py"}, "each file lies in an inner room"


@each_file
def test_imports_between_inner_rooms_go_down_and_through_their_doors(path):
    room, *inside = path.relative_to(HERE / PACKAGE).parts
    if room not in INNER or len(inside) < 2:
        return
    for name, line, _ in imports(path):
        outer, parts = name.split(".")[:2], name.split(".")[2:]
        if outer != [PACKAGE, room] or parts[:1] == [inside[0]]:
            continue
        assert len(parts) == 1, f"{path}:{line}: import through the front door of an inner room, not {name}"
        below = INNER[room][parts[0]] < INNER[room][inside[0]]
        assert below, f"{path}:{line}: {inside[0]} may not import {parts[0]}"


@each_file
def test_imports_go_down_and_through_the_front_door(path):
    room = room_of(path)
    for name, line, _ in imports(path):
        assert not name.startswith("."), f"{path}:{line}: write the whole name, {PACKAGE}.…"
        parts = name.split(".")
        if parts[0] != PACKAGE or len(parts) == 1 or parts[1] == room or room not in HEIGHTS:
            continue
        doors = 3 if len(parts) > 2 and parts[2] in INNER.get(parts[1], {}) else 2
        assert len(parts) == doors, f"{path}:{line}: import {parts[1]} through its front door, not {name}"
        assert HEIGHTS[parts[1]] < HEIGHTS[room], f"{path}:{line}: {room} may not import {parts[1]}"


@each_file
def test_imports_stand_at_the_top_and_through_their_door(path):
    room, here = room_of(path), str(path.relative_to(HERE / PACKAGE))
    for name, line, at_top in imports(path):
        package = name.split(".")[0]
        if package in DOORS:
            assert here in DOORS[package], f"{path}:{line}: {package} is imported only in {sorted(DOORS[package])}"
        elif package == "torch" and at_top:
            assert room not in TORCH_FREE, f"{path}:{line}: {room} stays free of torch"
        if room != "cli" and package not in DOORS:
            assert at_top, f"{path}:{line}: an import inside a function hides a dependency"


@each_file
def test_a_file_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path}: say what the file is for"


def goes_on(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends by raising, or by handing what it caught to its caller."""
    last = handler.body[-1]
    handed = isinstance(last, ast.Return) and any(getattr(part, "id", "") == handler.name for part in ast.walk(last))
    return isinstance(last, ast.Raise) or handed


@each_file
def test_what_is_caught_is_named_or_goes_on(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = {getattr(part, "id", "") for part in ast.walk(node.type)} if node.type else {"BaseException"}
        if caught & {"Exception", "BaseException"}:
            assert goes_on(node), f"{path}:{node.lineno}: name what you catch, or raise it again"


@each_file
def test_a_front_door_is_a_sorted_list_and_nothing_else(path):
    if path.name != "__init__.py" or room_of(path) == "__init__":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = {type(node) for node in tree.body[1:]}
    assert kinds <= {ast.ImportFrom, ast.Assign}, f"{path}: a front door only lists names"
    listed = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    brought = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert set(listed) == brought, f"{path}: __all__ and the imports differ"
    assert listed == sorted(listed, key=lambda name: (not name.isupper(), name[0].islower(), name)), f"{path}: sort it"


def test_every_door_is_a_file_that_uses_it():
    for package, doors in DOORS.items():
        for door in doors:
            path = HERE / PACKAGE / door
            assert path.is_file(), f"the door of {package}, {door}, is not there"
            names = {name.split(".")[0] for name, _, _ in imports(path)}
            assert package in names, f"{door} is drawn as a door of {package} and does not import it"


# Of the run folder alone; config.toml, tokenizer.json and manifest.json are names of other folders' files as well.
RUN_FILES = {
    "machine.json",
    "metrics.jsonl",
    "health.jsonl",
    "samples.jsonl",
    "events.jsonl",
    "summary.json",
    "report.html",
}


@each_file
def test_the_file_names_of_a_run_folder_stand_in_its_room(path):
    words = {node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)}
    assert room_of(path) == "run" or not {word for word in words if isinstance(word, str)} & RUN_FILES
