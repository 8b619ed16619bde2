"""The only door to `tokenizers`, the reference engine: what it answers is right by definition."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, islice
from typing import TypeVar

import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from chainrule.base import TokenizerError
from chainrule.tokenizer.alphabet import SINGLE_BYTES, unwritten, written
from chainrule.tokenizer.document import SPLIT, Document, Merge, canonical, without_control_tokens
from chainrule.tokenizer.words import Ids, Words

NAME = f"tokenizers {tokenizers.__version__}"
PIECE_CHARACTERS = 4_000
# An Encoding costs some 40 times its text, so few are alive at once (36 MB of text in one call took 1.3 GB).
PIECES_AT_ONCE = 256
# GPT-2's regular expression always ends a word before the white space that follows a printable character.
SAFE_CUT = re.compile(r"[!-~](?=[ \n])")
Answer = TypeVar("Answer")


class Reference:
    """Text to ids, with the engine that defines them; control tokens are unknown to it."""

    def __init__(self, document: Document) -> None:
        self._engine = _opened(without_control_tokens(document))
        self._words = Words(self._encode_hard) if _has_plain_words(document) else None

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of each text. The texts hold no lone surrogates."""
        cut = [list(pieces(text)) if self._words else [text] for text in texts]
        ids = self._encode_pieces([piece for parts in cut for piece in parts])
        nothing = np.empty(0, dtype=np.uint32)
        return [np.concatenate([nothing, *islice(ids, len(parts))]) for parts in cut]

    def splits_a_word(self, text: str) -> bool:
        """Whether some word of the text needs more than one id."""
        encoding = _answered(lambda: self._engine.encode(text, add_special_tokens=False))
        return len(encoding.ids) > len(set(encoding.word_ids))

    def _encode_pieces(self, parts: Sequence[str]) -> Iterator[Ids]:
        for start in range(0, len(parts), PIECES_AT_ONCE):
            group = parts[start : start + PIECES_AT_ONCE]
            if self._words is None:
                yield from self._encode_hard(group)
                continue
            can = [self._words.can(part) for part in group]
            easy = iter(self._words.encode(list(compress(group, can))))
            hard = iter(self._encode_hard([part for part, known in zip(group, can, strict=True) if not known]))
            yield from (next(easy) if known else next(hard) for known in can)

    def _encode_hard(self, texts: Sequence[str]) -> list[Ids]:
        encodings = _answered(lambda: self._engine.encode_batch_fast(texts, add_special_tokens=False))
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]


def pieces(text: str, size: int = PIECE_CHARACTERS) -> Iterator[str]:
    """Cuts a text where GPT-2's words end, after about `size` characters each; the ids of the pieces are the text's."""
    start = 0
    while len(text) - start > size and (cut := SAFE_CUT.search(text, start + size)):
        yield text[start : cut.end()]
        start = cut.end()
    yield text[start:]


def learn(texts: Iterable[str], n_entries: int) -> list[Merge]:
    """The merges of a byte-level BPE with GPT-2's words and `n_entries` entries, or fewer when the text has no more."""
    engine = tokenizers.Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = [written(byte) for byte in SINGLE_BYTES]
    trainer = trainers.BpeTrainer(
        vocab_size=n_entries, show_progress=False, initial_alphabet=alphabet, special_tokens=[]
    )
    engine.train_from_iterator(texts, trainer=trainer)
    made = json.loads(engine.to_str())["model"]["merges"]
    return [(unwritten(left), unwritten(right)) for left, right in made]


def check_added_tokens(document: Document) -> None:
    """Raises TokenizerError where `tokenizers`, and so transformers, gives an added token another id than the file."""
    engine = _opened(document)
    for token in document["added_tokens"]:
        if (number := engine.token_to_id(token["content"])) != token["id"]:
            raise TokenizerError(
                f"{token['content']!r} has the id {token['id']} in added_tokens, which {NAME} reads as {number}; "
                "added tokens come after the vocabulary, without gaps"
            )


def _has_plain_words(document: Document) -> bool:
    """Whether nothing but GPT-2's regular expression decides where words end, so that text may be cut there."""
    marks = [token for token in document["added_tokens"] if not token["special"]]
    return bool(document["pre_tokenizer"] == SPLIT and document["normalizer"] is None and not marks)


def _answered(call: Callable[[], Answer]) -> Answer:
    """`call()`; raises TokenizerError where an expression of the file goes through a text without end.

    The engine gives up after ten million steps, and panics, which is no Exception but BaseException alone.
    """
    try:
        return call()
    except BaseException as fault:
        if type(fault).__name__ != "PanicException":
            raise
        raise TokenizerError(
            f"the pre_tokenizer of this tokenizer.json cannot part the text into words ({fault}); take the file of the "
            "model's makers, or another text"
        ) from None


def _opened(document: Document) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(canonical(document).decode())
    except Exception as fault:  # `tokenizers` raises nothing more special than Exception itself
        raise TokenizerError(f"tokenizer.json cannot be used by {NAME}: {fault}") from fault
