"""A verification as values that JSON can hold."""

from typing import Any

from chainrule.base import finite
from chainrule.lens.prove.locate import Place
from chainrule.lens.prove.number_checks import Numbers
from chainrule.lens.prove.proof import ParameterCheck, Report
from chainrule.lens.tape import Site


def proof_facts(report: Report) -> dict[str, Any]:
    """Everything but the tape, as plain values."""
    return {
        "name": report.name,
        "ok": report.ok,
        "verdict": report.verdict,
        "open_points": list(report.open_points),
        "largest_error_over_limit": finite(report.worst_in_limits),
        "summary": report.summary,
        "against": list(report.against),
        "loss": report.loss,
        "loss_check": None if report.loss_check is None else _parameter(report.loss_check),
        "device": report.device,
        "parameters": [_parameter(one) for one in report.parameters],
        "nodes": [
            {
                "node": node,
                "op": report.tape.nodes[node].op,
                "module": report.tape.nodes[node].module,
                "site": _site(report.tape.nodes[node].site),
                "error": error,
                "tolerance": report.tolerance_of[node],
            }
            for node, error in report.node_errors.items()
        ],
        "place": None if report.place is None else _place(report.place),
        "numbers": None if report.numbers is None else _numbers(report.numbers),
        "segments": [str(one) for one in report.segments],
        "n_samples": report.n_samples,
        "n_values": report.n_values,
        "skipped": report.skipped,
        "not_independent": list(report.not_independent),
        "cuts": [{"what": one.what, "site": _site(one.site), "weights": list(one.weights)} for one in report.cuts],
        "changes": [
            {"what": one.what, "site": _site(one.site), "change": one.change, "allowed": one.allowed}
            for one in report.changes
        ],
        "seconds": report.seconds,
        "seconds_left_out": report.seconds_left_out,
    }


def _parameter(one: ParameterCheck) -> dict[str, Any]:
    return {
        "name": one.name,
        "shape": list(one.shape),
        "ok": one.ok,
        "error": one.error,
        "ulps": 0.0 if one.difference is None else one.difference.ulps,
        "size": 0.0 if one.difference is None else one.difference.size,
        "tolerance": one.tolerance.limit,
        "expected": one.tolerance.expected,
        "noticed": one.tolerance.noticed,
        "error_over_limit": finite(one.difference_in_limits),
        "zero": one.zero,
        "scale": one.scale,
        "scale_tolerance": None if one.scale_tolerance is None else one.scale_tolerance.limit,
        "reason": one.reason,
    }


def _site(site: Site | None) -> str | None:
    return None if site is None else str(site)


def _place(one: Place) -> dict[str, Any]:
    return {
        "node": one.node,
        "op": one.op,
        "module": one.module,
        "site": _site(one.site),
        "value": one.value,
        "error": one.relative,
        "function": one.function,
        "function_site": _site(one.function_site),
        "others": list(one.others),
        "by_numbers": one.by_numbers,
    }


def _numbers(one: Numbers) -> dict[str, Any]:
    return {
        "asked": one.n_asked,
        "done": len(one.coordinates),
        "why": one.why,
        "runs": one.n_runs,
        "checks": [
            {
                "name": check.name,
                "state": check.state,
                "why": check.why,
                "index": list(check.index),
                "autograd": check.autograd,
                "rules": check.rules,
                "numbers": check.numbers.derivative,
                "own_error": check.own_error,
                "errors": {"autograd": check.error("autograd"), "rules": check.error("rules")},
            }
            for check in one.checks
        ],
    }
