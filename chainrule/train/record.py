"""How a run was asked for, as machine.json keeps it from the first instant of a start."""

import json
from collections.abc import Sequence

from chainrule.base import RunError
from chainrule.config import Layer
from chainrule.run import RunFolder, StartRecord, read_asked


def start_record(layers: Sequence[Layer], minutes: float | None) -> StartRecord:
    """What a start was asked for, as JSON gives it back."""
    asked = {"minutes": minutes, "layers": [{"source": layer.source, "values": layer.values} for layer in layers]}
    return StartRecord.of(json.loads(json.dumps({**asked, "sealed": True}))) or StartRecord(sealed=True)


def asked_for(run: RunFolder) -> tuple[list[Layer], float | None]:
    """The layers and minutes that a start was asked for; raises RunError when machine.json does not tell."""
    asked = read_asked(run)
    if asked is None or asked.layers is None:
        raise RunError(
            f"{run.path} was left before its first step, and its machine.json, which says how it was begun, is missing "
            "or damaged; give the command that began it once more: the name is free"
        )
    return [Layer(one.source, one.values) for one in asked.layers], asked.minutes
