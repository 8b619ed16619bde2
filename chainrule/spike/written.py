"""A spike explained, for a person and for a program: the cause, the replays, the evidence, what to try."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from chainrule.show import table_lines
from chainrule.spike.explanation import SpikeReport

HEADS = ("replay", "loss", "gradient norm", "in line")


def spike_lines(report: SpikeReport) -> Iterator[str]:
    """The report in words."""
    found = report.diagnosis
    what = "; ".join(f"{one['what']} {_number(one['value'])}, usually {_number(one['usual'])}" for one in report.what)
    yield f"step {report.step}: {what}"
    yield f"cause: {found.cause}. {report.sentence}\n"
    yield from table_lines(HEADS, list(_rows(report)), right=HEADS[1:])
    yield ""
    if found.replays and report.same_numbers:
        yield "- the replay gives the loss of the run, bit for bit"
    yield from (f"- {line}" for line in report.evidence)
    for token in report.tokens:
        place = f"window {token.window}, token {token.place}"
        yield f"    {place}: {token.loss:.2f} nats for {token.text!r} after {token.before!r}"
    yield f"\ntry: {report.remedy}"


def spike_facts(report: SpikeReport) -> dict[str, Any]:
    """All of it for JSON."""
    return asdict(report) | {"cause": report.diagnosis.cause}


def _rows(report: SpikeReport) -> Iterator[tuple[str, str, str, str]]:
    """The run, its replays, and the batches of other steps at the same weights."""
    found = report.diagnosis
    yield "the run", f"{report.loss:.6g}", f"{report.grad_norm:.6g}", ""
    ordinary = {f"ordinary batch {number}": one for number, one in enumerate(found.ordinary, 1)}
    for name, one in (*found.replays.items(), *ordinary.items()):
        yield name, f"{one.loss:.6g}", f"{one.grad_norm:.6g}", "yes" if one.in_line else "no"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"
