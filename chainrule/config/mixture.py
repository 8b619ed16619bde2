"""In which shares the sources of a text are read: "books=3 code=1", and a second stage "20M: code=1".

Where names have blanks in them, commas part the sources.
"""

from dataclasses import dataclass
from itertools import pairwise

from chainrule.base import ConfigError, parse_count

MOST_SHOWN = 80


@dataclass(frozen=True)
class MixtureStage:
    """From so many tokens of training on, the share of each source; those that are not named are not read."""

    start_tokens: int
    shares: dict[str, float]


def mixture_stages(given: tuple[str, ...]) -> tuple[MixtureStage, ...]:
    """The stages; raises ValueError for one that does not parse, weights without a sum, and starts out of order."""
    stages = tuple(map(_stage, given))
    for place, (before, after) in enumerate(pairwise(stages), start=2):
        if after.start_tokens <= before.start_tokens:
            raise ValueError(
                f"stage {place} of the mixture begins at {after.start_tokens:,} tokens, not after the one before "
                f"({before.start_tokens:,}); write the tokens at which it begins before it, such as '20M: code=1'"
            )
    if stages and stages[0].start_tokens:
        raise ValueError(
            f"the first stage of the mixture begins at {stages[0].start_tokens:,} tokens; it begins at none: leave "
            "them out"
        )
    return stages


def _stage(given: str) -> MixtureStage:
    start, parted, weights = given.rpartition(": ") if ": " in given else ("", "", given)
    try:
        start_tokens = parse_count(start) if parted else 0
    except ConfigError as fault:
        raise ValueError(
            f"{given[:MOST_SHOWN]!r}: before the colon stand the tokens at which it begins ({fault})"
        ) from None
    found = dict[str, float]()
    for part in filter(None, map(str.strip, weights.split(",") if "," in weights else weights.split())):
        name, _, weight = part.rpartition("=")
        try:
            found[name] = float(weight)
        except ValueError:
            found[name] = -1.0
        if not name or not 0 <= found[name] < float("inf"):
            raise ValueError(
                f"{part[:MOST_SHOWN]!r} is no source with its weight; write 'books=3 code=1', weights of zero or more"
            )
    total = sum(found.values())
    if not total:
        raise ValueError(f"{given[:MOST_SHOWN]!r} gives no source any weight; at least one must be more than zero")
    return MixtureStage(start_tokens, {name: weight / total for name, weight in found.items() if weight})
