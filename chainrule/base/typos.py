"""The word that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, words: Iterable[str]) -> str:
    """` Did you mean 'x'?` (with its leading space) for the closest of `words`, or the empty string.

    Of those that go on with an unfinished word it is the first.
    """
    known = {candidate.lower(): candidate for candidate in words}
    begun = next((one for one in known if len(word) > 2 and one.startswith(word.lower())), None)
    close = [begun] if begun else get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f" Did you mean {known[close[0]]!r}?" if close else ""
