"""The recorded operations inside the modules that asked for them: a tree of boxes, in the order of execution."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from chainrule.lens.tape import Node, Tape, Value

Kind = Literal["op", "box", "leaf"]
Item = tuple[Kind, int]
# These hold modules and are never called themselves: their children are named `blocks.0`, without a box around.
HOLDERS = frozenset({"ModuleList", "ModuleDict"})


@dataclass
class Box:
    """One call of a module, with the operations and modules inside; box 0 is all that was recorded.

    `label` is the path below the enclosing box. `call` counts the boxes of the same path from 0.
    """

    id: int
    path: str
    label: str
    kind: str
    call: int
    parent: int | None
    children: list[Item] = field(default_factory=list)


@dataclass(frozen=True)
class Tree:
    """All boxes, the box of each operation, and the box in which each leaf stands (those that something reads)."""

    boxes: tuple[Box, ...]
    of_op: dict[int, int]
    of_leaf: dict[int, int]

    def line(self, box: int) -> list[int]:
        """The boxes from the outermost down to `box`."""
        found: list[int] = []
        at: int | None = box
        while at is not None:
            found.append(at)
            at = self.boxes[at].parent
        return found[::-1]

    def around(self, boxes: Iterable[int]) -> int:
        """The innermost box that holds them all."""
        lines = [self.line(box) for box in set(boxes)]
        shared = [step[0] for step in zip(*lines, strict=False) if len(set(step)) == 1]
        return shared[-1]


def grow(tape: Tape) -> Tree:
    """The tree of a tape.

    A module's call is one stretch of the recording, so boxes follow from the order alone: a box closes when an
    operation outside of it comes. The same module called again is another box; two calls in a row
    can only be told apart where the module has operations of its own.
    """
    builder = _Builder(tape)
    for node in tape.nodes:
        builder.add(node)
    tree = Tree(tuple(builder.boxes), builder.of_op, {})
    _plant_leaves(tape, tree)
    return tree


class _Builder:
    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.boxes = [Box(0, "", tape.target, tape.modules.get("", "function"), 0, None)]
        self.of_op: dict[int, int] = {}
        self.open = [0]
        self.last_call: dict[int, int] = {}
        self.n_calls: dict[str, int] = {}

    def add(self, node: Node) -> None:
        """Puts the operation into its box, closing and opening on the way."""
        wanted = self._paths(node.module)
        same = 1
        while same < len(self.open) and same <= len(wanted) and self.boxes[self.open[same]].path == wanted[same - 1]:
            same += 1
        here = self.open[-1]
        if same == len(self.open) == len(wanted) + 1 and here and self.last_call.get(here, node.call) != node.call:
            same -= 1  # the same module, called anew
        del self.open[same:]
        for path in wanted[same - 1 :]:
            self._enter(path)
        box = self.open[-1]
        self.last_call[box] = node.call
        self.boxes[box].children.append(("op", node.id))
        self.of_op[node.id] = box

    def _enter(self, path: str) -> None:
        parent = self.boxes[self.open[-1]]
        label = path[len(parent.path) + 1 :] if parent.path else path
        call = self.n_calls.get(path, 0)
        self.n_calls[path] = call + 1
        kind = self.tape.modules.get(path, "")
        self.boxes.append(Box(len(self.boxes), path, label, kind, call, parent.id))
        parent.children.append(("box", self.boxes[-1].id))
        self.open.append(self.boxes[-1].id)

    def _paths(self, module: str) -> list[str]:
        """The enclosing modules that can run, from the outside in."""
        words = module.split(".") if module else []
        paths = [".".join(words[: i + 1]) for i in range(len(words))]
        return [path for path in paths if self.tape.modules.get(path, "") not in HOLDERS and path in self.tape.modules]


def _plant_leaves(tape: Tape, tree: Tree) -> None:
    """Puts each leaf before the first that reads it, in the innermost box that holds all its readers."""
    readers = tape.consumers()
    leaves = [value for value in tape.values if value.producer is None and value.id in readers]
    for value in sorted(leaves, key=lambda leaf: _first_use(tape, readers[leaf.id][0], leaf.id)):
        box = 0 if value.role == "input" else tree.around(tree.of_op[node] for node in readers[value.id])
        tree.of_leaf[value.id] = box
        children = tree.boxes[box].children
        children.insert(_first_reader(tree, box, children, readers[value.id]), ("leaf", value.id))


def _first_use(tape: Tape, node: int, value: int) -> tuple[int, int]:
    """Who reads it first, and as which argument: leaves stand in the order of the formula."""
    return node, tape.nodes[node].inputs.index(value)


def _first_reader(tree: Tree, box: int, children: Sequence[Item], readers: Sequence[int]) -> int:
    wanted = {child_towards(tree, box, node) for node in readers}
    return next(place for place, item in enumerate(children) if item in wanted)


def child_towards(tree: Tree, box: int, op: int) -> Item:
    """The child of `box` that is the operation or has it inside."""
    line = tree.line(tree.of_op[op])
    below = line.index(box) + 1
    return ("box", line[below]) if below < len(line) else ("op", op)


def parameters_in(tape: Tape, tree: Tree) -> list[set[int]]:
    """For each box the parameters that anything inside reads."""
    found: list[set[int]] = [set() for _ in tree.boxes]
    for node in tape.nodes:
        read = {value for value in node.inputs if _is_parameter(tape.values[value])}
        if read:
            for box in tree.line(tree.of_op[node.id]):
                found[box] |= read
    return found


def _is_parameter(value: Value) -> bool:
    return value.producer is None and value.role == "parameter"
