"""Where a written text may end: behind its last whole sentence, or its last whole line at the margin of code."""

import re

from chainrule.evaluate.quality import SENTENCE_END

CODE = re.compile(r"\s*(?:async def |def |class |@\w)")
MARGIN = re.compile(r"\n(?=[^\s)\]}])")


def up_to_its_end(prompt: str, text: str) -> str:
    """`text`, which goes on from `prompt`, up to the end of its last whole sentence; all of it where none ends.

    What begins with a definition of Python ends where the line after its last whole block begins at the margin.
    """
    if CODE.match(prompt + text):
        ends = [found.end() for found in MARGIN.finditer(text) if text[: found.start()].strip()]
        return text[: ends[0]].rstrip() + "\n" if ends else text
    whole = prompt + text
    ends = [found.end() for found in SENTENCE_END.finditer(whole) if found.end() > len(prompt)]
    return whole[len(prompt) : ends[-1]] if ends else text
