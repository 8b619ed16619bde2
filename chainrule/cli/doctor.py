"""`chainrule doctor`: what a run will meet on this machine, and which optional parts are installed."""

from dataclasses import asdict

from chainrule.cli.loading import load_torch
from chainrule.cli.options import AsJson, Device, RunsFolder, device_setting
from chainrule.cli.output import print_json, print_table, say
from chainrule.run import RUNS

MARKS = {"fine": "✓", "note": "!", "wrong": "✗"}


def doctor(*, device: Device = None, runs_folder: RunsFolder = RUNS, as_json: AsJson = False) -> int:
    """Look at Python, torch, device, speed, memory, disk and terminal, and at the optional parts.

    The exit code is 1 when something is wrong. For example:
    - `chainrule doctor`
    - `chainrule doctor --json`
    """
    settings = device_setting(device)
    load_torch()
    from chainrule.device import check_up, extras, look_at_machine

    facts = look_at_machine(settings)
    findings, parts = check_up(facts, runs_folder), extras()
    wrong = any(one.mark == "wrong" for one in findings)
    if as_json:
        print_json(
            {
                "ok": not wrong,
                "findings": [asdict(one) for one in findings],
                "extras": [asdict(one) for one in parts],
                "machine": facts.row(),
            }
        )
        return int(wrong)
    rows = [(MARKS[one.mark], one.what, one.found + (f": {one.remedy}" if one.remedy else "")) for one in findings]
    print_table("", ("", "what", "found"), rows, left=3)
    lines = [
        (f"chainrule[{part.name}]", "here" if not part.missing else f"pip install 'chainrule[{part.name}]'")
        for part in parts
    ]
    print_table("\nOptional parts", ("part", "state"), lines, left=2)
    for doubt in facts.warnings:
        say(f"warning: {doubt}")
    return int(wrong)
