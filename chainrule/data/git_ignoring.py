"""What .gitignore files leave out below a folder, as git reads them (gitignore(5)).

Only those inside the folder that is read count: what a person names is meant, even where a repository keeps it out.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from re import Pattern
from typing import NamedTuple

NAME = ".gitignore"
# Longer ones are none that a person wrote.
MOST_BYTES, MOST_PATTERN, MOST_DEPTHS = 1 << 20, 1000, 6


class Rule(NamedTuple):
    """One line."""

    line: Pattern[str]
    """Matches paths below the folder of the file."""
    n_base: int
    """Letters of the path to that folder, with the slash behind it."""
    again: bool
    """With `!`: what an earlier line left out is taken after all."""
    folders_alone: bool


Rules = tuple[Rule, ...]


def rules_of(folder: str, base: str) -> Rules:
    """The rules of a folder's file; `base` is its path below the folder that is read, empty or with a slash at its end.

    None where there is no file, or it cannot be read.
    """
    try:
        with Path(folder, NAME).open("rb") as stream:
            content = stream.read(MOST_BYTES)
    except OSError:
        return ()
    lines = content.decode("utf-8-sig", "replace").splitlines()
    return tuple(_rules(lines, len(base)))


def left_out(rules: Rules, path: str, *, is_folder: bool) -> bool:
    """Whether the last rule that speaks of this path leaves it out."""
    for rule in reversed(rules):
        if (is_folder or not rule.folders_alone) and rule.line.fullmatch(path, rule.n_base):
            return not rule.again
    return False


def _rules(lines: list[str], n_base: int) -> Iterator[Rule]:
    for line in lines:
        text = re.sub(r"(?<!\\) +$", "", line)
        if not text or text.startswith("#") or len(text) > MOST_PATTERN or text.count("**/") > MOST_DEPTHS:
            continue
        again = text.startswith("!")
        text = text[again:]
        folders_alone = text.endswith("/")
        text = text.rstrip("/") if folders_alone else text
        # A slash anywhere but at the end ties the pattern to this folder.
        anywhere = "/" not in text
        if pattern := text.lstrip("/"):
            try:
                line_pattern = re.compile(("(?:.*/)?" if anywhere else "") + _translated(pattern), re.DOTALL)
            except re.error:
                continue
            yield Rule(line_pattern, n_base, again, folders_alone)


SIGNS = re.compile(r"\*+|\?|\[[!^]?\]?[^\]]*\]|\\.|.", re.DOTALL)


def _translated(pattern: str) -> str:
    """The pattern of git as one of Python."""
    parts = re.sub(r"(?:\*\*/){2,}", "**/", pattern).split("/")
    translated = ""
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "**":
            translated += ".*" if last else "(?:.*/)?"
        else:
            translated += _part(part) + ("" if last else "/")
    return translated


def _part(pattern: str) -> str:
    """A pattern of one name."""
    chunks = [""]
    for found in SIGNS.finditer(pattern):
        sign = found.group()
        if sign.startswith("*"):
            chunks.append("")
        elif sign == "?":
            chunks[-1] += "[^/]"
        elif sign.startswith("[") and len(sign) > 2:
            inside = sign[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            chunks[-1] += f"(?!/)[{'^' + inside[1:] if inside[0] in '!^' else inside}]"
        else:
            chunks[-1] += re.escape(sign[1:] if sign.startswith("\\") and len(sign) > 1 else sign)
    first, *middle = chunks
    if not middle:
        return first
    # What stands between two stars is looked for once, from the left (?>…): many stars would else be tried without end.
    return first + "".join(f"(?>[^/]*?{chunk})" for chunk in middle[:-1]) + "[^/]*" + middle[-1]
