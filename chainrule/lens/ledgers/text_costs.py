"""Costs for a terminal: a line for each operation, or for each module where that is too long."""

from dataclasses import dataclass, field
from itertools import groupby

from chainrule.base import bytes_text, count_text
from chainrule.lens.ledgers.costs import Cost, Costs
from chainrule.lens.ledgers.folding import FITS, ancestor, levels
from chainrule.lens.tape import Node, Tape
from chainrule.show import WIDTH, cut, table_lines

HEADS = ("#", "operation", "module", "time", "share", "FLOPs", "memory", "kept for backward")


@dataclass(frozen=True)
class CostTable:
    """The costs of a recording, to be shown."""

    tape: Tape = field(repr=False)
    costs: Costs = field(repr=False)
    title: str = ""


def cost_lines(table: CostTable, *, depth: int | None = None, width: int = WIDTH) -> list[str]:
    """What each operation took in the recorded run, in the order in which they ran, and the sum.

    `depth` is as for a ledger: how many levels of modules are told apart; 0 shows every operation.
    """
    tape, costs = table.tape, table.costs
    level = _fitting(tape) if depth is None else depth
    groups = [(str(node.id + 1), node.op.partition(".")[0], node.module, [node.id]) for node in tape.nodes]
    if level:
        by_module = groupby(tape.nodes, key=lambda node: ancestor(node.module, level))
        groups = [_together(module, list(nodes)) for module, nodes in by_module]
    rows = [[*words, *_cells(costs.together(nodes), costs)] for *words, nodes in groups]
    rows.append(
        [
            "",
            "all",
            "",
            *_cells(costs.together(costs.of), costs)[:-1],
            "" if costs.saved_bytes is None else bytes_text(costs.saved_bytes),
        ]
    )
    lines = [
        f"{table.title or tape.target}: {len(tape.nodes)} operations forward, as they ran: "
        f"{costs.seconds * 1e3:,.3g} ms, {count_text(costs.flops)} FLOPs",
        "",
        *table_lines(HEADS, rows, width, shrink=("module", "operation"), right=("#", *HEADS[3:])),
        "",
        "Memory: newly made. Kept for backward: by autograd, without weights and inputs; what several",
        "operations keep counts once in the sum. FLOPs: a multiply-add is two; the way back has about twice",
        "as many.",
    ]
    return [cut(line, width) for line in lines]


def _together(module: str, nodes: list[Node]) -> tuple[str, str, str, list[int]]:
    n = len(nodes)
    return str(nodes[0].id + 1), f"{n} operation{'s' if n > 1 else ''}", module, [node.id for node in nodes]


def _cells(cost: Cost, costs: Costs) -> list[str]:
    share = cost.seconds / costs.seconds if costs.seconds else 0.0
    made = bytes_text(cost.n_bytes) if cost.n_bytes else ""
    kept = bytes_text(cost.saved_bytes) if cost.saved_bytes else ""
    flops = count_text(cost.flops) if cost.flops else ""
    return [f"{cost.seconds * 1e6:,.0f} µs", f"{share:.0%}", flops, made, kept]


def _fitting(tape: Tape) -> int:
    if len(tape.nodes) <= FITS:
        return 0
    deepest = max(len(levels(node.module)) for node in tape.nodes)
    fits = [
        depth
        for depth in range(1, deepest + 1)
        if len(list(groupby(tape.nodes, key=lambda node: ancestor(node.module, depth)))) <= FITS
    ]
    return max(fits, default=1)
