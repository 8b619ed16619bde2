"""Quantities as people write them: `124M`, `1.5 GiB`, `3 min`."""

import math
import re
from fractions import Fraction

from chainrule.base.errors import ConfigError

SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
TIME_UNITS = {
    **dict.fromkeys(("", "m", "min", "mins", "minute", "minutes"), 1.0),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1 / 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 60.0),
    **dict.fromkeys(("d", "day", "days"), 1440.0),
}
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


def parse_bytes(text: str | int | float) -> int:
    """The bytes that `text` names: `8G` and `8GB` of 1000³, `8GiB` of 1024³. Raises ConfigError for anything else."""
    match = re.fullmatch(r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([kmgt]?)(i?)b?\s*", str(text).lower())
    if not match or (match[3] and not match[2]):
        return parse_count(text)
    size = (1024 if match[3] else 1000) ** " kmgt".index(match[2] or " ")
    return round(Fraction(match[1]) * size)


def parse_minutes(text: str | int | float) -> float:
    """The minutes that `text` names: `5`, `0.5`, `5m`, `5 min`, `90s`, `1h`, `1h30`, `1h 30min`, `2d`.

    Raises ConfigError for anything else; `0:30` is either half an hour or half a minute, and is not guessed.
    """
    word = str(text).strip().lower()
    parts = re.findall(r"([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([a-z]*)", word)
    units = [TIME_UNITS.get(unit) for _, unit in parts]
    if parts and len(parts) > 1 and not parts[-1][1] and parts[-2][1]:
        # 1h30 is an hour and 30 of the next smaller unit.
        units[-1] = {60.0: 1.0, 1.0: 1 / 60}.get(units[-2] or 0.0)
    whole = "".join(f"{number}{unit}" for number, unit in parts)
    bare = any(not unit for _, unit in parts[:-1])
    if not parts or bare or whole != re.sub(r"\s+", "", word) or None in units:
        raise ConfigError(f"{text!r} is no time; write minutes such as 5 or 0.5, or 90s, 5m, 1h, 1h30, 2d")
    return sum(float(number) * (unit or 0.0) for (number, _), unit in zip(parts, units, strict=True))


def count_text(value: float) -> str:
    """Three significant digits with the field's suffix: 124412160 is `124M`, 950 is `950`."""
    for size, suffix in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{suffix}" if abs(value) < 999.5 * size else f"{value / size:.0f}{suffix}"
    return f"{value:.0f}" if value == round(value) else f"{value:.3g}"


def ratio_text(value: float) -> str:
    """Two digits that say something, whatever the size: 0.0166 is `0.017`, 2.13 `2.1`, 60.2 `60`, 1234 `1,234`."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    digits = 1 - math.floor(math.log10(abs(value)))
    text = f"{value:,.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def speed_text(ratio: float, other: str) -> str:
    """A speed against that of another: `2.1 times as fast as float32`, `60 times slower than float32`."""
    if 0.95 < ratio < 1.05:
        return f"as fast as {other}"
    if ratio > 1 or ratio <= 0 or not math.isfinite(ratio):
        return f"{ratio_text(ratio)} times as fast as {other}"
    return f"{ratio_text(1 / ratio)} times slower than {other}"


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
