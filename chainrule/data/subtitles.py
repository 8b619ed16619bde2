"""The text of subtitles (.srt, .vtt): what is said, line by line, without numbers, times and styles."""

import re
from collections.abc import Iterator

from chainrule.data.tidying import decoded, tidied

TIMES = re.compile(r"\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}\s*-->")
MARKS = re.compile(r"</?[A-Za-z][^<>\n]{0,200}>|<\d[\d:.]{0,20}>|\{\\[^{}\n]{0,200}\}")
# Blocks of a .vtt that are not said.
SILENT = re.compile(r"(?:WEBVTT|NOTE|STYLE|REGION)(?:[ \t:]|$)")
ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&nbsp;": " ", "&lrm;": "", "&rlm;": ""}


def subtitle_texts(content: bytes) -> Iterator[str]:
    """The cues as one text; raises ValueError for what has none."""
    lines = decoded(content).splitlines()
    if not any(map(TIMES.match, lines)):
        raise ValueError("holds no subtitles: there is no line such as 00:00:01,000 --> 00:00:02,000")
    text = tidied("\n".join(_said(lines)))
    if not text:
        raise ValueError("has no text in it")
    yield text


def _said(lines: list[str]) -> Iterator[str]:
    """Each line of the cues; one that only stays on the screen for the next cue is said once."""
    in_cue, before = False, ""
    for place, line in enumerate(lines):
        if TIMES.match(line):
            in_cue = True
        elif not line.strip():
            # Some programs leave empty lines inside a cue; then what follows is no number and no time.
            in_cue = in_cue and not _begins(lines, place + 1)
        elif in_cue:
            plain = MARKS.sub("", line)
            for entity, sign in ENTITIES.items():
                plain = plain.replace(entity, sign)
            plain = plain.strip()
            if plain and plain != before:
                yield plain
                before = plain


def _begins(lines: list[str], place: int) -> bool:
    """Whether a cue (its times, or its name and its times) or a silent block begins there, or nothing does."""
    here, after = (lines[index].strip() if index < len(lines) else "" for index in (place, place + 1))
    return not here or bool(TIMES.match(here) or TIMES.match(after) or SILENT.match(here))
