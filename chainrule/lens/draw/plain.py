"""A picture as JSON, and as few bytes as a page may have."""

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from chainrule.lens.draw.data import DrawnValue, Picture
from chainrule.lens.draw.thumbnail import Look, smaller
from chainrule.show import clean

SCHEMA = 1


def to_json(picture: Picture) -> str:
    """The whole picture as JSON; its keys are in docs/lens/pictures.md."""
    return clean(json.dumps({"schema": SCHEMA, **plain(picture)}, ensure_ascii=False, indent=1, allow_nan=False)) + "\n"


def plain(thing: Any, digits: int | None = None) -> Any:
    """Data classes as dicts without what is None or empty, bytes in base64, numbers rounded to `digits` digits.

    What is not finite is None where it stands in a list, and left out of a dict. Without `digits` empty lists stay.
    """
    if isinstance(thing, float):
        return _number(thing, digits)
    if is_dataclass(thing):
        pairs = ((one.name, plain(getattr(thing, one.name), digits)) for one in fields(thing))
        return {name: one for name, one in pairs if one is not None and (one != [] or digits is None)}
    if isinstance(thing, bytes):
        return base64.b64encode(thing).decode()
    if isinstance(thing, Mapping):
        return {name: plain(one, digits) for name, one in thing.items()}
    if isinstance(thing, list | tuple):
        return [plain(one, digits) for one in thing]
    return thing


def _number(number: float, digits: int | None) -> float | None:
    if not math.isfinite(number):
        return None
    return number if digits is None else float(f"{number:.{digits}g}")


def packed(picture: Picture) -> str:
    """The picture as a page carries it: without spaces, numbers to nine digits, and `<` spelt out."""
    content = json.dumps(plain(picture, 9), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return clean(content).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


Change = Callable[[Look], Look]


def fitted(picture: Picture, most_bytes: int) -> Picture:
    """The picture with as much left out, step by step, as is needed for `packed` to stay within `most_bytes`.

    What was left out stands in `omitted`. After the last step it is as small as it gets, and says so when that is not
    within the limit.
    """
    inner = _inside_modules(picture)
    for sentence, only_inner, change in STEPS:
        if len(packed(picture).encode()) <= most_bytes:
            return picture
        values = tuple(
            _changed(value, change) if not only_inner or value.id in inner else value for value in picture.values
        )
        picture = replace(picture, values=values, omitted=(*picture.omitted, sentence))
    if len(packed(picture).encode()) > most_bytes:
        ops = tuple(replace(op, cost=replace(op.cost, saved=()) if op.cost else None) for op in picture.ops)
        picture = replace(picture, ops=ops, saved_bytes=None, omitted=(*picture.omitted, KEPT))
    if len(packed(picture).encode()) > most_bytes:
        return replace(picture, omitted=(*picture.omitted, TOO_MANY))
    return picture


def _changed(value: DrawnValue, change: Change) -> DrawnValue:
    return replace(
        value,
        value=change(value.value) if value.value else None,
        gradient=change(value.gradient) if value.gradient else None,
    )


def _inside_modules(picture: Picture) -> set[int]:
    """The results that no module hands on."""
    handed = {value for box in picture.boxes for value in box.makes}
    return {value.id for value in picture.values if value.role == "result" and value.id not in handed}


def _heat(side: int) -> Change:
    return lambda look: replace(look, heat=smaller(look.heat, side)) if look.heat else look


def _without(*names: str) -> Change:
    gone: dict[str, Any] = dict.fromkeys(names)
    return lambda look: replace(look, **gone)


KEPT = "What autograd keeps for the way back is not told."
TOO_MANY = "With so many operations the file is still larger than it should be; record a part of the program."
STEPS: tuple[tuple[str, bool, Change], ...] = (
    ("Heatmaps have 16 × 16 squares instead of 32 × 32.", False, _heat(16)),
    ("Tensors inside modules have no heatmap; results of modules, weights and inputs have.", True, _without("heat")),
    ("Tensors inside modules have no histogram.", True, _without("histogram")),
    ("Heatmaps have 8 × 8 squares.", False, _heat(8)),
    ("Tensors inside modules are shown by their norm alone.", True, _without("elements", "mean", "std")),
    ("There are no heatmaps and no histograms.", False, _without("heat", "histogram")),
    ("All tensors are shown by norm and range alone.", False, _without("elements", "mean", "std")),
)
