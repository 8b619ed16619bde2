"""`chainrule doctor`: the machine as we see it, what it could do, and which optional parts are installed."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chainrule.cli.loading import load_torch
from chainrule.cli.options import AsJson, Device, RunsFolder, device_setting
from chainrule.cli.output import print_json, print_table, put, put_line, say
from chainrule.run import RUNS

if TYPE_CHECKING:
    from chainrule.device import Extra, Finding

MARKS = {"fine": "✓", "note": "!", "wrong": "✗"}


def doctor(
    *,
    device: Device = None,
    runs_folder: RunsFolder = RUNS,
    quick: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    as_json: AsJson = False,
) -> int:
    """Look at the machine, its speed, memory and disk, at what is installed, and at what is left on the table.

    Measures products on one thread and on all, memory and the disk of the runs, in a few seconds. The exit code is 1
    when something is wrong. For example:
    - `chainrule doctor`
    - `chainrule doctor --quick`
    - `chainrule doctor --json`

    Parameters
    ----------
    quick
        Measure no more than a run does at its start, a third of a second.
    """
    settings = device_setting(device)
    load_torch()
    from chainrule.device import (
        check_up,
        extras,
        left_on_the_table,
        look_around,
        look_at_machine,
        machine_table,
        measure_machine,
        measured_table,
        surroundings_table,
    )

    facts, around = look_at_machine(settings), look_around()
    measured = None if quick else measure_machine(facts, runs_folder)
    findings, parts = check_up(facts, runs_folder), extras()
    left = left_on_the_table(facts, around, measured)
    code = int(any(one.mark == "wrong" for one in findings))
    if as_json:
        print_json(
            {
                "ok": not code,
                "findings": [asdict(one) for one in findings],
                "extras": [asdict(one) for one in parts],
                "machine": facts.row(),
                "surroundings": asdict(around),
                "measured": asdict(measured) if measured else None,
                "left_on_the_table": left,
            }
        )
        return code
    _show_findings(findings)
    rows = [*machine_table(facts), *surroundings_table(around), *(measured_table(measured) if measured else ())]
    order = ("found", "measured", "chosen")
    print_table("\nMachine", ("", "", ""), sorted(rows, key=lambda row: order.index(row[0])), left=3)
    _show_parts(parts)
    put("\nLeft on the table")
    for number, sentence in enumerate(left, 1):
        put_line(f"{number}. {sentence}")
    if not left:
        put_line("nothing that can be seen" + (" without measuring (leave out --quick)" if quick else ""))
    for doubt in facts.warnings:
        say(f"warning: {doubt}")
    return code


def _show_findings(findings: "list[Finding]") -> None:
    rows = [(MARKS[one.mark], one.what, one.found + (f": {one.remedy}" if one.remedy else "")) for one in findings]
    print_table("", ("", "what", "found"), rows, left=3)


def _show_parts(parts: "list[Extra]") -> None:
    lines = [
        (f"chainrule[{part.name}]", "here" if not part.missing else f"pip install 'chainrule[{part.name}]'")
        for part in parts
    ]
    print_table("\nOptional parts", ("part", "state"), lines, left=2)
