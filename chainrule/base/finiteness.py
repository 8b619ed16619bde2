"""Values that JSON can hold."""

from collections.abc import Mapping
from typing import Any


def finite(value: Any) -> Any:
    """`value` with NaN and infinity replaced by None, at any depth; tuples become lists."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, list | tuple) else value
