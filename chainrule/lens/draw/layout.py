"""Where everything stands: inside each box rows from top to bottom, with lanes for the wires that pass a row.

Each box is laid out by itself, without sizes, so that a page can fold and unfold boxes and a static picture can give
them any size. Layers by longest path; what nothing leads into (weights) stands right above its reader; the order within
rows by barycentres (Sugiyama, Tagawa and Toda 1981). A row has a left side, a middle and a right side: what carries the
data through the network is in the middle, so that it runs in one straight line, and weights stand on the sides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chainrule.lens.draw.tree import Item, Tree, child_towards
from chainrule.lens.tape import Tape

Lane = tuple[str, int]  # ("lane", value)
Line = tuple[Item | Lane, ...]
Row = tuple[Line, Line, Line]
IN, OUT = -1, -2  # where wires come into a box and leave it
N_SWEEPS = 4


@dataclass(frozen=True)
class Wire:
    """Inside one box, `value` goes from one child to another; the place of a child, IN or OUT."""

    value: int
    start: int
    end: int


def lay_out(tape: Tape, tree: Tree) -> list[tuple[Row, ...]]:
    """The rows of each box, by box number."""
    wires, aside = _wires(tape, tree), _aside(tape)
    return [tuple(_sides(line, aside) for line in _rows(box.children, sorted(wires[box.id]))) for box in tree.boxes]


def _aside(tape: Tape) -> frozenset[Item | Lane]:
    """The operations that work on weights and constants alone; none where everything does."""
    found: set[int] = set()
    for node in tape.nodes:
        sources = [tape.values[value] for value in node.inputs]
        if all(one.role != "input" if one.producer is None else one.producer in found for one in sources):
            found.add(node.id)
    return frozenset(("op", node) for node in found) if len(found) < len(tape.nodes) else frozenset()


def _sides(line: Line, aside: frozenset[Item | Lane]) -> Row:
    """The row in three: in the middle operations and modules; else the lanes that pass; else all.

    Weights are shared out between both sides, since a row is as wide as twice its wider side.
    """
    main = [item for item in line if item[0] in ("op", "box") and item not in aside]
    main = main or [item for item in line if item[0] == "lane"]
    if not main:
        return (), line, ()
    half = line.index(main[len(main) // 2])
    beside = [item for item in line if item not in main and item[0] != "lane"]
    balance = len(beside) // 2 if len(beside) > 1 else sum(line.index(item) < half for item in beside)
    to_left = set(beside[:balance]) | {item for item in line[:half] if item[0] == "lane"}
    left = tuple(item for item in line if item in to_left and item not in main)
    return left, tuple(main), tuple(item for item in line if item not in to_left and item not in main)


def _wires(tape: Tape, tree: Tree) -> list[set[tuple[int, int, int]]]:
    """For each box the (value, start, end) of the wires inside it, by the places of its children."""
    places: list[dict[Item, int]] = [{item: i for i, item in enumerate(box.children)} for box in tree.boxes]
    found: list[set[tuple[int, int, int]]] = [set() for _ in tree.boxes]
    for value_id, readers in tape.consumers().items():
        maker = tape.values[value_id].producer
        home = tree.of_op[maker] if maker is not None else tree.of_leaf[value_id]
        source: Item = ("op", maker) if maker is not None else ("leaf", value_id)
        up = tree.line(home)
        for reader in readers:
            down = tree.line(tree.of_op[reader])
            depth = sum(1 for a, b in zip(up, down, strict=False) if a == b)
            for at, box in enumerate(up[depth:], depth):
                child = source if at == len(up) - 1 else ("box", up[at + 1])
                found[box].add((value_id, places[box][child], OUT))
            shared = up[depth - 1]
            start = source if len(up) == depth else ("box", up[depth])
            found[shared].add((value_id, places[shared][start], places[shared][child_towards(tree, shared, reader)]))
            for box in down[depth:]:
                found[box].add((value_id, IN, places[box][child_towards(tree, box, reader)]))
    return found


def _rows(children: Sequence[Item], wires: Iterable[tuple[int, int, int]]) -> tuple[Line, ...]:
    """One box: a row for each layer, its children and lanes from left to right."""
    drawn = [Wire(*wire) for wire in wires]
    layer = _layers(len(children), drawn)
    n_rows = max(layer, default=-1) + 1
    cells: list[list[Item | Lane]] = [[] for _ in range(n_rows)]
    for place, item in enumerate(children):
        cells[layer[place]].append(item)
    links: list[tuple[int, Item | Lane, int, Item | Lane]] = []
    for (value, start), ends in _bundles(drawn).items():
        top = -1 if start == IN else layer[start]
        bottom = max(n_rows if end == OUT else layer[end] for end in ends)
        for row in range(top + 1, bottom):
            cells[row].append(("lane", value))
        reached = {n_rows if end == OUT else layer[end]: end for end in ends}
        above: Item | Lane | None = None if start == IN else children[start]
        for row in range(top + 1, bottom + 1):
            if above is not None:
                links += [(row - 1, above, row, children[end]) for at, end in reached.items() if at == row and end >= 0]
                if row < bottom:
                    links.append((row - 1, above, row, ("lane", value)))
            above = ("lane", value)
    return _ordered(cells, links)


def _layers(n_children: int, wires: Sequence[Wire]) -> list[int]:
    """The row of each child. Children come in the order of execution, so wires lead to later ones only."""
    before: list[set[int]] = [set() for _ in range(n_children)]
    after: list[set[int]] = [set() for _ in range(n_children)]
    entered = {wire.end for wire in wires if wire.start == IN}
    for wire in wires:
        if wire.start >= 0 and wire.end >= 0:
            before[wire.end].add(wire.start)
            after[wire.start].add(wire.end)
    layer = [0] * n_children
    loose = [False] * n_children
    for place in range(n_children):
        layer[place] = max((layer[one] + 1 for one in before[place]), default=0)
        loose[place] = place not in entered and all(loose[one] for one in before[place])
    for place in reversed(range(n_children)):
        if loose[place] and after[place]:
            layer[place] = min(layer[one] for one in after[place]) - 1
    used = {row: i for i, row in enumerate(sorted(set(layer)))}
    return [used[row] for row in layer]


def _bundles(wires: Iterable[Wire]) -> dict[tuple[int, int], list[int]]:
    """The ends that a value goes to from one place: they share its lanes."""
    found: dict[tuple[int, int], list[int]] = {}
    for wire in wires:
        found.setdefault((wire.value, wire.start), []).append(wire.end)
    return found


def _ordered(
    cells: list[list[Item | Lane]], links: Sequence[tuple[int, Item | Lane, int, Item | Lane]]
) -> tuple[Line, ...]:
    """Each row sorted by the mean place of what it is joined to, downwards and upwards in turn."""
    up: dict[tuple[int, Item | Lane], list[tuple[int, Item | Lane]]] = {}
    down: dict[tuple[int, Item | Lane], list[tuple[int, Item | Lane]]] = {}
    for row, above, below_row, below in links:
        up.setdefault((below_row, below), []).append((row, above))
        down.setdefault((row, above), []).append((below_row, below))
    share = {(row, item): (i + 0.5) / len(line) for row, line in enumerate(cells) for i, item in enumerate(line)}
    for sweep in range(N_SWEEPS):
        rows = range(len(cells)) if sweep % 2 == 0 else reversed(range(len(cells)))
        joined = up if sweep % 2 == 0 else down
        for row in rows:
            line = cells[row]
            wish = {item: _mean([share[one] for one in joined.get((row, item), [])], share[row, item]) for item in line}
            line.sort(key=lambda item: wish[item])
            for i, item in enumerate(line):
                share[row, item] = (i + 0.5) / len(line)
    return tuple(tuple(line) for line in cells)


def _mean(numbers: Sequence[float], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise
