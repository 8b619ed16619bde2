"""The word that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, words: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest of `words` (with its leading space), or the empty string."""
    known = {candidate.lower(): candidate for candidate in words}
    close = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f" Did you mean {known[close[0]]!r}?" if close else ""
