"""A shape for a wanted number of parameters: width, depth and heads as models of that size have them."""

import math
from typing import Any

from chainrule.base import ConfigError
from chainrule.config import Layer, modern, resolve
from chainrule.plan.count import parameters

VOCAB_SIZE = 32768  # of the models whose losses the laws were fitted to, about
LEAST, MOST = 1e6, 4e12
# Width over depth of GPT-3's sizes and Llama 3's grows from 64 at width 768 to about 128 at 8192.
ASPECT, ASPECT_WIDTH, ASPECT_POWER = 64.0, 768, 0.3
# Heads of wide models are many and divide by 2, 4 and 8, as ranks that share them do.
WIDTHS = (64, *range(128, 1024, 128), *range(1024, 2048, 256), *range(2048, 4096, 512), *range(4096, 40961, 1024))
# A shape may be this much off in parameters before its proportions count: a law is flat around its best size.
OFF = 0.05


def shape_for(wanted: float, context_length: int | None = None) -> Layer:
    """The settings of a model of about so many parameters (within a few percent), trained by AdamW."""
    if not LEAST <= wanted <= MOST:
        raise ConfigError(
            f"a model of {wanted:.3g} parameters is outside of what is planned here, {LEAST:.0e} to {MOST:.0e}; "
            "ask for other --days, --tokens or --loss, or name a configuration"
        )
    context = context_length or _context(wanted)
    best = min((_candidate(width, wanted, context) for width in WIDTHS), key=lambda one: one[0])
    return Layer("the best size", best[1])


def _context(wanted: float) -> int:
    """Windows that models of the size are trained on: from 512 below 30M parameters to 4,096 from 3B on."""
    return next(length for limit, length in ((3e7, 512), (5e8, 1024), (3e9, 2048), (math.inf, 4096)) if wanted < limit)


def _candidate(width: int, wanted: float, context: int) -> tuple[float, dict[str, dict[str, Any]]]:
    """How far the best depth of a width is off, and its settings."""
    outside = VOCAB_SIZE * width
    depth = max(1, round((wanted - outside) / (12 * width * width)))
    depth = _divisible(depth)
    head = 128 if width >= 1024 else 64
    values = modern(width, width // head, depth, context, VOCAB_SIZE)
    values = {section: dict(settings) for section, settings in values.items()}
    values["optimizer"] = {"kind": "adamw"}
    count = parameters(resolve([Layer("shape", values)]).config.model).total
    aspect = ASPECT * (width / ASPECT_WIDTH) ** ASPECT_POWER
    off = max(0.0, abs(math.log(count / wanted)) - OFF)
    return 4 * off + abs(math.log(width / depth / aspect)), values


def _divisible(depth: int) -> int:
    """From sixteen blocks on a number that four stages divide, from 48 on one that eight do."""
    stages = 1 if depth < 16 else 4 if depth < 48 else 8
    return stages * round(depth / stages)
