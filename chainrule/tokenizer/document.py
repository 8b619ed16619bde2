"""The artefact: one tokenizer.json whose ids are laid out as in GPT-2.

First the 256 single bytes in GPT-2's order, then what each merge makes, in the order of the merges, then end-of-text,
last the control tokens of a chat template, when there is one.
All kinds of vocabulary are this one shape and differ in their merges alone: learnt from text (bpe), published (gpt2),
none (bytes), or those that spell the characters of a text (chars). So each of them holds every byte string, and every
reader of GPT-2's tokenizer reads it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chainrule.base import TokenizerError
from chainrule.tokenizer.alphabet import END_OF_TEXT, SINGLE_BYTES, unwritten, written

Merge = tuple[bytes, bytes]
Document = Mapping[str, Any]
"""A parsed tokenizer.json."""

GPT2_FINGERPRINT = "3d23bf24279f0919848d66d41f1e800e3cf9a3c6c1b19d27d2ef18e69dc6b314"
ENDS_OF_TEXT = (END_OF_TEXT, "<|end_of_text|>", "<｜end▁of▁sentence｜>", "</s>", "<eos>", "<|eot_id|>", "<|im_end|>")
# GPT-2's regular expression is what `use_regex` switches on; GGUF readers know it by the name "gpt-2".
SPLIT = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
JOIN = SPLIT | {"add_prefix_space": True}
PLAIN_BPE = {
    "type": "BPE",
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
}


def document_of(merges: Sequence[Merge], controls: Sequence[str] = ()) -> Document:
    """The tokenizer.json of `merges`; two merges that make the same bytes share one entry.

    `controls` are the control tokens behind end-of-text.
    """
    entries = dict.fromkeys((*SINGLE_BYTES, *(left + right for left, right in merges)))
    vocabulary = {written(entry): number for number, entry in enumerate(entries)}
    marks = dict.fromkeys((END_OF_TEXT, *controls))
    vocabulary |= {mark: len(vocabulary) + place for place, mark in enumerate(marks)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_control(mark, vocabulary[mark]) for mark in marks],
        "normalizer": None,
        "pre_tokenizer": SPLIT,
        "post_processor": None,
        "decoder": JOIN,
        "model": PLAIN_BPE | {"vocab": vocabulary, "merges": [[written(a), written(b)] for a, b in merges]},
    }


def with_controls(document: Document, words: Sequence[str]) -> Document:
    """The document with control tokens behind its last id; those that it has already stay where they are."""
    taken = {token["content"] for token in document["added_tokens"] if token["special"]}
    vocabulary = dict(document["model"]["vocab"])
    added = list(document["added_tokens"])
    for word in dict.fromkeys(words):
        if word in taken:
            continue
        if not word or word in vocabulary or any(token["content"] == word for token in added):
            raise TokenizerError(f"{word!r} cannot be a control token: the vocabulary has it as ordinary text")
        number = 1 + max((*vocabulary.values(), *(token["id"] for token in added)))
        vocabulary[word] = number
        added.append(_control(word, number))
    return {**document, "added_tokens": added, "model": {**document["model"], "vocab": vocabulary}}


def controls_of(document: Document) -> dict[str, int]:
    """The control tokens by their text, with their ids, in the order of the file."""
    return {token["content"]: int(token["id"]) for token in document["added_tokens"] if token["special"]}


def merges_of(document: Document) -> list[Merge]:
    """The merges of a checked document, as byte strings."""
    return [(unwritten(left), unwritten(right)) for left, right in document["model"]["merges"]]


def canonical(document: Document) -> bytes:
    """The bytes of the file: compact JSON, so that equal vocabularies are equal files whoever made them."""
    return (json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n").encode()


def fingerprint_of(document: Document) -> str:
    """Hexadecimal SHA-256 of the file that `canonical` makes."""
    return hashlib.sha256(canonical(document)).hexdigest()


def bytes_of_ids(document: Document) -> tuple[bytes, ...]:
    """The bytes of each id from 0 to the largest: b"" for control tokens and for ids that nothing has."""
    added = document["added_tokens"]
    contents = {token["content"] for token in added}
    ids = {number: unwritten(entry) for entry, number in document["model"]["vocab"].items() if entry not in contents}
    ids |= {token["id"]: b"" if token["special"] else token["content"].encode() for token in added}
    return tuple(ids.get(number, b"") for number in range(max(ids) + 1))


def end_of_text_of(document: Document) -> int:
    """The id of the control token that ends a text, by the names that published vocabularies give it."""
    special = controls_of(document)
    for name in ENDS_OF_TEXT:
        if name in special:
            return special[name]
    raise TokenizerError(
        f"the vocabulary has no control token that ends a text: looked for {', '.join(ENDS_OF_TEXT)} among its "
        f"{len(special)} special added_tokens"
    )


def without_control_tokens(document: Document) -> Document:
    """The document with which text never becomes a control token: the special entries are taken out of it."""
    special = {token["content"] for token in document["added_tokens"] if token["special"]}
    ordinary = [token for token in document["added_tokens"] if not token["special"]]
    vocabulary = {entry: number for entry, number in document["model"]["vocab"].items() if entry not in special}
    vocabulary |= {token["content"]: token["id"] for token in ordinary}  # else an engine would number them anew
    model = {**document["model"], "vocab": vocabulary}
    return {**document, "added_tokens": ordinary, "post_processor": None, "model": model}


def recognised(document: Document) -> tuple[str, Document]:
    """The kind of vocabulary, told by its merges, and the document as we write it, whoever wrote this one.

    A document that is not laid out as ours is a "file" and stays as it is.
    """
    merges = merges_of(document)
    controls = [mark for mark in controls_of(document) if mark != END_OF_TEXT]
    ours = document_of(merges, controls)
    if document != ours:
        return "file", document
    if not merges:
        return "bytes", ours
    if all(_spells(left + right) for left, right in merges):
        return "chars", ours
    return "gpt2" if fingerprint_of(document_of(merges)) == GPT2_FINGERPRINT else "bpe", ours


def spelling_merges(characters: Iterable[str], room: int) -> list[Merge]:
    """Merges that make one entry of each character's UTF-8 bytes, in order, until `room` entries are used up.

    A lead byte always begins a character, so no merge ever reaches across two of them.
    """
    made: dict[bytes, Merge] = {}
    for character in characters:
        content = character.encode()
        missing = [content[:end] for end in range(2, len(content) + 1) if content[:end] not in made]
        if len(made) + len(missing) > room:
            break
        made |= {prefix: (prefix[:-1], prefix[-1:]) for prefix in missing}
    return list(made.values())


def _control(word: str, number: int) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": number, "content": word, **plain, "special": True}


def _spells(content: bytes) -> bool:
    """Whether the bytes are one character of several bytes, or the beginning of one."""
    n_bytes = 1 + sum(content[0] >= lead for lead in (0xC2, 0xE0, 0xF0))
    return len(content) <= n_bytes and all(0x80 <= byte < 0xC0 for byte in content[1:])
