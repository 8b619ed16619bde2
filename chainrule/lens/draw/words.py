"""Numbers, shapes and tensors in few characters, as all written formats show them."""

import math

from chainrule.base import LensError, count_text
from chainrule.lens.draw.data import DrawnBox, DrawnOp, DrawnValue, Picture
from chainrule.lens.draw.thumbnail import Look

SMALL = 60  # up to so many operations every one is written out


def number_text(x: float | None, digits: int = 4) -> str:
    """`−0.08983`, `3.1e−5`, `–` for what is not there."""
    if x is None:
        return "–"
    if x == 0:
        return "0"
    if not math.isfinite(x):
        return "NaN" if math.isnan(x) else "∞" if x > 0 else "−∞"
    rough = abs(x) >= 1e5 or abs(x) < 1e-3
    text = f"{x:.{digits - 2}e}" if rough else f"{x:.{digits}g}"
    if rough:
        mantissa, power = text.split("e")
        text = f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(power)}"
    return text.replace("-", "−")


def shape_text(value: DrawnValue) -> str:
    """`[4, 64]`, and nothing for a single number without axes."""
    return f"[{', '.join(map(str, value.shape))}]" if value.shape else ""


def figure(look: Look | None) -> str:
    """A tensor in one figure: the number itself, or its norm between bars."""
    if look is None:
        return ""
    if look.number is not None:
        return number_text(look.number)
    if look.n_nan:
        return "NaN"
    return f"‖{number_text(look.norm)}‖" + (" and ∞" if look.n_inf else "")


def value_figure(value: DrawnValue) -> str:
    """The value in one figure; of whole numbers the range, since their norm says nothing."""
    look, whole = value.value, not value.dtype.startswith(("float", "bfloat", "complex"))
    if look is not None and whole and look.number is None:
        return f"{number_text(look.smallest)} … {number_text(look.largest)}"
    return figure(look)


def either(number: float | None, norm: float | None) -> str:
    """The number, or the norm between bars."""
    return number_text(number) if number is not None else f"‖{number_text(norm)}‖"


def op_name(op: DrawnOp) -> str:
    """The operation without overload and underscores."""
    return op.rule.strip("_")


def through(picture: Picture, op: DrawnOp) -> DrawnValue | None:
    """The output by which the gradient comes, or the first one."""
    if op.step is not None:
        return picture.values[picture.steps[op.step].through]
    return picture.values[op.makes[0]] if op.makes else None


def result(picture: Picture, box: DrawnBox) -> DrawnValue | None:
    """What a module hands on: the last value that is read outside."""
    return picture.values[box.makes[-1]] if box.makes else None


def box_facts(box: DrawnBox) -> str:
    """`61 ops · 12.6k parameters`."""
    ops = f"{box.n_ops:,} op{'s' if box.n_ops != 1 else ''}"
    return f"{ops} · {count_text(box.n_parameters)} parameters" if box.n_parameters else ops


def title_facts(picture: Picture) -> str:
    """What was recorded, in one line."""
    loss = picture.values[picture.loss].value if picture.loss is not None else None
    parts = [
        f"{len(picture.ops):,} operations",
        f"{len(picture.boxes) - 1:,} modules" if len(picture.boxes) > 1 else None,
        f"{count_text(picture.boxes[0].n_parameters)} parameters" if picture.boxes[0].n_parameters else None,
        f"loss {number_text(loss.number, 6)}" if loss is not None else None,
    ]
    return " · ".join(part for part in parts if part)


def depth_of(picture: Picture, box: DrawnBox) -> int:
    """How many boxes are around it."""
    depth = 0
    while box.parent is not None:
        box, depth = picture.boxes[box.parent], depth + 1
    return depth


def shown_depth(picture: Picture, depth: int | None, most: int) -> int:
    """The depth that was asked for, else one at which at most `most` things are seen; LensError below 0."""
    check_depth(depth)
    return readable_depth(picture, most) if depth is None else depth


def check_depth(depth: int | None) -> None:
    """Raises LensError for a depth that is none."""
    if depth is not None and depth < 0:
        raise LensError(f"depth={depth}: it is 0 or more, and 0 shows the outermost")


def readable_depth(picture: Picture, most: int) -> int:
    """How deep modules can be unfolded so that at most `most` things are seen; at least 0: what stands outermost."""
    depths = [depth_of(picture, box) for box in picture.boxes]
    items = [sum(1 for row in box.rows for side in row for item in side if item[0] != "lane") for box in picture.boxes]
    depth = 0
    while depth < max(depths) and sum(n for n, d in zip(items, depths, strict=True) if d <= depth + 1) <= most:
        depth += 1
    return depth
