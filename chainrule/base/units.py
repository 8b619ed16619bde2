"""Quantities as people write them: `124M`, `1.5 GiB`, `3 min`."""

import math
import re
from fractions import Fraction

from chainrule.base.errors import ConfigError

SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
LONG_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def parse_count(text: str | int | float) -> int:
    """The whole number that `text` names: `124M`, `1.5e6`, `10_000`, `3B`. Raises ConfigError for anything else."""
    match = re.fullmatch(r"\s*([0-9][0-9_]*\.?[0-9]*(?:e[+-]?[0-9]+)?)\s*([kmbgt]?)\s*", str(text).lower())
    if not match:
        raise ConfigError(f"{text!r} is not a count; write a number such as 10000, 300k, 124M or 1.5B")
    number = match[1].replace("_", "")
    # Exact fractions: as floats, 2.09 * 10**6 is not whole. The test for infinity keeps 1e999999999 out of memory.
    if not math.isfinite(float(number)) or (value := Fraction(number) * SUFFIXES[match[2]]).denominator != 1:
        raise ConfigError(f"{text!r} is not a whole number")
    return int(value)


def count_text(value: float) -> str:
    """Three significant digits with the field's suffix: 124412160 is `124M`, 950 is `950`."""
    for size, suffix in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{suffix}" if abs(value) < 999.5 * size else f"{value / size:.0f}{suffix}"
    return f"{value:.0f}" if value == round(value) else f"{value:.3g}"


def bytes_text(n_bytes: float) -> str:
    """Binary units, one decimal: 1536 is `1.5 KiB`."""
    for size, suffix in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(n_bytes) >= size:
            return f"{n_bytes / size:.1f} {suffix}"
    return f"{n_bytes:.0f} B"


def duration_text(seconds: float) -> str:
    """The two largest units, cut, not rounded up: 0.25 is `0.25 s`, 75 is `1 min 15 s`, 90000 is `1 d 1 h`."""
    if seconds < 59.5:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.0f} s"
    size, name, part, small = next(unit for unit in LONG_UNITS if round(seconds) >= unit[0])
    whole, rest = divmod(round(seconds) // part, size // part)
    return f"{whole} {name} {rest} {small}" if rest else f"{whole} {name}"
