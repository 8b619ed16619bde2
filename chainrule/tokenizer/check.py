"""What a tokenizer.json must be before it is trusted: byte-level BPE that keeps every byte of every text.

Some published vocabularies (SmolLM2's) lack a few bytes that text hardly has: some control characters, and the first
bytes of planes of Unicode that are not assigned. Engines drop those characters without a word. Here a normalizer that
stands in the file, and that every reader of it obeys, writes U+FFFD in their place.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from chainrule.base import TokenizerError, refuse_crowded
from chainrule.tokenizer.alphabet import BYTE_OF_CHARACTER
from chainrule.tokenizer.bounds import MOST_ENTRIES, refuse_added, refuse_beyond, refuse_long
from chainrule.tokenizer.document import Document

LARGEST_ID = 2**24 - 1
ALPHABET = frozenset(BYTE_OF_CHARACTER)
# The characters that begin with these bytes: all of planes 4 to 16, in which nothing is assigned but private use and
# (plane 14, under F3) tags and variation selectors.
LEADS = {0xF1: "\\x{40000}-\\x{7FFFF}", 0xF2: "\\x{80000}-\\x{BFFFF}", 0xF3: "\\x{C0000}-\\x{FFFFF}"}
LEADS[0xF4] = "\\x{100000}-\\x{10FFFF}"
CONTROLS = frozenset(range(0x20)) - frozenset(b"\t\n\r") | {0x7F}
NEVER_IN_UTF8 = frozenset((0xC0, 0xC1, *range(0xF5, 0x100)))


def parsed(content: bytes, n_rows: int | None = None) -> Document:
    """The checked document of a file's content; raises TokenizerError saying what is wrong with it.

    With the rows of its model, also where it has far more entries than these.
    """
    try:
        refuse_crowded(content)
        refuse_beyond(content, n_rows)
        document = json.loads(content.decode(), object_pairs_hook=_each_key_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as fault:
        raise TokenizerError(f"not the JSON of a tokenizer: {fault}") from None
    if not isinstance(document, Mapping) or not isinstance(document.get("model"), Mapping):
        raise TokenizerError('not a tokenizer.json: there is no "model" with vocab and merges')
    return checked(document)


def checked(document: Document) -> Document:
    """The document with every part in one way of writing it; raises TokenizerError saying what is wrong with it."""
    _check_model(document["model"])
    _check_added(document.get("added_tokens") or [])
    document = {"normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None} | dict(document)
    model = {**document["model"], "type": "BPE", "merges": [_pair(merge) for merge in document["model"]["merges"]]}
    # A limit on the length, and padding, are about one use of the file, not about the vocabulary.
    document |= {
        "truncation": None,
        "padding": None,
        "added_tokens": document.get("added_tokens") or [],
        "model": model,
    }
    _check_entries(document)
    replacing = _replacing(document["model"]["vocab"])
    if replacing is not None and replacing not in _steps(document["normalizer"], "normalizers"):
        rest = document["normalizer"]
        both = replacing if rest is None else {"type": "Sequence", "normalizers": [rest, replacing]}
        document["normalizer"] = both
    _check_ways(document, replacing)
    return document


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = sorted(key for key, _ in pairs)
        raise ValueError(f"{next(a for a, b in pairwise(keys) if a == b)!r} stands there twice")
    return made


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_model(model: Mapping[str, Any]) -> None:
    if model.get("type", "BPE") != "BPE":
        raise TokenizerError(
            f"model.type is {model['type']!r}; only BPE is read here, the kind of GPT-2, Llama 3 and Qwen"
        )
    if not isinstance(model.get("vocab"), Mapping):
        raise TokenizerError("model.vocab is missing, or is not an object of entries and ids")
    if len(model["vocab"]) > MOST_ENTRIES:
        raise TokenizerError(f"model.vocab has {len(model['vocab']):,} entries; up to {MOST_ENTRIES:,} are read")
    refuse_long(model["vocab"])
    if not isinstance(model.get("merges"), list):
        raise TokenizerError("model.merges is missing, or is not a list; the file is cut off or was edited")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise TokenizerError(
                f"model.{name} is {model[name]!r}; with it one text has no one exact encoding, so it must be null"
            )


def _check_added(added: Any) -> None:
    fitting = isinstance(added, list) and all(
        isinstance(token, Mapping)
        and isinstance(token.get("content"), str)
        and _is_id(token.get("id"))
        and isinstance(token.get("special"), bool)
        for token in added
    )
    if not fitting:
        raise TokenizerError("added_tokens is not a list of tokens, each with content, id and special")
    refuse_added(len(added))
    refuse_long(token["content"] for token in added)


def _pair(merge: object) -> list[str]:
    """A merge in either way of writing it: "a b" (before 2024) or ["a", "b"]."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise TokenizerError(f"{merge!r} in model.merges is not a pair of entries")
    return parts


def _check_entries(document: Document) -> None:
    vocabulary = document["model"]["vocab"]
    added = {token["content"]: token["id"] for token in document["added_tokens"]}
    for entry, number in vocabulary.items():
        if not _is_id(number):
            raise TokenizerError(f"the id of {entry!r} is {number!r}; ids are whole numbers from 0 to {LARGEST_ID}")
        if entry not in added and not ALPHABET.issuperset(entry):
            raise TokenizerError(
                f"the entry {entry!r} is not written in GPT-2's byte alphabet; only byte-level BPE is read here"
            )
        if added.get(entry, number) != number:
            raise TokenizerError(f"{entry!r} has the id {number} in the vocabulary and {added[entry]} in added_tokens")
    _check_one_entry_per_id({**vocabulary, **added})
    for left, right in document["model"]["merges"]:
        for entry in (left, right, left + right):
            if entry not in vocabulary or not ALPHABET.issuperset(entry):
                raise TokenizerError(
                    f"the merge of {left!r} and {right!r} needs {entry!r}, which is no byte-level entry"
                )
    absent = sorted(_absent(vocabulary))
    if set(absent) - CONTROLS - NEVER_IN_UTF8 - LEADS.keys():
        raise TokenizerError(
            f"{len(absent)} of the 256 bytes have no entry (first 0x{absent[0]:02X}), so not every text can be held"
        )


def _absent(vocabulary: Mapping[str, int]) -> set[int]:
    """The bytes that have no entry."""
    return {BYTE_OF_CHARACTER[character] for character in BYTE_OF_CHARACTER.keys() - vocabulary.keys()}


def _replacing(vocabulary: Mapping[str, int]) -> dict[str, Any] | None:
    """The normalizer that writes U+FFFD for the characters that the vocabulary cannot hold; None when it holds all."""
    absent = sorted(_absent(vocabulary) - NEVER_IN_UTF8)
    if not absent:
        return None
    expression = "".join(LEADS.get(byte, f"\\x{byte:02X}") for byte in absent)
    return {"type": "Replace", "pattern": {"Regex": f"[{expression}]"}, "content": "\ufffd"}


def _check_one_entry_per_id(ids: Mapping[str, int]) -> None:
    entry_of: dict[int, str] = {}
    for entry, number in ids.items():
        if entry_of.setdefault(number, entry) != entry:
            raise TokenizerError(f"{entry_of[number]!r} and {entry!r} have the same id {number}")


def _check_ways(document: Document, replacing: Mapping[str, Any] | None) -> None:
    """What happens to a text before its words are merged must keep all of it, but for what cannot be held."""
    for step in _steps(document["normalizer"], "normalizers"):
        if step.get("type") != "NFC" and step != replacing:
            raise TokenizerError(f"the normalizer {step.get('type')!r} changes the text; only NFC is read here")
    splits = list(_steps(document["pre_tokenizer"], "pretokenizers"))
    if [step.get("type") for step in splits].count("ByteLevel") != 1:
        raise TokenizerError("the pre_tokenizer has no ByteLevel step; only byte-level BPE is read here")
    for step in splits:
        if step.get("type") not in ("ByteLevel", "Split", "Digits", "Punctuation") or step.get("behavior") == "Removed":
            raise TokenizerError(f"the pre_tokenizer step {step.get('type')!r} drops a part of the text")
        if step.get("add_prefix_space"):
            raise TokenizerError("add_prefix_space puts a space before every text, which would not come back as it was")


def _steps(step: object, inner: str) -> Iterator[Mapping[str, Any]]:
    if step is None:
        return
    if not isinstance(step, Mapping) or (step.get("type") == "Sequence" and not isinstance(step.get(inner), list)):
        raise TokenizerError(f"{step!r} is not a step of {inner}")
    if step.get("type") == "Sequence":
        for part in step[inner]:
            yield from _steps(part, inner)
    else:
        yield step


def _is_id(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= LARGEST_ID
