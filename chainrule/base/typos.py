"""The word that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

# A comparison takes as long as the product of the lengths: of a word of a million letters it took 17 s.
MOST_LETTERS, MOST_WORDS = 100, 2000


def nearest(word: str, words: Iterable[str]) -> str:
    """` Did you mean 'x'?` (with its leading space) for the closest of `words`, or the empty string.

    Of those that go on with an unfinished word it is the first. Words of more than 100 letters are near to none.
    """
    if len(word) > MOST_LETTERS:
        return ""
    some = islice(words, MOST_WORDS)
    known = {candidate.lower(): candidate for candidate in some if len(candidate) <= MOST_LETTERS}
    begun = next((one for one in known if len(word) > 2 and one.startswith(word.lower())), None)
    close = [begun] if begun else get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f" Did you mean {known[close[0]]!r}?" if close else ""
