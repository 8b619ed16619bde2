"""machine.json: how a run was asked for, the machine, the plan; read with the care that a file on a disk deserves."""

import json
from collections.abc import Sequence
from typing import Any

from chainrule.base import RunError
from chainrule.config import Layer
from chainrule.run import RunFolder, read_record


def start_record(layers: Sequence[Layer], minutes: float | None) -> dict[str, Any]:
    """What a start was asked for, as JSON gives it back."""
    asked = {"minutes": minutes, "layers": [{"source": layer.source, "values": layer.values} for layer in layers]}
    return dict(json.loads(json.dumps(asked)))


def asked_for(run: RunFolder) -> tuple[list[Layer], float | None]:
    """The layers and minutes that a start was asked for; raises RunError when machine.json does not tell."""
    record = read_record(run.machine)
    layers, minutes = record.get("layers"), record.get("minutes")
    if not isinstance(layers, list) or not all(map(_is_layer, layers)) or not isinstance(minutes, float | int | None):
        raise RunError(
            f"{run.path} was left before its first step, and its machine.json, which says how it was begun, is missing "
            "or damaged; give the command that began it once more: the name is free"
        )
    return [Layer(layer["source"], layer["values"]) for layer in layers], minutes


def known_before(run: RunFolder) -> dict[str, Any] | None:
    """What score_before found, of a model that the run goes on from; None for a run from nothing."""
    before = read_record(run.machine).get("before")
    if not isinstance(before, dict) or not all(
        isinstance(before.get(key), float | int | None) for key in ("new", "old")
    ):
        return None
    max_tokens = before.get("max_tokens")
    return {
        **{key: before.get(key) for key in ("new", "old")},
        "max_tokens": max_tokens if isinstance(max_tokens, int) else None,
    }


def _is_layer(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("source"), str):
        return False
    sections = value.get("values")
    return isinstance(sections, dict) and all(isinstance(settings, dict) for settings in sections.values())
