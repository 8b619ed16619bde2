"""Where a program stops gradients itself: detach, .data, torch.no_grad(), .item(), .tolist(), padding_idx."""

from dataclasses import dataclass
from typing import Literal

from chainrule.lens.engine.aliases import Aliases
from chainrule.lens.engine.autograd import CustomFunctions
from chainrule.lens.engine.backward import differentiable
from chainrule.lens.rules import MOVED
from chainrule.lens.tape import Node, Ref, Site, Tape

# These hand numbers to Python.
LEAVING = ("_local_scalar_dense", "tolist")
CUTTING = ("detach", *LEAVING)
# So many weights are named, of more the number.
NAMED = 3

# What is kept of an operation when the program runs again: its results; the number that it read; the rows of the
# padding; or the leaf that it wrote to without autograd seeing it, which then is not written to again.
# A random draw that has a gradient goes with its parameters, at the place that it has in its distribution. Of memory
# that is written to after its detach no clone may stand in: it stays an alias, and who reads it gets what it had then.
Hold = Literal["results", "number", "padding", "leaf", "draw", "alias", "arguments"]


@dataclass(frozen=True)
class Cut:
    """A line that stops gradients, and the weights that get none through it."""

    what: str
    site: Site | None
    weights: tuple[str, ...]

    def __str__(self) -> str:
        n = len(self.weights)
        who = ", ".join(self.weights[:NAMED]) + (", …" if n > NAMED else "")
        behind = "" if not n else f": {n} weight{'s' * (n > 1)} behind it get no gradient through it ({who})"
        where = "" if self.site is None else f" at {self.site}"
        return f"{self.what}{where}{behind}"


def cuts_of(tape: Tape) -> tuple[Cut, ...]:
    """The lines that read a value with a gradient and hand on one without, in the order of the program.

    An embedding with `padding_idx` is one: it says that the row of the padding has no gradient. What the loss does not
    come from (a number that is printed after it) is none.
    """
    live, held, heard = differentiable(tape), held_nodes(tape), _heard(tape)
    read = [tape.values[value] for values in Aliases(tape).read.values() for value in values]
    storages, outside = {one.meta.storage for one in read}, any(one.role == "constant" for one in read)
    lines: dict[tuple[str, Site | None], list[Node]] = {}
    for node in tape.nodes:
        hold = held.get(node.id)
        if hold in (None, "draw", "arguments") or not live.intersection(node.inputs):
            continue
        if hold == "results" and node.id not in heard:
            continue
        if hold == "alias" and not outside and tape.values[node.outputs[0]].meta.storage not in storages:
            continue  # it is only written through, as samplers do that keep what they drew off zero
        if hold == "number" and _after_the_loss(tape, node):
            continue
        lines.setdefault((_called(node, hold), node.site), []).append(node)
    return tuple(Cut(what, site, _behind(tape, nodes, live)) for (what, site), nodes in lines.items())


def held_nodes(tape: Tape) -> dict[int, Hold]:
    """The operations at which the program stops gradients, with what is held there for numbers to stop as well.

    Every number that goes to Python is held, whatever it came from: the way that the program took with it is the way
    that is differentiated.
    """
    live, inside = differentiable(tape), CustomFunctions(tape).backward_of
    leaves = {tape.values[leaf.id].meta.storage for leaf in tape.leaves()}
    others = [node for node in tape.nodes if node.rule_name != "detach"]
    read = {value for node in others for value in node.inputs} | set(tape.outputs)
    aliases = Aliases(tape)
    held: dict[int, Hold] = {}
    for node in tape.nodes:
        if node.rule_name in MOVED and live.intersection(node.inputs) and live.intersection(node.outputs):
            held[node.id] = "draw"
        if node.id in inside or node.hidden or node.func is None:
            continue
        if node.rule_name == "detach" and not node.asked and not read.intersection(node.outputs):
            continue  # what autograd saved for a way back inside the program
        if node.rule_name in LEAVING:
            held[node.id] = "number"
        elif node.rule_name == "embedding" and int(node.arguments.get("padding_idx", -1)) >= 0:
            held[node.id] = "padding"
        elif node.unseen or node.rule_name == "embedding_renorm":
            target = node.arguments.get("self")
            if isinstance(target, Ref) and tape.values[target.value].meta.storage in leaves:
                held[node.id] = "leaf"
        elif live.intersection(node.inputs) and not live.intersection(node.outputs):
            numbers = any(tape.values[output].differentiable for output in node.outputs)
            if numbers and node.id in aliases.made_by:
                held[node.id] = "alias"
            elif numbers and (not node.grad_enabled or node.rule_name in CUTTING):
                held[node.id] = "results"
        if node.id in aliases.read:
            held.setdefault(node.id, "arguments")
    return held


def _called(node: Node, hold: Hold) -> str:
    if hold == "padding":
        return f"padding_idx of {node.op}"
    if hold == "leaf":
        return f"{node.op}, which autograd does not see,"
    if node.rule_name in LEAVING:
        return ".tolist()" if node.rule_name == "tolist" else ".item()"
    return node.op if node.rule_name in CUTTING else f"{node.op} under torch.no_grad()"


def _heard(tape: Tape) -> frozenset[int]:
    """The operations whose results the loss may come from: by the tape, or by leaving it."""
    needed = set() if tape.loss is None else {tape.loss}
    read = {value for node in tape.nodes for value in node.inputs}
    heard = set()
    for node in reversed(tape.nodes):
        unread = node.rule_name == "detach" and not read.intersection(node.outputs)
        if node.rule_name in LEAVING or unread or needed.intersection(node.outputs):
            heard.add(node.id)
            needed.update(node.inputs)
    return frozenset(heard)


def _after_the_loss(tape: Tape, node: Node) -> bool:
    maker = None if tape.loss is None else tape.values[tape.loss].producer
    return maker is not None and node.id > maker


def _behind(tape: Tape, nodes: list[Node], live: frozenset[int]) -> tuple[str, ...]:
    """The names of the leaves that the operations' values come from."""
    needed = {value for node in nodes for value in node.inputs if value in live}
    for node in reversed(tape.nodes[: nodes[-1].id]):
        if needed.intersection(node.outputs):
            needed.update(value for value in node.inputs if value in live)
    return tuple(leaf.name for leaf in tape.leaves() if leaf.id in needed)
