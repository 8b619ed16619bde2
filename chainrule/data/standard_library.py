"""Text that is on every machine: the running interpreter's standard library, its sources and its documentation.

About 10 MB on CPython 3.11. Left out: tests (distributions drop them), lib2to3 (gone in newer versions), encodings
(tables) and what is installed beside the library. The documentation is pydoc's topics: the language reference as prose.
"""

import ast
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from chainrule.base import DataError

LIBRARY = "python"
LEFT_OUT = frozenset(
    {
        "test",
        "tests",
        "idle_test",
        "lib2to3",
        "encodings",
        "site-packages",
        "dist-packages",
        "__pycache__",
        "lib-dynload",
    }
)
SOURCES, TOPICS = "python sources", "python topics"


def library_files() -> Iterator[tuple[str, str, str]]:
    """Path, kind and source name of each file, in the order of their names."""
    root = sysconfig.get_path("stdlib")
    found = False
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if name not in LEFT_OUT and not name.startswith("config-"))
        for name in sorted(names):
            if name.endswith(".py"):
                found = True
                path = Path(folder, name)
                prose = path.parts[-2:] == ("pydoc_data", "topics.py")
                yield str(path), "topics" if prose else "text", TOPICS if prose else SOURCES
    if not found:
        raise DataError(f"{LIBRARY}: this Python has no library sources in {root}; give a folder of text instead")


def topic_texts(source: bytes) -> Iterator[str]:
    """The texts inside pydoc_data/topics.py (one dict of string literals; nothing is executed)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Dict):
            for value in node.values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value
