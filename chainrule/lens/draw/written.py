"""A picture in writing: a tree for the terminal, tables in Markdown, the chain rule in LaTeX."""

from collections.abc import Iterator

from chainrule.lens.draw.data import DrawnBox, DrawnPart, DrawnStep, DrawnValue, Picture
from chainrule.lens.draw.words import (
    SMALL,
    box_facts,
    depth_of,
    either,
    figure,
    number_text,
    op_name,
    result,
    shape_text,
    shown_depth,
    through,
    title_facts,
    value_figure,
)
from chainrule.show import clean, markdown

WIDTH = 100
MOST_LINES = 120


def to_terminal(picture: Picture, depth: int | None = None) -> str:
    """The tree of modules with shapes, values and gradients, at most 100 columns wide."""
    depth = shown_depth(picture, depth, MOST_LINES)
    head = [picture.title, title_facts(picture)]
    if picture.verdict is not None:
        head.append(_verdict(picture))
    columns = _columns("", "shape", "value", "gradient")
    lines = [_columns(*row) for row in _tree(picture, picture.boxes[0], depth, 0)]
    return "\n".join([*(_cut(line) for line in head), "", columns, *lines]) + "\n"


SIGNS = {"right": "✓ ", "wrong": "✗ ", "follows": "! ", "agrees": "= "}


def _verdict(picture: Picture) -> str:
    suspect = "" if picture.suspect is None else f": look at {picture.ops[picture.suspect].saying}"
    return f"{picture.verdict}{suspect}"


def _tree(picture: Picture, box: DrawnBox, depth: int, indent: int) -> Iterator[tuple[str, str, str, str]]:
    """One line for each thing inside a box, in the order of the rows."""
    for kind, number in (item for row in box.rows for side in row for item in side):
        space = "  " * indent
        if kind == "leaf":
            value = picture.values[number]
            yield (f"{space}◦ {value.name}", *_figures(value))
        elif kind == "op":
            op = picture.ops[number]
            sign = SIGNS.get(picture.state(op) or "", "")
            name = op.saying if len(picture.ops) <= SMALL else op_name(op)
            yield (f"{space}{sign}{name}", *_figures(through(picture, op)))
        elif kind == "box":
            inner = picture.boxes[number]
            is_open = depth_of(picture, inner) <= depth
            facts = inner.kind if is_open else f"{inner.kind}, {box_facts(inner)}"
            yield (f"{space}{'▾' if is_open else '▸'} {inner.label}  {facts}", *_figures(result(picture, inner)))
            if is_open:
                yield from _tree(picture, inner, depth, indent + 1)


def _figures(value: DrawnValue | None) -> tuple[str, str, str]:
    if value is None:
        return "", "", ""
    met = f"Σ{len(value.met)} " if value.met else ""
    return shape_text(value), value_figure(value), met + figure(value.gradient)


def _columns(name: str, shape: str, value: str, gradient: str) -> str:
    return f"{_cut(name, 53):<53}{_cut(shape, 18):>18} {_cut(value, 13):>13} {_cut(gradient, 13):>13}".rstrip()


def _cut(text: str, width: int = WIDTH) -> str:
    text = clean(text)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def to_markdown(picture: Picture) -> str:
    """The ledger and the modules as tables."""
    lines = [f"# {_cell(picture.title)}", "", f"{title_facts(picture)}.", ""]
    if picture.steps:
        lines += ["## The chain rule, from the loss back", ""]
        lines += ["| # | operation | formula | value | gradient in | gradient out |", "|--:|---|---|--:|--:|---|"]
        lines += [_markdown_step(picture, step) for step in picture.steps]
        lines.append("")
    if len(picture.boxes) > 1:
        lines += ["## Modules", "", "| module | class | operations | parameters | result | value | gradient |"]
        lines.append("|---|---|--:|--:|---|--:|--:|")
        lines += [_markdown_box(picture, box) for box in picture.boxes[1:]]
        lines.append("")
    leaves = [value for value in picture.values if value.gradient and value.made_by is None]
    if leaves:
        lines += ["## Gradients", "", "| tensor | shape | value | gradient | contributions |", "|---|---|--:|--:|---|"]
        lines += [_markdown_leaf(value) for value in leaves]
        lines.append("")
    return "\n".join(lines)


def _markdown_step(picture: Picture, step: DrawnStep) -> str:
    op, value = picture.ops[step.op], picture.values[step.through]
    rule = picture.rules.get(op.rule)
    out = ", ".join(f"{picture.values[part.value].name} {either(part.number, part.norm)}" for part in step.parts)
    met = f"Σ{len(value.met)} " if value.met else ""
    cells = [
        str(step.order + 1),
        op.saying,
        rule.text if rule else "by autograd",
        value_figure(picture.values[step.value]),
        met + either(step.incoming, step.incoming_norm),
        out,
    ]
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _markdown_box(picture: Picture, box: DrawnBox) -> str:
    value = result(picture, box)
    name = f"{box.path} (call {box.call + 1})" if box.call else box.path
    cells = [name, box.kind, f"{box.n_ops:,}", f"{box.n_parameters:,}", *(_figures(value))]
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _markdown_leaf(value: DrawnValue) -> str:
    met = " + ".join(either(one.number, one.norm) for one in value.met)
    cells = [value.name, shape_text(value), value_figure(value), figure(value.gradient), met]
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return markdown(" ".join(text.split()))


def to_latex(picture: Picture) -> str:
    """The chain rule as an `align*` environment (amsmath): a line for each gradient, from the loss back."""
    lines = [_latex_line(picture, step, part) for step in picture.steps for part in step.parts]
    body = " \\\\\n".join(f"  {line}" for line in lines)
    return f"% {' '.join(clean(picture.title).split())}: needs amsmath\n\\begin{{align*}}\n{body}\n\\end{{align*}}\n"


def _latex_line(picture: Picture, step: DrawnStep, part: DrawnPart) -> str:
    to, through_ = _latex_name(picture.values[part.value].name), _latex_name(picture.values[step.through].name)
    left = rf"\frac{{\partial L}}{{\partial {to}}}"
    chain = rf"\frac{{\partial L}}{{\partial {through_}}} \cdot \frac{{\partial {through_}}}{{\partial {to}}}"
    if step.incoming is not None and part.local is not None and part.number is not None:
        incoming, local = _latex_number(step.incoming), _latex_number(part.local)
        return rf"{left} &= {chain} = {incoming} \cdot {_in_brackets(local)} = {_latex_number(part.number)}"
    size = _latex_number(part.number) if part.number is not None else _latex_number(part.norm)
    bars = ("", "") if part.number is not None else (r"\lVert", r"\rVert = ")
    end = rf"{left} = {size}" if part.number is not None else rf"{bars[0]} {left} {bars[1]}{size}"
    return rf"{left} &= {chain}, \quad {end}"


def _in_brackets(number: str) -> str:
    return f"({number})" if number.startswith("-") else number


def _latex_number(x: float | None) -> str:
    text = number_text(x, 6).replace("−", "-")
    mantissa, _, power = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{power}}}" if power else mantissa


def _latex_name(name: str) -> str:
    if len(name) == 1:
        return name
    special = {"\\": r"\backslash ", "_": r"\_", "{": r"\{", "}": r"\}", "ᵀ": r"$^T$"}
    special |= {one: f"\\{one}" for one in "#$%&"} | {"~": r"\sim ", "^": r"\wedge "}
    return rf"\text{{{''.join(special.get(letter, letter) for letter in clean(name))}}}"
