"""The ledger as values that JSON can hold."""

from dataclasses import asdict
from typing import Any

from chainrule.lens.ledgers.book import Ledger, LedgerRow, Meeting, Part, shown_names
from chainrule.lens.ledgers.cells import Cell
from chainrule.lens.ledgers.coordinate import CoordinatePath
from chainrule.lens.ledgers.text_costs import CostTable


def ledger_facts(ledger: Ledger) -> dict[str, Any]:
    """Rows from the loss back, the gradients of the leaves by name, and the followed coordinate."""
    tape = ledger.tape
    names = shown_names(tape)
    loss = None if tape.loss is None else tape.values[tape.loss].tensor
    return {
        "target": tape.target,
        "level": tape.level,
        "loss": None if loss is None else float(loss.detach()),
        "rows": [_row(row, names) for row in ledger.rows],
        "gradients": {
            tape.values[leaf.value].name: _cell(leaf.gradient)
            | ({"meeting": _meeting(leaf.meeting, names)} if leaf.meeting else {})
            for leaf in ledger.leaves
        },
        "unreached": [tape.values[value].name for value in ledger.unreached],
        "coordinate": None if ledger.coordinate is None else path_facts(ledger.coordinate),
    }


def cost_facts(table: CostTable) -> dict[str, Any]:
    """Each operation with its costs, and their sums; what autograd saved by its own word and by the value's name."""
    tape, costs = table.tape, table.costs
    names = shown_names(tape)
    return {
        "target": table.title or tape.target,
        "seconds": costs.seconds,
        "bytes": costs.n_bytes,
        "flops": costs.flops,
        "saved_bytes": costs.saved_bytes,
        "operations": [
            {
                "node": node.id,
                "op": node.op,
                "module": node.module,
                "seconds": costs.of[node.id].seconds,
                "bytes": costs.of[node.id].n_bytes,
                "flops": costs.of[node.id].flops,
                "saved": [
                    {
                        "word": one.word,
                        "name": None if one.value is None else names[one.value],
                        "shape": list(one.shape),
                        "bytes": one.n_bytes,
                        "held": one.held,
                    }
                    for one in costs.of[node.id].saved
                ],
            }
            for node in tape.nodes
        ],
    }


def path_facts(path: CoordinatePath) -> dict[str, Any]:
    """The followed coordinate, from the loss to the weight; nodes with their operations, values with their names."""
    tape, names = path.tape, shown_names(path.tape)
    steps = [
        asdict(step)
        | {"op": tape.nodes[step.node].op, "value": names[step.value], "terms": [asdict(t) for t in step.terms]}
        for step in path.steps
    ]
    return {
        "weight": path.name,
        "index": list(path.index),
        "value": path.number,
        "gradient": path.gradient,
        "steps": steps,
    }


def _row(row: LedgerRow, names: dict[int, str]) -> dict[str, Any]:
    return {
        "order": row.order,
        "node": row.node,
        "op": row.op,
        "name": row.name,
        "module": row.module,
        "site": None if row.site is None else str(row.site),
        "code": None if row.site is None else row.site.code,
        "formula": row.text.text if row.text else None,
        "value": _cell(row.value),
        "incoming": _cell(row.incoming),
        "inputs": [_part(part, names) for part in row.parts],
        "meetings": [_meeting(meeting, names) for meeting in row.meetings],
        "independent": row.independent,
    }


def _part(part: Part, names: dict[int, str]) -> dict[str, Any]:
    return {
        "argument": part.argument,
        "name": names[part.value],
        "formula": part.formula.text if part.formula else None,
        "local_derivative": _cell(part.local),
        "outgoing": _cell(part.outgoing),
    }


def _meeting(meeting: Meeting, names: dict[int, str]) -> dict[str, Any]:
    came = [{"node": node, "argument": argument, **_cell(one)} for node, argument, one in meeting.contributions]
    return {"name": names[meeting.value], "contributions": came, "total": _cell(meeting.total)}


def _cell(cell: Cell | None) -> dict[str, Any]:
    if cell is None:
        return {}
    found: dict[str, Any] = {"shape": list(cell.shape), "norm": cell.norm}
    if cell.number is not None:
        found["number"] = cell.number
    elif cell.elements is not None:
        found["elements"] = cell.elements.tolist()
    return found
