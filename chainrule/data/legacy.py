"""In which older encoding a text stands that is no UTF-8: told only where its letters are those of a language.

Nearly every sequence of bytes can be decoded as Latin-1, and many as GB18030, so that it can be is no evidence. What is
counted is how many of the letters beyond ASCII are among a language's most frequent ones: in the right encoding most
are, in a wrong one few.
"""

import codecs
import re

from chainrule.data.frequent_letters import (
    ARABIC,
    BALTIC,
    CENTRAL,
    CHINESE,
    GREEK,
    HANGUL,
    HEBREW,
    JAPANESE,
    PUNCTUATION,
    RUSSIAN,
    THAI,
    TRADITIONAL,
    TURKISH,
    UKRAINIAN,
    WESTERN,
)

LOOK_BYTES = 1 << 16
# Of the letters beyond ASCII so many must be among the language's; fewer than these say nothing.
LIKELY, LEAST_LETTERS = 0.55, 6

# Languages of Latin letters have few beyond ASCII, and no others.
ALL_BUT = 0.96


# Encoding, as iconv knows it; letters; the share of them among those beyond ASCII. Of a language with thousands of
# letters the listed ones are half of what is written.
WIDE: tuple[tuple[str, str, float], ...] = (
    *((name, CHINESE, LIKELY) for name in ("GB18030", "UTF-16LE", "UTF-16BE")),
    ("BIG5", TRADITIONAL, LIKELY),
    *((name, JAPANESE, 0.65) for name in ("EUC-JP", "CP932", "UTF-16LE", "UTF-16BE")),
    *((name, HANGUL, 0.4) for name in ("CP949", "UTF-16LE", "UTF-16BE")),
    *(
        (name, letters, 0.93)
        for name in ("CP1251", "KOI8-U", "CP866", "ISO-8859-5")
        for letters in (RUSSIAN, UKRAINIAN)
    ),
    ("CP1253", GREEK, 0.93),
    ("CP1255", HEBREW, 0.9),
    *((name, ARABIC, 0.9) for name in ("CP1256", "ISO-8859-6")),
    ("CP874", THAI, 0.9),
)
LATIN = {
    "CP1252": WESTERN,
    "CP1250": CENTRAL,
    "ISO-8859-2": CENTRAL,
    "CP1254": TURKISH,
    "CP1257": BALTIC,
    "CP850": WESTERN,
    "CP852": CENTRAL,
}
# Python's names where they are others.
NAMES = {"CP949": "cp949", "KOI8-U": "koi8-u"}
# As people call them.
COMMON = {"CP932": "Shift-JIS", "CP949": "EUC-KR", "CP1252": "Windows' Western European", "CP1251": "Windows' Cyrillic"}
RUNS = re.compile(rb"[\x80-\xff]+")
UTF_8 = re.compile(
    rb"(?<![\x80-\xff])(?:[\xc3-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})+(?![\x80-\xff])"
)
# Marks that stand at the ends of words; inside one they are letters of another encoding.
INSIDE = re.compile(r"(?<=\w)[„“”«»€§°©®•](?=\w)")
# Bytes beyond ASCII stand alone in words of Latin letters, and side by side in others.
LEAST_RUN, ALPHABET = 2.0, 60


def encoding_of(content: bytes) -> str | None:
    """The encoding, named as iconv and Python know it, by the first LOOK_BYTES; None where nothing speaks for one.

    Nor is one told of UTF-8 with a few damaged places.
    """
    head = content[:LOOK_BYTES]
    if not head or 2 * len(UTF_8.findall(head)) > len(RUNS.findall(head)):
        return None
    return _best_wide(head) or _latin(head)


def _best_wide(head: bytes) -> str | None:
    """Of scripts that share no letters with ASCII: the encoding in which most letters are frequent ones."""
    best, most = None, 0.0
    runs = RUNS.findall(head)
    in_words = sum(map(len, runs)) >= LEAST_RUN * len(runs)
    for encoding, letters, share in WIDE:
        if not in_words and not encoding.startswith("UTF-16"):
            continue
        text = _decoded(head, encoding) or ""
        beyond = [letter for letter in text if letter > "\x7f" and letter not in PUNCTUATION]
        if len(beyond) < LEAST_LETTERS or not _is_text(text):
            continue
        # In a wrong encoding of Cyrillic the case is turned round, so capitals count for little.
        small = sum(letter in letters for letter in beyond) / len(beyond)
        score = small + min(sum(letter.lower() in letters for letter in beyond) / len(beyond) - small, 0.15)
        # Alphabets take each other's places: there the ten most frequent letters decide.
        first = letters[:10]
        top = 1.2 if len(letters) > ALPHABET else 0.5 + sum(letter in first for letter in beyond) / len(beyond)
        if score >= share and score / share * top > most:
            best, most = encoding, score / share * top
    return best


def _latin(head: bytes) -> str | None:
    """Of Latin letters: the first encoding in which all beyond ASCII belong to one language."""
    for encoding, languages in LATIN.items():
        text = _decoded(head, encoding)
        if text is None or not _is_text(text):
            continue
        beyond = [letter for letter in text if letter > "\x7f" and letter not in PUNCTUATION and letter != "\xa0"]
        beyond += INSIDE.findall(text)
        if any(
            sum(letter in own or letter.lower() in own for letter in beyond) >= ALL_BUT * len(beyond)
            for own in languages.values()
        ):
            return encoding
    return None


def _is_text(text: str) -> bool:
    """Whether no control characters stand in it."""
    return not any((letter < " " and letter not in "\t\n\r\f\x1a\x1b") or "\x7f" <= letter < "\xa0" for letter in text)


def _decoded(head: bytes, encoding: str) -> str | None:
    decoder = codecs.getincrementaldecoder(NAMES.get(encoding, encoding))()
    try:
        return decoder.decode(head)
    except UnicodeDecodeError:
        return None
