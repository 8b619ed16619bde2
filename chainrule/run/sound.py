"""JSON of a run folder, in which there may be anything: a flipped bit or an edit must not stop who looks.

What a value may be is said by the types of the records (record.py); here it is only made sure that there is a value.
"""

import json
import math
import re
from typing import Any

# What no number of a run is, and no float holds: such a one becomes null, as in a row that we write. Looked for first,
# because Python's own functions for numbers make reading several times slower.
BEYOND = re.compile(rb"\d{300}|\d[eE]\+?\d{3}|NaN|Infinity")


def json_value(content: bytes) -> Any:
    """The value in JSON, with null for a number that is not finite or too large; raises ValueError for what is none."""
    try:
        if not BEYOND.search(content):
            return json.loads(content)
        return json.loads(content, parse_float=_finite, parse_int=_whole, parse_constant=lambda word: None)
    except RecursionError as fault:
        raise ValueError("nested too deeply") from fault


def _finite(digits: str) -> float | None:
    return value if math.isfinite(value := float(digits)) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) < 300 else None
