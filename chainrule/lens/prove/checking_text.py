"""A checked step for a terminal, in lines of at most 100 columns, and as values that JSON can hold."""

from typing import Any

from chainrule.lens.prove.checking import Checked, WayChecked
from chainrule.lens.prove.proof import ParameterCheck
from chainrule.lens.prove.proof_values import proof_facts
from chainrule.show import WIDTH, shape_text, table_lines, wrapped

SHOWN = 24
MARKS = {"proved": "✓", "wrong": "✗", "not proved": "?", "left out": "–"}


def checking_lines(checked: Checked, width: int = WIDTH) -> list[str]:
    """Each way with its verdict and its worst parameter, then every parameter, then what follows."""
    judged = [one for one in checked.ways if one.report is not None]
    lines = wrapped(
        f"{checked.name}: one step in {len(judged)} way{'s' if len(judged) != 1 else ''}, each against the rules in "
        f"float64 on the CPU (torch {checked.torch_version})",
        width,
    )
    heads = ["way", "verdict", "worst parameter", "error", "explained", "error/explained"]
    lines += ["", *table_lines(heads, [_way(one) for one in checked.ways], width, shrink=heads[2:3], right=heads[3:])]
    for one in checked.ways:
        if one.reason or one.left_out:
            lines += wrapped(f"{one.name}: {one.why or one.reason}", width)
    if judged:
        lines += ["", *_parameters(judged, width), *_explained(judged, width)]
    lines += ["", *wrapped(f"{MARKS[checked.verdict]} {checked.verdict}: {checked.advice}", width)]
    return lines


def _way(one: WayChecked) -> list[str]:
    start = [one.name, f"{MARKS[one.verdict]} {one.verdict}"]
    if one.worst is None:
        return [*start, "", "", "", ""]
    check = one.report.loss_check if one.report is not None else None
    if check is not None and not check.ok:
        return [*start, "the loss itself", *_figures(check.error, check.tolerance.limit, check.difference_in_limits)]
    return [*start, one.worst.name, *_figures(*_error_and_limit(one.worst), one.worst.difference_in_limits)]


def _error_and_limit(one: ParameterCheck) -> tuple[float, float]:
    """Of the two errors, that of an element and that of the whole's length, the one further beyond its limit."""
    error, limit = one.error, one.tolerance.limit
    scaled = one.scale_tolerance
    if scaled is not None and limit and abs(one.scale) / scaled.limit > error / limit:
        return abs(one.scale), scaled.limit
    return error, limit


def _figures(error: float, limit: float, times: float) -> list[str]:
    return [f"{error:.1e}", f"{limit:.1e}", _times(times)]


def _times(times: float) -> str:
    return "0" if not times else f"{times:.2g}" if times < 100 else f"{times:,.0f}" if times < 1e6 else f"{times:.1e}"


def _parameters(judged: list[WayChecked], width: int) -> list[str]:
    """For each parameter its error in each way, as a multiple of what rounding explains there."""
    reports = [one.report for one in judged if one.report is not None]
    found = {one.name: one.shape for report in reports for one in report.parameters}
    table = [{one.name: one for one in report.parameters} for report in reports]
    largest = {name: max(column[name].difference_in_limits for column in table if name in column) for name in found}
    names = sorted(found, key=lambda name: -largest[name]) if len(found) > SHOWN else list(found)
    rows = []
    for name in names[:SHOWN]:
        cells = [column.get(name) for column in table]
        marked = ["" if one is None else _times(one.difference_in_limits) + ("" if one.ok else " ✗") for one in cells]
        rows.append([name, shape_text(found[name]), *marked])
    heads = ["error/explained of", "shape", *(one.name for one in judged)]
    lines = table_lines(heads, rows, width, shrink=heads[:2], right=heads[2:])
    if len(found) > SHOWN:
        lines.append(f"… and {len(found) - SHOWN} more, with smaller errors (--json has all)")
    return lines


def _explained(judged: list[WayChecked], width: int) -> list[str]:
    lines = [
        "",
        *wrapped(
            "Explained: what a step with random roundings of the same formats is off by, with Student's quantile for "
            "one false alarm in a thousand. A figure above 1 contradicts.",
            width,
        ),
    ]
    for one in judged:
        if one.hidden and not one.reason:
            n, shown = len(one.hidden), ", ".join(p.name for p in one.hidden[:4]) + (" …" if one.hidden[4:] else "")
            what = "1 gradient is" if n == 1 else f"{n} gradients are"
            lines += wrapped(f"{one.name}: {what} too small beside rounding for anything to be proved: {shown}", width)
    return lines


def checking_facts(checked: Checked) -> dict[str, Any]:
    """All of it, each way with the whole report that `verify` makes of a step."""
    return {
        "name": checked.name,
        "ok": checked.ok,
        "verdict": checked.verdict,
        "exit_code": checked.exit_code,
        "advice": checked.advice,
        "torch": checked.torch_version,
        "seconds": checked.seconds,
        "ways": [
            {
                "name": one.name,
                "words": one.words,
                "verdict": one.verdict,
                "reason": one.why or one.reason,
                "worst": None if one.worst is None else one.worst.name,
                "times": None if one.worst is None else one.worst.difference_in_limits,
                "wrong": [parameter.name for parameter in one.wrong],
                "hidden": [parameter.name for parameter in one.hidden],
                "report": None if one.report is None else proof_facts(one.report),
            }
            for one in checked.ways
        ],
    }
