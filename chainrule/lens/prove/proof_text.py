"""A verification for a terminal: lines of at most 100 columns."""

from collections.abc import Sequence

from chainrule.lens.engine import FALSE_ALARM, N_SAMPLES, student_quantile
from chainrule.lens.prove.locate import Place
from chainrule.lens.prove.number_checks import Engine, NumberCheck
from chainrule.lens.prove.proof import ParameterCheck, Report
from chainrule.lens.tape import Site
from chainrule.show import WIDTH, cut, shape_text, table_lines, wrapped

# A longer list of parameters is cut to those with the largest errors.
SHOWN = 24
# Numbers that could not be taken, each with its reason.
REMARKS = 4
# Lines that stop gradients.
CUTS = 12
ENGINES: tuple[Engine, ...] = ("autograd", "rules")


def proof_lines(report: Report, width: int = WIDTH) -> list[str]:
    """What was compared, how far apart it is, what is allowed and why; and where it is wrong."""
    of_step = "step" in report.against
    parts = [
        _head(report, of_step=of_step),
        _table(report, width, of_step=of_step),
        _nodes(report, width),
        _numbers(report, width),
        _allowance(report, width, of_step=of_step),
        _changes(report, width),
        _cuts(report, width),
        _verdict(report, width),
    ]
    lines: list[str] = []
    for part in parts:
        lines.extend([*([""] if lines and part else []), *part])
    return lines


def _head(report: Report, *, of_step: bool) -> list[str]:
    if of_step:
        lines = [f"{report.name}: a step as it ran on {report.device}, against the rules in float64 on the CPU"]
        check = report.loss_check
        if check is not None and check.difference is not None:
            lines.append(
                f"loss {report.loss:.9g}, in the step off by {check.error:.1e} (≤ {check.tolerance.limit:.1e})"
            )
        return lines
    ways = {"autograd": "autograd", "rules": "rules", "numbers": "numerical differences"}
    return [
        f"{report.name}: {', '.join(ways[one] for one in report.against)}, in float64 on the CPU",
        f"loss {report.loss!r}",
    ]


def _table(report: Report, width: int, *, of_step: bool) -> list[str]:
    rows = sorted(report.parameters, key=lambda one: (one.ok, one.zero, -one.difference_in_limits))
    shown = rows if len(rows) <= SHOWN else rows[:SHOWN]
    numbers = _by_name(report)
    heads = ["gradient of", "shape", "error"]
    heads += (
        ["expected", "noticed from", "scale", "scale from"] if of_step else ["ulps", "allowed", "of limit", "numbers"]
    )
    lines = table_lines(
        heads,
        [_row(one, numbers, of_step=of_step) for one in shown],
        width,
        shrink=("gradient of", "shape"),
        right=heads[2:],
    )
    if len(shown) < len(rows):
        lines.append(f"… and {len(rows) - len(shown)} more, with smaller errors (--json has all)")
    return lines


def _row(one: ParameterCheck, numbers: dict[str, float], *, of_step: bool) -> Sequence[str]:
    mark = "" if one.ok else " ✗"
    mark = " (zero)" if one.zero else mark or (" ?" if one.wide and not of_step else "")
    start = [one.name + mark, shape_text(one.shape), _error(one.error if one.difference is not None else None)]
    if of_step:
        scale = None if one.scale_tolerance is None else one.scale_tolerance.noticed
        return [*start, _error(one.tolerance.expected), _error(one.tolerance.noticed), _error(one.scale), _error(scale)]
    ulps = "" if one.difference is None else f"{one.difference.ulps:z.3g}"
    of_limit = "" if one.difference is None else f"{one.difference_in_limits + 0.0:.2g}"
    return [*start, ulps, _error(one.tolerance.limit or None), of_limit, _error(numbers.get(one.name))]


def _error(one: float | None) -> str:
    return "" if one is None else "0" if one == 0 else f"{one:.1e}"


def _by_name(report: Report) -> dict[str, float]:
    """For each tensor the largest difference between its numbers and either engine."""
    found: dict[str, float] = {}
    for check in () if report.numbers is None else report.numbers.coordinates:
        found[check.name] = max(found.get(check.name, 0.0), *(check.error(engine) for engine in ENGINES))
    return found


def _nodes(report: Report, width: int) -> list[str]:
    if not report.node_errors:
        return []
    worst = max(report.node_errors, key=lambda node: report.node_errors[node])
    node = report.tape.nodes[worst]
    lines = wrapped(
        f"Intermediate gradients: {len(report.node_errors)} compared, largest error {report.worst_node:.1e}, "
        f"at {node.op}{_in(node.module)}{_line(node.site)} (≤ {report.tolerance_of[worst]:.1e})",
        width,
    )
    if report.skipped:
        what = "inside custom Functions, or of tensors that were written to in parts"
        lines += wrapped(f"{report.skipped} more are not known to autograd: {what}", width)
    if report.not_independent:
        lines += wrapped(
            f"Not independent (no rule, autograd on both sides): {', '.join(report.not_independent)}", width
        )
    return lines


def _numbers(report: Report, width: int) -> list[str]:
    numbers = report.numbers
    if numbers is None:
        return []
    engines = [one for one in ENGINES if one in report.against]
    parts = [
        f"{len(numbers.coordinates)} of {numbers.n_asked} weights, {_furthest(numbers.coordinates, engines)}",
        f"{len(numbers.directions)} random directions through all weights, {_furthest(numbers.directions, engines)}",
    ]
    text = f"Numbers: {'; '.join(parts)}; {numbers.n_runs} runs"
    lines = wrapped(text + (f". {numbers.why}" if numbers.why else ""), width)
    for one in numbers.remarks[:REMARKS]:
        what = "on a corner" if one.state == "corner" else "withdrawn"
        lines += wrapped(f"{what}, no fault: {_coordinate(one)}: {one.why}", width)
    if len(numbers.remarks) > REMARKS:
        lines.append(f"… and {len(numbers.remarks) - REMARKS} more such (--json has all)")
    return lines


def _furthest(checks: Sequence[NumberCheck], engines: Sequence[Engine]) -> str:
    measured = [one for one in checks if one.state == "measured"]
    worst = max((one.error(engine) for one in measured for engine in engines), default=0.0)
    own = max((one.own_error for one in measured), default=0.0)
    return f"largest difference {worst:.1e} (by their own estimate off by ≤ {own:.1e})"


def _allowance(report: Report, width: int, *, of_step: bool) -> list[str]:
    formats = "float64 everywhere"
    if report.segments:
        shown = [str(one) for one in report.segments[:4]]
        rest = len(report.segments) - len(shown)
        formats = "; ".join(shown) + (f"; and {rest} more such parts" if rest else "")
    if not report.n_samples:
        return wrapped(f"Number formats: {formats}", width)
    what = "forward and backward" if of_step else "the way back"
    times = f"{report.n_samples} times" if report.n_samples > 1 else "once"
    lines = wrapped(
        f"Allowed: {what} repeated {times} with random roundings of the formats in use, and Student's quantile for one "
        f"false alarm in a thousand. Formats: {formats}",
        width,
    )
    if report.seconds_left_out:
        lines += wrapped(
            f"More time would narrow the limits {_narrower(report):.2g} times: --seconds {report.seconds_for_all:.0f} "
            f"is enough for {N_SAMPLES} repetitions",
            width,
        )
    if report.zeros:
        names = ", ".join(one.name for one in report.zeros[:8]) + (", …" if len(report.zeros) > 8 else "")
        lines += wrapped(
            f"Zero by construction, nothing but rounding, and left out of the largest error: {names}", width
        )
    return lines


def _narrower(report: Report) -> float:
    """How many times wider the limits are than those of all repetitions, by Student's distribution."""
    confidence = 1 - FALSE_ALARM / max(report.n_values, 1)
    return student_quantile(confidence, report.n_samples) / student_quantile(confidence, N_SAMPLES)


def _changes(report: Report, width: int) -> list[str]:
    """Who changes gradients on the way back, on purpose or not."""
    lines = []
    for one in report.changes:
        word = "allowed" if one.allowed else "not allowed (allow= or --allow names it, if it is on purpose)"
        lines += wrapped(f"Changes a gradient: {one}; {word}", width)
    for entry in report.unused:
        lines += wrapped(f"allow {entry!r}: nothing there changed a gradient in this run", width)
    return lines


def _cuts(report: Report, width: int) -> list[str]:
    """The lines that stop gradients: a warning, since a forgotten `.item()` looks like one that is meant."""
    if not report.cuts:
        return []
    lines = wrapped("⚠ The program stops gradients itself. Numbers were taken with these held as they were:", width)
    for one in report.cuts[:CUTS]:
        lines += wrapped(f"  {one}", width)
    if len(report.cuts) > CUTS:
        lines.append(f"  … and {len(report.cuts) - CUTS} more such lines (--json has all)")
    return lines


def _verdict(report: Report, width: int) -> list[str]:
    if report.ok:
        lines = wrapped("✓ " + report.summary, width)
        return lines
    if report.verdict == "not proved":
        return wrapped("? " + report.summary, width)
    lines = wrapped("✗ " + report.summary, width)
    if report.place is not None:
        lines += _place(report.place, width)
    lines += _sides(report, width)
    if report.contradictions and report.gradients_agree:
        lines += wrapped(_against_both(report), width)
    return lines


def _against_both(report: Report) -> str:
    if report.place is not None:
        return "Autograd and the rules agree there, and numbers contradict both: each operation was moved by itself."
    return (
        "Autograd and the rules agree with each other, and every recorded operation is right by itself. Look for "
        "numbers that leave the recording (.tolist(), NumPy) and come back, or for a jump of the loss (argmax)."
    )


def _place(place: Place, width: int) -> list[str]:
    lines = [] if place.unseen else [f"  wrong from here  gradient of {place.value}, error {place.relative:.1e}"]
    if place.by_hook:
        lines.append(f"  hook             {place.function}, at {_at(place.function_site)}")
    elif place.function is not None:
        lines.append(f"  custom Function  {place.function}, its backward at {_at(place.function_site)}")
    lines.append(f"  operation        {place.op}, number {place.node}{_in(place.module)}")
    if place.site is not None:
        lines += [f"  line             {place.site}", f"                   {place.site.code}"]
    if place.others:
        what = "and also " if place.by_numbers else "or one of"
        lines.append(f"  {what}        operations {', '.join(map(str, place.others))}")
    return [cut(line, width) for line in lines]


def _sides(report: Report, width: int) -> list[str]:
    """Whom the numbers prove right, by the first weight that shows it: the same in every run, whatever the time."""
    if not report.contradictions:
        return []
    first = min(report.contradictions, key=lambda one: not one.index)  # a direction only where no weight shows it
    right = [one for one in ENGINES if first.agrees(one)]
    lines = [f"  {_coordinate(first)}"]
    lines.append(
        f"    autograd {_signed(first.autograd)}   rules {_signed(first.rules)}   numbers "
        f"{first.numbers.derivative:+.12g} ± {first.numbers.error:.0e}"
    )
    if right:
        lines.append(f"  The numbers prove the {'rules' if right == ['rules'] else right[0]} right.")
    return [cut(line, width) for line in lines]


def _coordinate(check: NumberCheck) -> str:
    return f"∂L/∂{check.name}[{', '.join(map(str, check.index))}]" if check.index else "along all weights"


def _signed(one: float | None) -> str:
    return "none" if one is None else f"{one:+.12g}"


def _in(module: str) -> str:
    return f" in {module}" if module else ""


def _line(site: Site | None) -> str:
    return "" if site is None else f", {site}"


def _at(site: Site | None) -> str:
    return "a place that Python does not tell" if site is None else str(site)
