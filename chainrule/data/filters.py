"""Rules of published corpora that say which documents are no text to learn from.

Of each the numbers are the authors': Gopher's (Rae et al. 2021, arXiv:2112.11446, A.1.1 and table A1), C4's (Raffel et
al. 2020, arXiv:1910.10683, 2.2) and FineWeb's (Penedo et al. 2024, arXiv:2406.17557, 3.6). They were made for pages of
the web in English: code, verse and tables fail them. A word is what stands between blanks, in n-grams a run of letters
and digits (similarity.py); shares are of bytes, and of what is repeated all but the first counts.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data.pieces import Removal
from chainrule.data.similarity import ODD, hashed_words, scrambled

STOP_WORDS = re.compile(rb"\b(the|be|to|of|and|that|have|with)\b")
BULLETS = (b"*", b"-", "•".encode(), "●".encode(), "‣".encode(), "▪".encode(), "■".encode(), "–".encode())
ELLIPSES, SENTENCE_ENDS = (b"...", "…".encode()), (b".", b"!", b"?", b'"', "”".encode(), "。".encode())
SENTENCE_END = re.compile(r"[.!?][\"')\]”]?(?=\s|$)|[。！？]".encode())
POLICY = (b"terms of use", b"privacy policy", b"cookie policy", b"uses cookies", b"use of cookies", b"use cookies")
# Of a hash so many bits make room for the place of the word: texts of up to a million words.
PLACE_BITS = np.uint64(20)
PLACES = np.uint64((1 << 20) - 1)
TOP_GRAMS = {2: 0.20, 3: 0.18, 4: 0.16}
REPEATED_GRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}


class Look:
    """A text, and what several rules ask of it, found when it is first asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    @cached_property
    def words(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First byte and end of each word."""
        seen = np.concatenate([[False], ~_BLANK[np.frombuffer(self.content, np.uint8)], [False]])
        borders = np.flatnonzero(seen[1:] != seen[:-1])
        return borders[::2], borders[1::2]

    @cached_property
    def lines(self) -> list[bytes]:
        """Those that are not empty, without the blanks around them."""
        return [line for line in map(bytes.strip, self.content.split(b"\n")) if line]

    @cached_property
    def paragraphs(self) -> list[bytes]:
        """What stands between empty lines."""
        return [part for part in map(bytes.strip, re.split(rb"\n\s*\n", self.content)) if part]

    def words_with(self, kinds: NDArray[np.bool_]) -> int:
        """How many words have one of these bytes."""
        starts, ends = self.words
        found = np.concatenate([[0], np.cumsum(kinds[np.frombuffer(self.content, np.uint8)])])
        return int(np.count_nonzero(found[ends] > found[starts]))

    def characters_of_words(self) -> int:
        """Characters in all words."""
        letters = np.frombuffer(self.content, np.uint8)
        return int(np.count_nonzero(~_BLANK[letters] & ((letters & 0xC0) != 0x80)))


def gopher_quality(look: Look) -> Removal | None:
    """Length, mean word length, symbols, bullets, ellipses, letters, and two of eight English words."""
    return _first("gopher-quality", _quality(look))


def _quality(look: Look) -> Iterator["Figure"]:
    n_words, n_lines = len(look.words[0]), max(len(look.lines), 1)
    yield Figure("words", n_words, 50, 100_000)
    yield Figure("mean word length", look.characters_of_words() / max(n_words, 1), 3, 10)
    for name, signs in (("signs of number per word", (b"#",)), ("ellipses per word", ELLIPSES)):
        yield Figure(name, sum(map(look.content.count, signs)) / max(n_words, 1), 0, 0.1)
    for name, meant, most in (("begin with a bullet", _begins_point, 0.9), ("end with an ellipsis", _trails_off, 0.3)):
        yield Figure(f"lines that {name}", sum(map(meant, look.lines)) / n_lines, 0, most)
    yield Figure("words with a letter", look.words_with(_LETTER) / max(n_words, 1), 0.8, 1)
    yield Figure("of eight frequent English words", _n_stop_words(look.content), 2, 8)


def _begins_point(line: bytes) -> bool:
    return line.startswith(BULLETS)


def _trails_off(line: bytes) -> bool:
    return line.endswith(ELLIPSES)


def _n_stop_words(content: bytes) -> int:
    """How many different ones there are, counted no further than two."""
    found = set[bytes]()
    for match in STOP_WORDS.finditer(content.lower()):
        found.add(match[1])
        if len(found) == 2:
            break
    return len(found)


def gopher_repetition(look: Look) -> Removal | None:
    """Repeated lines, paragraphs and n-grams."""
    return _first("gopher-repetition", _repetition(look))


def _repetition(look: Look) -> Iterator["Figure"]:
    for name, parts in (("lines", look.lines), ("paragraphs", look.paragraphs)):
        repeated = _repeats(parts)
        yield Figure(f"repeated {name}", len(repeated) / max(len(parts), 1), 0, 0.3)
        yield Figure(f"text in repeated {name}", sum(map(len, repeated)) / max(len(look.content), 1), 0, 0.2)
    yield from _grams(look.content)


def _repeats(parts: Sequence[bytes]) -> list[bytes]:
    """The parts that stood there before."""
    seen = set[bytes]()
    return [part for part in parts if part in seen or seen.add(part)]  # type: ignore[func-returns-value]


def _grams(content: bytes) -> Iterator["Figure"]:
    """The most frequent n-grams and all repeated ones.

    What is repeated as n + 1 words is repeated as n, so that each n looks at those places alone where the one before
    found repetition.
    """
    starts, words = hashed_words(content)
    n_words, n_bytes = len(words), max(len(content), 1)
    borders = np.append(starts, len(content))
    grams, alive = words.copy(), np.arange(n_words)
    for n in range(2, max(REPEATED_GRAMS) + 1):
        alive = alive[alive + n <= n_words]
        if not alive.size:
            return
        grams[alive] = scrambled(grams[alive] * np.uint64(ODD) + words[alive + n - 1])
        keys = np.sort((grams[alive] & ~PLACES) | alive.astype(np.uint64))
        places = (keys & PLACES).astype(np.int64)
        same = np.concatenate([[False], (keys[1:] ^ keys[:-1]) >> PLACE_BITS == 0, [False]])
        if n in TOP_GRAMS:
            most = _most(places, same, borders, n)
            yield Figure(f"text in its most frequent run of {n} words", most / n_bytes, 0, TOP_GRAMS[n])
        if n in REPEATED_GRAMS:
            share = _covered(places[same[:-1]], borders, n) / n_bytes
            yield Figure(f"text in repeated runs of {n} words", share, 0, REPEATED_GRAMS[n])
            # Longer runs lie within these, so that none of them can be too much: of prose this is the first n.
            if share <= min(REPEATED_GRAMS.values()):
                return
        alive = places[same[:-1] | same[1:]]


def _most(places: NDArray[np.int64], same: NDArray[np.bool_], borders: NDArray[np.int64], n: int) -> int:
    """Bytes in the n-gram that stands there most often; none where each stands there once."""
    firsts = np.flatnonzero(~same[:-1])
    if not firsts.size:
        return 0
    counts = np.diff(np.append(firsts, len(places)))
    most = counts.max()
    sizes = borders[places[firsts] + n] - borders[places[firsts]]
    return int(most * sizes[counts == most].max()) if most > 1 else 0


def _covered(places: NDArray[np.int64], borders: NDArray[np.int64], n: int) -> int:
    """Bytes in words that lie in one of the n-grams that begin at these places."""
    steps = np.zeros(len(borders), np.int64)
    np.add.at(steps, places, 1)
    np.add.at(steps, places + n, -1)
    return int(np.diff(borders)[np.cumsum(steps)[:-1] > 0].sum())


def c4(look: Look) -> Removal | None:
    """Placeholder text, curly brackets, and fewer than three sentences; its rules on lines come before (`c4_lines`)."""
    return _first("c4", _page(look))


def _page(look: Look) -> Iterator["Figure"]:
    lowered = look.content.lower()
    yield Figure("lorem ipsum", lowered.count(b"lorem ipsum"), 0, 0)
    yield Figure("curly brackets", look.content.count(b"{"), 0, 0)
    yield Figure("sentences", sum(1 for _ in SENTENCE_END.finditer(look.content)), 3, float("inf"))


def c4_lines(content: bytes) -> bytes:
    """The lines that end like a sentence, have five words or more, and speak of no JavaScript, terms or cookies."""
    return b"\n".join(line for line in content.split(b"\n") if not line.strip() or _is_prose(line))


def _is_prose(line: bytes) -> bool:
    lowered = line.lower()
    return (
        line.rstrip().endswith(SENTENCE_ENDS)
        and not line.rstrip().endswith(ELLIPSES)
        and len(line.split(None, 5)) >= 5
        and b"javascript" not in lowered
        and not any(words in lowered for words in POLICY)
    )


def fineweb(look: Look) -> Removal | None:
    """Lists, menus and copied lines: how many lines end like a sentence, are short, are repeated."""
    return _first("fineweb", _web(look))


def _web(look: Look) -> Iterator["Figure"]:
    n_lines, repeated = max(len(look.lines), 1), _repeats(look.lines)
    yield Figure("lines that end like a sentence", sum(map(_ends_sentence, look.lines)) / n_lines, 0.12, 1)
    yield Figure("text in repeated lines", sum(map(len, repeated)) / max(len(look.content), 1), 0, 0.1)
    yield Figure("lines of less than 30 bytes", sum(len(line) < 30 for line in look.lines) / n_lines, 0, 0.67)


def _ends_sentence(line: bytes) -> bool:
    return line.endswith(SENTENCE_ENDS)


class Figure(NamedTuple):
    """A figure of a document, and between which bounds it may lie."""

    name: str
    value: float
    least: float
    most: float

    @property
    def said(self) -> str:
        """The figure and what is allowed."""
        bound = f"from {self.least:,g}" if self.value < self.least else f"up to {self.most:,g}"
        return f"{self.value:,.3g}, allowed {bound}"


def _first(name: str, figures: Iterator[Figure]) -> Removal | None:
    """The first rule that does not hold; those behind it are not worked out."""
    for figure in figures:
        if not figure.least <= figure.value <= figure.most:
            return Removal(f"{name}: {figure.name}", figure.said)
    return None


RULES: dict[str, Callable[[Look], Removal | None]] = {
    "gopher-quality": gopher_quality,
    "gopher-repetition": gopher_repetition,
    "c4": c4,
    "fineweb": fineweb,
}


def _bytes_in(which: Callable[[int], bool]) -> NDArray[np.bool_]:
    return np.array([which(byte) for byte in range(256)])


_BLANK = _bytes_in(lambda byte: byte in b" \t\n\r\x0b\x0c")
# A character of two bytes or more counts as a letter.
_LETTER = _bytes_in(lambda byte: byte >= 0xC3 or (byte < 0x80 and chr(byte).isalpha()))
