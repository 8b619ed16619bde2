"""Token healing: the end of a prompt is taken back, and the first token to be drawn must begin with its bytes.

A prompt ends where a person stopped typing, a token where the vocabulary has one. After "def " comes no name in any
training text: there the space is a part of " name". Of what was taken back nothing is lost, and what the text says is
the same to the byte.
"""

from bisect import bisect_left
from functools import lru_cache

from chainrule.tokenizer import Tokenizer

SPACE = " "


def taken_back(tokenizer: Tokenizer, prompt: str) -> tuple[list[int], bytes]:
    """The prompt's ids without its end, and the end's bytes; all ids and b"" where nothing can be won.

    The end is one space, where the prompt ends in spaces, because words take the last space before them: an indentation
    of four is one of three and " return", and not what four spaces alone are encoded as. Else it is the last token.
    Nothing can be won where no other token goes on from those bytes, and where nothing of the prompt would be left:
    the model would have no text to tell it by.
    """
    ids = tokenizer.encode(prompt)
    if not ids:
        return ids, b""
    if prompt.endswith(SPACE):
        left, end = tokenizer.encode(prompt.removesuffix(SPACE)), SPACE.encode()
    else:
        left, end = ids[:-1], tokenizer.token_bytes[ids[-1]]
    if not left or not end or len(beginning_with(tokenizer, end)) < 2:
        return ids, b""
    return left, end


def beginning_with(tokenizer: Tokenizer, content: bytes) -> list[int]:
    """The tokens whose bytes begin with `content`."""
    entries, ids = _sorted(tokenizer)
    first = last = bisect_left(entries, content)
    while last < len(entries) and entries[last].startswith(content):
        last += 1
    return ids[first:last]


@lru_cache(maxsize=4)
def _sorted(tokenizer: Tokenizer) -> tuple[list[bytes], list[int]]:
    """Byte strings of all tokens that have one, in their order, and the ids beside them."""
    pairs = sorted((content, number) for number, content in enumerate(tokenizer.token_bytes) if content)
    return [content for content, _ in pairs], [number for _, number in pairs]
