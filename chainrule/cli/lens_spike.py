"""`chainrule lens spike`: why a step of a run was out of line."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from chainrule.cli.options import AsJson, RunsFolder
from chainrule.cli.output import print_json, print_table, say
from chainrule.run import RUNS, find_run

if TYPE_CHECKING:
    from chainrule.spike import SpikeReport


def spike(run: str, /, *, step: int | None = None, runs_folder: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """Replay a step that spiked and say whether data, precision or the learning rate is to blame.

    The step is made again from its bundle in the run's spikes folder: in the run's own precision, in float32, and in
    float64 on the CPU, beside the batches of the steps around it. It takes about ten times as long as a step.

    For example:

    - `chainrule lens spike runs/NAME`
    - `chainrule lens spike runs/NAME --step 250 --json`

    Parameters
    ----------
    run
        A run folder, or a name in the runs folder.
    step
        Which of the steps that left a bundle. Default: the first.
    """
    found = find_run(run, runs_folder)
    from chainrule.spike import explain_spike

    report = explain_spike(found, step, say=lambda phase: say(f"replaying {phase}"))
    if as_json:
        print_json(asdict(report) | {"cause": report.diagnosis.cause})
        return
    print_spike(report)


def print_spike(report: "SpikeReport") -> None:
    """The report in words: the cause, the replays, the evidence, what to try."""
    found = report.diagnosis
    what = "; ".join(f"{one['what']} {_number(one['value'])}, usually {_number(one['usual'])}" for one in report.what)
    print(f"step {report.step}: {what}")
    print(f"cause: {found.cause}. {report.sentence}\n")
    rows = [
        (name, f"{one.loss:.6g}", f"{one.grad_norm:.6g}", _line(in_line=one.in_line))
        for name, one in found.replays.items()
    ]
    rows = [("the run", f"{report.loss:.6g}", f"{report.grad_norm:.6g}", ""), *rows]
    rows += [
        (f"ordinary batch {number}", f"{one.loss:.6g}", f"{one.grad_norm:.6g}", _line(in_line=one.in_line))
        for number, one in enumerate(found.ordinary, 1)
    ]
    print_table("", ("replay", "loss", "gradient norm", "in line"), rows)
    print()
    if found.replays and report.same_numbers:
        print("- the replay gives the loss of the run, bit for bit")
    for line in report.evidence:
        print(f"- {line}")
    for token in report.tokens:
        print(
            f"    window {token.window}, token {token.place}: {token.loss:.2f} nats for {token.text!r} after "
            f"{token.before!r}"
        )
    print(f"\ntry: {report.remedy}")


def _line(*, in_line: bool) -> str:
    return "yes" if in_line else "no"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"
