"""A recording as plain data for a picture: modules, operations, tensors, and the reverse walk with its numbers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from chainrule.lens.draw.data import (
    Contribution,
    DrawnBox,
    DrawnOp,
    DrawnPart,
    DrawnRule,
    DrawnStep,
    DrawnValue,
    Picture,
)
from chainrule.lens.draw.instruments import drawn_cost, followed
from chainrule.lens.draw.layout import lay_out
from chainrule.lens.draw.saying import given, saying
from chainrule.lens.draw.thumbnail import Look, look
from chainrule.lens.draw.tree import Box, Tree, grow, parameters_in
from chainrule.lens.engine import OURS, Policy, ReverseStep, reverse
from chainrule.lens.ledgers import Ledger, LedgerRow, costs_of, ledger, shown_names
from chainrule.lens.rules import Rule
from chainrule.lens.tape import Node, Site, Tape, Value

UNSET = frozenset({"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"})


class Verified(Protocol):
    """What a picture reads of a verification: `lens.verify` returns such a report."""

    @property
    def verdict(self) -> str:
        """proved, wrong or not proved."""

    @property
    def summary(self) -> str:
        """The verdict with its reason, in one sentence."""

    @property
    def suspect(self) -> int | None:
        """The operation whose gradient is wrong."""

    @property
    def node_errors(self) -> Mapping[int, float]:
        """The largest relative error of the gradients at each operation's outputs."""

    @property
    def tolerance_of(self) -> Mapping[int, float]:
        """What each operation is allowed."""


def picture(
    tape: Tape,
    book: Ledger | None = None,
    verified: Verified | None = None,
    *,
    backward: bool = True,
    policy: Policy = OURS,
    title: str = "",
) -> Picture:
    """The picture of a tape.

    `book` is its ledger, worked out when it is not given; without `backward` there are values and no gradients.
    `verified` colours the operations by their errors; it must be of this tape. `policy` is as for
    `reverse`. The title is what was recorded, unless another is given.

    Raises LensError as `reverse` does.
    """
    costs = costs_of(tape)  # before any walk back: autograd's graph is whole
    if backward and book is None:
        book = ledger(tape, policy=policy, stats=False)
    tree, names = grow(tape), shown_names(tape)
    readers = tape.consumers()
    values = [_value(tape, tree, one, names, tuple(readers.get(one.id, ()))) for one in tape.values]
    drawn = policy if book is None else replace(policy, fallback=policy.fallback or _dependent(book))
    gradients = _gradients(tape, drawn) if book is not None else {}
    for number, gradient in gradients.items():
        values[number] = replace(values[number], gradient=gradient)
    for number, met in _meetings(book) if book is not None else ():
        values[number] = replace(values[number], met=met)
    sites = {site: i for i, site in enumerate(dict.fromkeys(node.site for node in tape.nodes if node.site))}
    rows = {row.node: row for row in book.rows} if book else {}
    return Picture(
        title or tape.target,
        tape.level,
        tape.training,
        tape.loss,
        _boxes(tape, tree),
        tuple(
            replace(_op(tree, node, names, rows.get(node.id), sites, verified), cost=drawn_cost(costs.of[node.id]))
            for node in tape.nodes
        ),
        tuple(values),
        tuple(_step(row, tape.nodes[row.node], gradients) for row in book.rows) if book else (),
        tuple(sites),
        _rules(tape, policy.rules),
        book.unreached if book else (),
        tuple(tape.tied.items()),
        None if verified is None else verified.verdict,
        None if verified is None else verified.summary,
        None if verified is None else verified.suspect,
        (),
        costs.seconds,
        costs.flops,
        costs.saved_bytes,
        None if book is None or book.coordinate is None else followed(book.coordinate),
    )


def _boxes(tape: Tape, tree: Tree) -> tuple[DrawnBox, ...]:
    layouts, weights = lay_out(tape, tree), parameters_in(tape, tree)
    n_ops = [0] * len(tree.boxes)
    for box in tree.of_op.values():
        for outer in tree.line(box):
            n_ops[outer] += 1
    results = _results(tape, tree)
    return tuple(
        DrawnBox(
            box.id,
            box.path,
            _label(box),
            box.kind,
            box.call,
            box.parent,
            n_ops[box.id],
            sum(tape.values[value].meta.n_elements for value in weights[box.id]),
            tuple(results[box.id]),
            layouts[box.id],
        )
        for box in tree.boxes
    )


def _label(box: Box) -> str:
    return f"{box.label}, call {box.call + 1}" if box.call else box.label


def _results(tape: Tape, tree: Tree) -> list[list[int]]:
    """For each box the values that it makes and something outside reads, or that are results of the whole."""
    found: list[list[int]] = [[] for _ in tree.boxes]
    readers = tape.consumers()
    for node in tape.nodes:
        for value in node.outputs:
            outside = [tree.line(tree.of_op[reader]) for reader in readers.get(value, ())]
            for box in tree.line(tree.of_op[node.id]):
                if value in tape.outputs or any(box not in line for line in outside):
                    found[box].append(value)
    return found


def _value(tape: Tape, tree: Tree, value: Value, names: Mapping[int, str], readers: tuple[int, ...]) -> DrawnValue:
    maker = tape.producer(value)
    unset = maker is not None and maker.rule_name in UNSET  # whatever was in memory before: no value to show
    seen = look(value.tensor) if value.tensor is not None and not unset else None
    if seen is None and value.stats is not None:
        s = value.stats
        seen = Look(s.norm, s.smallest, s.largest, s.mean, s.std, s.n_nan, s.n_inf)
    return DrawnValue(
        value.id,
        names[value.id],
        value.role,
        value.meta.shape,
        str(value.meta.dtype).removeprefix("torch."),
        value.meta.device,
        tree.of_leaf.get(value.id) if value.producer is None else tree.of_op[value.producer],
        value.producer,
        readers,
        value.view_of,
        seen,
    )


def _gradients(tape: Tape, policy: Policy) -> dict[int, Look]:
    """The look of every gradient, taken as the walk passes it, so that none has to be kept."""
    found: dict[int, Look] = {}

    def each(step: ReverseStep) -> None:
        for value, gradient in zip(step.node.outputs, step.incoming, strict=True):
            if gradient is not None:
                found[value] = look(gradient)

    leaves = reverse(tape, each, policy=policy)
    return found | {value: look(gradient) for value, gradient in leaves.items()}


def _dependent(book: Ledger) -> bool:
    return any(not row.independent for row in book.rows)


def _meetings(book: Ledger) -> list[tuple[int, tuple[Contribution, ...]]]:
    met = [one for row in book.rows for one in row.meetings] + [leaf.meeting for leaf in book.leaves if leaf.meeting]
    return [
        (one.value, tuple(Contribution(op, name, cell.norm, cell.number) for op, name, cell in one.contributions))
        for one in met
    ]


def _rules(tape: Tape, rules: Mapping[str, Rule]) -> dict[str, DrawnRule]:
    used = {node.rule_name for node in tape.nodes}
    return {
        name: DrawnRule(
            rule.value.text,
            rule.value.latex,
            {word: (rule.names.get(word, word), one.text, one.latex) for word, one in rule.formulas.items()},
        )
        for name, rule in rules.items()
        if name in used
    }


def _op(
    tree: Tree,
    node: Node,
    names: Mapping[int, str],
    row: LedgerRow | None,
    sites: Mapping[Site, int],
    verified: Verified | None,
) -> DrawnOp:
    reads = tuple((name, ref.value) for name, ref in node.references())
    return DrawnOp(
        node.id,
        node.op,
        tree.of_op[node.id],
        saying(node, names),
        reads,
        tuple(given(node)),
        node.outputs,
        sites.get(node.site) if node.site else None,
        node.rule_name,
        row.order if row else None,
        node.in_place,
        row.independent if row else True,
        verified.node_errors.get(node.id) if verified else None,
        verified.tolerance_of.get(node.id) if verified else None,
    )


def _step(row: LedgerRow, node: Node, gradients: Mapping[int, Look]) -> DrawnStep:
    return DrawnStep(
        row.order,
        row.node,
        node.outputs[0],
        next((value for value in node.outputs if value in gradients), node.outputs[0]),
        row.incoming.number if row.incoming else None,
        row.incoming.norm if row.incoming else None,
        tuple(
            DrawnPart(
                part.argument,
                part.value,
                part.local.number if part.local else None,
                part.outgoing.number,
                part.outgoing.norm,
            )
            for part in row.parts
        ),
    )
