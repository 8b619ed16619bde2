"""The chain rule written out: a row for each operation of the reverse walk, from the loss back to the leaves."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.lens.engine import OURS, Contribution, Policy, ReverseStep, differentiable, reverse
from chainrule.lens.ledgers.cells import FEW, Cell, cell
from chainrule.lens.ledgers.coordinate import CoordinatePath, check_index, find_leaf, follow
from chainrule.lens.rules import Call, Formula, Rule
from chainrule.lens.tape import Node, Site, Tape

ASSIGNED = re.compile(r"^([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*)\s*(?::[^=]+)?=(?!=)")
Coordinate = tuple[str, tuple[int, ...] | None]


@dataclass(frozen=True)
class Part:
    """What one input of an operation receives: local derivative times incoming gradient.

    `letter` is the input's name in the formula. `local` is the local derivative in numbers, where they are few and
    there is one for each element of the input: an operation on each element alone, or one whose output is one number.
    """

    argument: str
    value: int
    letter: str
    formula: Formula | None
    local: Cell | None
    outgoing: Cell


@dataclass(frozen=True)
class Meeting:
    """A value that was used more than once: its gradient is the sum of (node, argument, contribution)."""

    value: int
    contributions: tuple[tuple[int, str, Cell], ...]
    total: Cell


@dataclass(frozen=True)
class LedgerRow:
    """One operation, walked back through. `text` says what it computes, `value` is its (first) output.

    `incoming` is the gradient of the loss by the first output that the loss depends on. `independent` is false where
    autograd stood in for a missing rule.
    """

    order: int
    node: int
    op: str
    name: str
    module: str
    site: Site | None
    text: Formula | None
    value: Cell
    incoming: Cell | None
    parts: tuple[Part, ...]
    meetings: tuple[Meeting, ...]
    independent: bool


@dataclass(frozen=True)
class LeafRow:
    """A parameter or input with its final gradient."""

    value: int
    gradient: Cell
    meeting: Meeting | None


@dataclass(frozen=True)
class Ledger:
    """Rows in the order of the reverse walk, and the leaves; `unreached` are those that the loss does not depend on."""

    tape: Tape
    rows: tuple[LedgerRow, ...]
    leaves: tuple[LeafRow, ...]
    unreached: tuple[int, ...]
    coordinate: CoordinatePath | None


def ledger(
    tape: Tape,
    *,
    policy: Policy = OURS,
    coordinate: Coordinate | None = None,
    stats: bool = True,
) -> Ledger:
    """Walks back from the loss and writes down every step.

    `coordinate`, such as `("blocks.0.attention.qkv.weight", (3, 7))`, also follows one element of a weight; with
    None for the index, the one with the largest gradient. Without `stats` large tensors are kept as shape and norm
    alone, which is faster.

    Raises LensError as `reverse` does, and when there is no such coordinate.
    """
    leaf = None if coordinate is None else find_leaf(tape, coordinate[0])
    index = None if leaf is None or coordinate is None or coordinate[1] is None else check_index(leaf, coordinate[1])
    book = _Book(tape, shown_names(tape), differentiable(tape), {} if leaf else None, stats=stats)
    gradients = reverse(tape, book.write, policy=policy)
    leaves = [
        LeafRow(value, total := cell(g, stats=stats), book.meeting(value, total)) for value, g in gradients.items()
    ]
    unreached = tuple(leaf.id for leaf in tape.leaves() if leaf.id not in gradients)
    path = None if leaf is None else follow(tape, leaf, index, gradients, book.kept or {})
    return Ledger(tape, tuple(book.rows), tuple(sorted(leaves, key=lambda leaf: leaf.value)), unreached, path)


class _Book:
    """Takes down the steps of one reverse walk, with its gradients when `kept` is a dict."""

    def __init__(
        self,
        tape: Tape,
        names: Mapping[int, str],
        wanted: frozenset[int],
        kept: dict[int, ReverseStep] | None,
        *,
        stats: bool,
    ) -> None:
        self.tape, self.names, self.wanted, self.stats, self.kept = tape, names, wanted, stats, kept
        self.rows: list[LedgerRow] = []
        self.met: dict[int, list[tuple[int, str, Cell]]] = defaultdict(list)

    def write(self, step: ReverseStep) -> None:
        node = step.node
        locals_ = _local_derivatives(self.tape, step, self.wanted)
        parts = tuple(self._part(step.rule, one, locals_.get(one.argument)) for one in step.outgoing)
        incoming = [
            (out, cell(g, stats=self.stats))
            for out, g in zip(node.outputs, step.incoming, strict=True)
            if g is not None
        ]
        meetings = [self.meeting(value, total) for value, total in incoming]
        for part in parts:
            self.met[part.value].append((node.id, part.argument, part.outgoing))
        self.rows.append(
            LedgerRow(
                step.order,
                node.id,
                node.op,
                self.names[node.outputs[0]],
                node.module,
                node.site,
                step.rule.value if step.rule else None,
                cell(_tensor(self.tape, node.outputs[0]), stats=self.stats),
                incoming[0][1] if incoming else None,
                parts,
                tuple(one for one in meetings if one is not None),
                step.independent,
            )
        )
        if self.kept is not None:
            self.kept[node.id] = step

    def meeting(self, value: int, total: Cell) -> Meeting | None:
        """The sum at `value`, when more than one contribution went into it."""
        came = self.met.pop(value, [])
        return Meeting(value, tuple(came), total) if len(came) > 1 else None

    def _part(self, rule: Rule | None, one: Contribution, local: Cell | None) -> Part:
        base, bracket, rest = one.argument.partition("[")
        formula = rule.formulas.get(base) if rule else None
        letter = (rule.names.get(base, base) if rule else base) + bracket + rest
        return Part(one.argument, one.value, letter, formula, local, cell(one.gradient, stats=self.stats))


def _tensor(tape: Tape, value: int) -> Tensor:
    tensor = tape.values[value].tensor
    assert tensor is not None, "reverse checks that every tensor was kept"
    return tensor.detach()


def _local_derivatives(tape: Tape, step: ReverseStep, wanted: frozenset[int]) -> dict[str, Cell]:
    """The local derivative by each argument, where one number for each element of it says all: the pullback of ones."""
    if step.rule is None or len(step.node.outputs) != 1 or not step.outgoing:
        return {}
    out = _tensor(tape, step.node.outputs[0])
    if out.numel() > FEW or (out.numel() != 1 and not _pointwise(step.node)):
        return {}
    found = step.rule.pullback(Call(tape, step.node, wanted), torch.ones_like(out))
    shapes = {one.argument: tuple(one.gradient.shape) for one in step.outgoing}
    return {
        name: cell(local)
        for name, local in found.items()
        if isinstance(local, Tensor)
        and local.numel() <= FEW
        and name in shapes
        and (out.numel() == 1 or shapes[name] == tuple(out.shape))
    }


def _pointwise(node: Node) -> bool:
    return node.func is not None and torch.Tag.pointwise in node.func.tags


def shown_names(tape: Tape) -> dict[int, str]:
    """What to call each value: the variable that its line assigns it to, weightᵀ when transposed, else its own name."""
    names = {value.id: value.name for value in tape.values}
    for node, after in zip(tape.nodes, [*tape.nodes[1:], None], strict=True):
        if node.site is None or (after is not None and _same_line(node, after)):
            continue
        match = ASSIGNED.match(node.site.code)
        targets = [word.strip() for word in match[1].split(",")] if match else []
        if len(targets) == len(node.outputs) and "record(" not in node.site.code:
            names.update(zip(node.outputs, targets, strict=True))
    for node in tape.nodes:
        if node.rule_name == "t" and names[node.outputs[0]] == tape.values[node.outputs[0]].name:
            names[node.outputs[0]] = names[node.inputs[0]] + "ᵀ"
    return names


def _same_line(node: Node, after: Node) -> bool:
    return after.site is not None and node.site is not None and str(node.site) == str(after.site)
