"""The ledger for a terminal: lines of at most 100 columns."""

from collections.abc import Mapping, Sequence

from chainrule.lens.ledgers.book import Ledger, LedgerRow, Meeting, Part, shown_names
from chainrule.lens.ledgers.cells import Cell, norm_text, value_text
from chainrule.lens.ledgers.folding import Fold, fitting_depth, fold, select, total_norm
from chainrule.lens.ledgers.text_words import Spoken, call_text, short_name
from chainrule.show import WIDTH, cut, table_lines

HEADS = ("#", "node", "value", "formula", "incoming", "outgoing")
FOLDED_HEADS = ("ops", "module", "incoming", "weights receive", "passed on")
MANY = 8
LEGEND = (
    "A line is the operations of one module, from the loss back. A tensor is its shape and its ‖norm‖;",
    "⊕2: the gradients of two uses meet there and are added.",
)


def ledger_lines(
    ledger: Ledger, *, module: str = "", depth: int | None = None, width: int = WIDTH, title: str = ""
) -> list[str]:
    """The chain rule from the loss back: a line for each operation, or for each module where that is too long.

    `module` shows one module alone. `depth` says how many levels of modules are told apart, 0 shows every operation;
    without it a long ledger is folded to about a screen. Raises LensError for a module that is not there.
    """
    rows, tape = select(ledger, module), ledger.tape
    level = fitting_depth(rows) if depth is None else depth
    body = _table(ledger, rows, width) if level == 0 else _folded(ledger, fold(ledger, rows, level), width)
    head = f"{title or tape.target}: {_counted(ledger)}"
    unreached = [tape.values[value].name for value in ledger.unreached]
    tail = [f"not reached by the loss: {', '.join(unreached)}"] if unreached else []
    borrowed = sorted({row.op for row in ledger.rows if not row.independent})
    tail += [f"by autograd, not by a rule of ours: {', '.join(borrowed)}"] if borrowed else []
    return [cut(line, width) for line in [head, "", *body, *([""] if tail else []), *tail]]


def _counted(ledger: Ledger) -> str:
    loss = value_text(ledger.rows[0].value)
    return f"the loss is {loss}; {len(ledger.rows)} operations back to {len(ledger.leaves)} gradients"


def _table(ledger: Ledger, rows: Sequence[LedgerRow], width: int) -> list[str]:
    """A line for each input of each operation; where the module changes, its name."""
    names = shown_names(ledger.tape)
    lines = [line for row in rows for line in _row_lines(ledger, row, names)]
    met = [leaf.meeting for leaf in ledger.leaves if leaf.meeting is not None]
    below = [_meeting_text(one, names) for one in met] if len(rows) == len(ledger.rows) else []
    table = table_lines(
        HEADS,
        lines,
        width,
        shrink=("node", "formula", "outgoing"),
        right=("#", "value", "incoming"),
        flow=("node",),
    )
    return [*table, *([""] if below else []), *below]


def _row_lines(ledger: Ledger, row: LedgerRow, names: Mapping[int, str]) -> list[Sequence[str]]:
    """The line of an operation, with a further one for each further input and one for a sum that arrives."""
    node = ledger.tape.nodes[row.node]
    words = Spoken.of(node, names)
    incoming = row.incoming
    first, *others = [_part_texts(part, words) for part in row.parts] or [("", "")]
    arrives = "" if incoming is None else norm_text(incoming)
    sums = [_sum_text(meeting) for meeting in row.meetings]
    head = (str(row.node + 1), call_text(node, names), value_text(row.value), first[0], arrives, first[1])
    rest = [("", "", "", formula, "", outgoing) for formula, outgoing in others]
    return [head, *rest, *(("", f"  ⊕ {one}", "", "", "", "") for one in sums)]


def _part_texts(part: Part, words: Spoken) -> tuple[str, str]:
    formula = words.formula(part.formula.text) if part.formula else "by autograd"
    return formula, f"{words.label(part)}: {norm_text(part.outgoing)}"


def _sum_text(meeting: Meeting) -> str:
    """`0.5 from #7 + 0.1 from #9`: what each use gave."""
    came = [f"{norm_text(part)} from #{node + 1}" for node, _, part in meeting.contributions]
    return " + ".join(came if len(came) <= MANY else [*came[:MANY], f"{len(came) - MANY} more"])


def _meeting_text(meeting: Meeting, names: Mapping[int, str]) -> str:
    return f"⊕ {short_name(names[meeting.value])}: {_sum_text(meeting)} = {norm_text(meeting.total)}"


def _folded(ledger: Ledger, folds: Sequence[Fold], width: int) -> list[str]:
    names = shown_names(ledger.tape)
    rows = [_fold_row(ledger, one) for one in folds]
    lines = table_lines(
        FOLDED_HEADS, rows, width, shrink=("weights receive", "module", "passed on"), right=("ops", "incoming")
    )
    sums = [leaf.meeting for leaf in ledger.leaves if leaf.meeting is not None]
    return [*lines, "", *LEGEND, *(_meeting_text(one, names) for one in sums)]


def _fold_row(ledger: Ledger, one: Fold) -> Sequence[str]:
    tape = ledger.tape
    weights = [f"{_brief(cell)} {_below(tape.values[value].name, one.module)}" for value, cell in one.weights]
    if len(weights) > 2:
        weights = [f"{total_norm(cell for _, cell in one.weights):.3g} {len(weights)} weights"]
    left = [_brief(cell) for _, cell in one.outgoing]
    passed = " + ".join(left if len(left) <= 3 else [*left[:3], "…"])
    module = one.module or f"{tape.modules.get('', 'the function')} itself"
    return str(len(one.rows)), module, _came(one), ", ".join(weights), passed


def _came(one: Fold) -> str:
    if len(one.incoming) != 1:
        return f"{len(one.incoming)} tensors ‖{total_norm(cell for _, cell in one.incoming):.4g}‖"
    sums = [f" ⊕{len(meeting.contributions)}" for meeting in one.rows[0].meetings]
    return value_text(one.incoming[0][1]) + "".join(sums)


def _brief(cell: Cell) -> str:
    return f"{cell.norm:.3g}"


def _below(name: str, module: str) -> str:
    """A weight's name inside its module; of one that lies elsewhere without the word weight."""
    inside = bool(module) and name.startswith(f"{module}.")
    return name.removeprefix(f"{module}.") if inside else short_name(name).removesuffix(".weight")
