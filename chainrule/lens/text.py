"""The ledger for a terminal: lines of at most 100 columns."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from chainrule.lens.cell import Cell
from chainrule.lens.fold import Fold, fitting_depth, fold, select, total_norm
from chainrule.lens.ledger import Ledger, LedgerRow, Meeting, Part, shown_names
from chainrule.lens.rules import RULES
from chainrule.lens.tape import Node

WIDTH = 100
HEADS = ("#", "node", "value", "formula", "incoming", "outgoing")
RIGHT = ("#", "value", "incoming", "ops")
FOLDED_HEADS = ("ops", "module", "incoming", "weights receive", "passed on")
WORD = re.compile(r"[^\W\d_]+")
SHORT_NAME = 8
MANY_MEETINGS = 20


def ledger_lines(
    ledger: Ledger, *, module: str = "", depth: int | None = None, width: int = WIDTH, title: str = ""
) -> list[str]:
    """The chain rule from the loss back: a line for each operation, or for each module where that is too long.

    `module` shows one module alone. `depth` says how many levels of modules are told apart, 0 shows every operation;
    without it a long ledger is folded to about a screen. Raises LensError for a module that is not there.
    """
    rows = select(ledger, module)
    level = fitting_depth(rows) if depth is None else depth
    body = _table(ledger, rows, width) if level == 0 else _folded(ledger, fold(ledger, rows, level), width)
    tape = ledger.tape
    loss = "" if tape.loss is None else f"loss {value_text(ledger.rows[0].value)}, "
    head = f"{title or tape.target}: {loss}{len(ledger.rows)} operations back to {len(ledger.leaves)} gradients"
    unreached = [tape.values[value].name for value in ledger.unreached]
    tail = [f"not reached by the loss: {', '.join(unreached)}"] if unreached else []
    borrowed = sorted({row.op for row in ledger.rows if not row.independent})
    tail += [f"by autograd, not by a rule of ours: {', '.join(borrowed)}"] if borrowed else []
    return [cut(line, width) for line in [head, "", *body, *([""] if tail else []), *tail]]


def number_text(number: float) -> str:
    """Six decimals where they say enough, else the power of ten."""
    return f"{number:.6f}" if number == 0 or 1e-3 <= abs(number) < 1e5 else f"{number:.4e}"


def value_text(cell: Cell | None) -> str:
    """A scalar as its number, a tensor as shape and ‖norm‖."""
    if cell is None:
        return ""
    if cell.number is not None:
        return number_text(cell.number)
    return f"{shape_text(cell.shape)} {norm_text(cell)}"


def norm_text(cell: Cell) -> str:
    """A scalar as its number, a tensor as its norm alone."""
    return number_text(cell.number) if cell.number is not None else f"‖{cell.norm:.4g}‖"


def shape_text(shape: Sequence[int]) -> str:
    """[2, 3] as 2×3; a scalar has none."""
    return "×".join(map(str, shape))


def cut(text: str, width: int) -> str:
    """The text in `width` columns at most, with … at the end where something is missing; wide letters count as two."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def table_lines(
    heads: Sequence[str], rows: Iterable[Sequence[str]], width: int = WIDTH, shrink: Sequence[str] = ()
) -> list[str]:
    """Columns under their heads, two spaces between them; where they are too wide, those named in `shrink` give way."""
    content = [list(heads), *map(list, rows)]
    widths = {head: max(cell_len(row[at]) for row in content) for at, head in enumerate(heads)}
    while sum(widths.values()) + 2 * (len(heads) - 1) > width:
        widest = max(shrink, key=widths.__getitem__, default=None)
        if widest is None or widths[widest] <= len(widest) + 4:
            break
        widths[widest] -= 1
    return [
        "  ".join(_padded(text, widths[head], head in RIGHT) for text, head in zip(row, heads, strict=True)).rstrip()
        for row in content
    ]


def _padded(text: str, width: int, to_the_right: bool) -> str:
    text = cut(text, width)
    return " " * (width - cell_len(text)) + text if to_the_right else set_cell_size(text, width)


def _table(ledger: Ledger, rows: Sequence[LedgerRow], width: int) -> list[str]:
    names = shown_names(ledger.tape)
    lines: list[Sequence[str]] = []
    for row in rows:
        lines += _row_lines(ledger, row, names)
    for leaf in ledger.leaves:
        if leaf.meeting is not None and len(ledger.rows) == len(rows):
            lines += _meeting_lines(ledger, leaf.meeting, names)
    return table_lines(HEADS, lines, width, ("node", "formula", "outgoing", "value"))


def _row_lines(ledger: Ledger, row: LedgerRow, names: Mapping[int, str]) -> list[Sequence[str]]:
    """The line of an operation, a further one for each further input, and its sums above it."""
    node = ledger.tape.nodes[row.node]
    spoken = Spoken.of(node, names)
    found = [line for meeting in row.meetings for line in _meeting_lines(ledger, meeting, names)]
    first = (str(row.node + 1), call_text(node, names), value_text(row.value), *_part_texts(row.parts[:1], spoken))
    found.append(
        (
            *first[:3],
            first[3],
            value_text(row.incoming)
            if row.incoming is None or row.incoming.number is not None
            else norm_text(row.incoming),
            first[4],
        )
    )
    found += [
        ("", "", "", formula, "", outgoing)
        for formula, outgoing in (_part_texts([part], spoken) for part in row.parts[1:])
    ]
    return found


def _part_texts(parts: Sequence[Part], spoken: "Spoken") -> tuple[str, str]:
    if not parts:
        return "", ""
    (part,) = parts
    return (
        spoken(part.formula.text) if part.formula else "by autograd"
    ), f"{spoken.label(part)}: {norm_text(part.outgoing)}"


def _meeting_lines(ledger: Ledger, meeting: Meeting, names: Mapping[int, str]) -> list[Sequence[str]]:
    """How much each use gave, and the sum."""
    came = [f"{norm_text(part)} from #{node + 1}" for node, _, part in meeting.contributions]
    shown = came if len(came) <= MANY_MEETINGS else [*came[:MANY_MEETINGS], "…"]
    name = short_name(names[meeting.value])
    return [("", f"⊕ {name}: {len(came)} uses meet", "", " + ".join(shown), norm_text(meeting.total), "")]


def call_text(node: Node, names: Mapping[int, str]) -> str:
    """`a = sigmoid(z)`: what a node makes of what, in the program's words."""
    made = ", ".join(short_name(names[output]) for output in node.outputs[:3])
    read = ", ".join(short_name(names[value]) for value in node.inputs)
    return f"{made} = {node.rule_name}({read})"


def short_name(name: str) -> str:
    """The last words of a parameter's path: `qkv.weight` of `blocks.0.attention.qkv.weight`."""
    parts = name.split(".")
    return ".".join(parts[-2:])


@dataclass(frozen=True)
class Spoken:
    """Formulas in the program's own words: the letters of a rule are replaced where all the names are short."""

    words: Mapping[str, str]
    replaces: bool

    @classmethod
    def of(cls, node: Node, names: Mapping[int, str]) -> "Spoken":
        """The words for one node's formulas."""
        rule = RULES.get(node.rule_name)
        if rule is None:
            return cls({}, False)
        words = {rule.names.get(name, name): names[ref.value] for name, ref in node.references()}
        numbers = {name: one for name, one in node.arguments.items() if isinstance(one, int | float)}
        words |= {rule.names[name]: f"{one:g}" for name, one in numbers.items() if name in rule.names}
        words[rule.value.text.split("=")[0].strip()] = names[node.outputs[0]]
        short = all(len(name) <= SHORT_NAME and "." not in name for name in words.values())
        return cls(words, short)

    def __call__(self, formula: str) -> str:
        """The formula in the program's words."""
        return WORD.sub(lambda word: self.words.get(word[0], word[0]), formula) if self.replaces else formula

    def label(self, part: Part) -> str:
        """The name of an input: in the program, and where the formula has another letter, that too."""
        name = short_name(self.words.get(part.letter, part.letter))
        return name if self.replaces or name == part.letter else f"{part.letter} {name}"


def _folded(ledger: Ledger, folds: Sequence[Fold], width: int) -> list[str]:
    names = shown_names(ledger.tape)
    rows = [_fold_row(ledger, one) for one in folds]
    lines = table_lines(FOLDED_HEADS, rows, width, ("weights receive", "module", "passed on"))
    sums = [leaf.meeting for leaf in ledger.leaves if leaf.meeting is not None]
    if sums:
        lines += ["", "weights that were used more than once:"]
        lines += [
            " ".join(text for text in line if text) for one in sums for line in _meeting_lines(ledger, one, names)
        ]
    return lines


def _fold_row(ledger: Ledger, one: Fold) -> Sequence[str]:
    tape = ledger.tape
    if len(one.incoming) == 1:
        sums = [len(meeting.contributions) for meeting in one.rows[0].meetings]
        came = value_text(one.incoming[0][1]) + "".join(f" ⊕{n}" for n in sums)
    else:
        came = f"{len(one.incoming)} values ‖{total_norm(cell for _, cell in one.incoming):.4g}‖"
    weights = [f"{_below(tape.values[value].name, one.module)} {cell.norm:.3g}" for value, cell in one.weights]
    if len(weights) > 2:
        weights = [f"{len(weights)} weights {total_norm(cell for _, cell in one.weights):.3g}"]
    left = [f"{cell.norm:.3g}" for _, cell in one.outgoing]
    passed = " + ".join(left if len(left) <= 3 else [*left[:3], "…"])
    module = one.module or f"{tape.modules.get('', 'the function')} itself"
    return str(len(one.rows)), module, came, ", ".join(weights), passed


def _below(name: str, module: str) -> str:
    return name.removeprefix(f"{module}.") if module else name
