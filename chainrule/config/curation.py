"""The words for what is done to documents on their way into a training text, with the nearest for a mistyped one."""

from collections.abc import Sequence

from chainrule.base import nearest

FILTERS = ("gopher-quality", "gopher-repetition", "c4", "fineweb")
"""Rules of published corpora; what they say stands in data/filters.py."""
# By their writing: zh, ja, ko, el, he, th, hi, hy, ka; the others by their function words.
CODES = (
    "ar bg ca cs da de el en es et fa fi fr he hi hr hu hy id it ja ka ko lt lv nl no pl pt ro ru sk sl sv th tr uk vi"
    " zh"
)
LANGUAGES = tuple(CODES.split())
"""ISO 639-1 codes that the detector (data/languages.py) knows."""


MOST_SHOWN = 80


def known_words(given: Sequence[str], known: Sequence[str], what: str) -> tuple[str, ...]:
    """The words without repetition; raises ValueError for one that is not known."""
    for word in given:
        if word not in known:
            hint = nearest(word, known)
            raise ValueError(f"{word[:MOST_SHOWN]!r} is no {what} that is known.{hint} Known: {', '.join(known)}")
    return tuple(dict.fromkeys(given))
