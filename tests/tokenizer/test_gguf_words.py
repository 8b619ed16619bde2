"""The vocabulary of a GGUF: there and back for ours, llama.cpp's ways of cutting words for those of others."""

import re
from typing import Any

import pytest

from chainrule.base import TokenizerError
from chainrule.tokenizer import Tokenizer, gguf_vocabulary, tokenizer_from_gguf
from chainrule.tokenizer.check import checked
from chainrule.tokenizer.gguf_words import CONTROL, NORMAL, PRE, TOKENS, TYPES, UNUSED, USER_DEFINED, WAYS

MODERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\nA-Za-z\d]?[A-Za-z]+|DIGITS| ?[^\sA-Za-z\d]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
HARD = "it'S I'LL 'tis  12345 x=1;\n\n\tnaïve 東京 ½ Ⅷ\r\n   end \u2028\u3000 <|endoftext|>🙂"


def metadata(tokenizer: Tokenizer, **changes: Any) -> dict[str, Any]:
    return gguf_vocabulary(tokenizer, tokenizer.vocab_size + 2) | changes


@pytest.mark.parametrize("kind", ["bpe", "bytes", "chars"])
def test_our_vocabularies_come_back_as_the_same_file(every_kind: dict[str, Tokenizer], kind: str) -> None:
    ours = every_kind[kind]
    told = metadata(ours)
    assert told[TYPES][-3:] == [CONTROL, UNUSED, UNUSED] and told[TOKENS][-1] == f"[PAD{ours.vocab_size + 1}]"
    back = tokenizer_from_gguf(told)
    assert (back.fingerprint, back.kind, back.vocab_size) == (ours.fingerprint, ours.kind, ours.vocab_size)


@pytest.mark.parametrize(
    ("way", "expression"),
    [
        # What each name's words are on this text, by the expressions of llama.cpp, in Python's words.
        ("smollm", r"\d|'(?:[stmd]|re|ve|ll)| ?[A-Za-z]+| ?[^\sA-Za-z\d]+|\s+(?!\S)|\s+"),
        ("llama-bpe", MODERN.replace("DIGITS", r"\d{1,3}")),
        ("qwen2", MODERN.replace("DIGITS", r"\d")),
    ],
)
def test_words_are_cut_as_the_name_says(bpe: Tokenizer, way: str, expression: str) -> None:
    text = "it'S I'LL 'tis  12345 x=1;\n\n\tdon't 2026\r\n   end"
    tokenizer = tokenizer_from_gguf(metadata(bpe, **{PRE: way}))
    parts = [match.group() for match in re.finditer(expression, text)]
    if way == "smollm":  # digits are cut out first; what is left between them is cut by itself
        parts = [match.group() for part in re.split(r"(\d)", text) for match in re.finditer(expression, part)]
    # The plain vocabulary merges within each part; a part by itself has no neighbour to be cut from.
    alone = [tokenizer.encode(part) for part in parts]
    assert tokenizer.encode(text) == [number for ids in alone for number in ids]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(text) != bpe.encode(text)


def test_every_way_round_trips_and_is_found_again(bpe: Tokenizer) -> None:
    for way in WAYS:
        tokenizer = tokenizer_from_gguf(metadata(bpe, **{PRE: way}))
        assert tokenizer.decode(tokenizer.encode(HARD)) == HARD
        told = gguf_vocabulary(tokenizer, tokenizer.vocab_size)
        assert told[PRE] == way
        assert tokenizer_from_gguf(told).fingerprint == tokenizer.fingerprint


def test_added_words_and_control_tokens_are_told_apart(bpe: Tokenizer) -> None:
    told = metadata(bpe)
    n = len(told[TOKENS])
    told[TOKENS] = told[TOKENS] + ["<tool>", "<|im_end|>"]
    told[TYPES] = [*told[TYPES][:-2], CONTROL, CONTROL, USER_DEFINED, CONTROL]
    tokenizer = tokenizer_from_gguf(told)
    assert tokenizer.vocab_size == n + 2
    assert tokenizer.encode("<tool>") == [n] and n + 1 not in tokenizer.encode("<|im_end|>")
    assert tokenizer.token_bytes[n] == b"<tool>" and tokenizer.token_bytes[n + 1] == b""
    back = gguf_vocabulary(tokenizer, n + 2)
    assert back[TYPES][-2:] == [USER_DEFINED, CONTROL] and back[TOKENS][-2:] == ["<tool>", "<|im_end|>"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer.ggml.model": "llama"}, "tokenizer.ggml.model is 'llama'; only 'gpt2'"),
        ({"tokenizer.ggml.model": None}, "model is None"),
        ({PRE: "default"}, "pre is 'default', which is not known here; known: gpt-2, smollm, llama-bpe, qwen2"),
        ({PRE: ["gpt-2"]}, "not known here"),
        ({TOKENS: None}, "tokens is missing"),
        ({TOKENS: [1, 2]}, "tokens is missing, or is no list of texts"),
        ({TYPES: [NORMAL]}, "token_type does not say"),
        ({"tokenizer.ggml.merges": ["a b c"]}, "not a pair"),
        ({"tokenizer.ggml.merges": ["a qqqqqq"]}, "which is no byte-level entry"),
    ],
)
def test_a_damaged_vocabulary_is_refused_by_name(bpe: Tokenizer, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        tokenizer_from_gguf(metadata(bpe, **changes))


def test_a_token_twice_and_a_byte_token_are_refused(bpe: Tokenizer) -> None:
    told = metadata(bpe)
    with pytest.raises(TokenizerError, match="holds '!' twice"):
        tokenizer_from_gguf(told | {TOKENS: ["!", *told[TOKENS][:1], *told[TOKENS][2:]]})
    with pytest.raises(TokenizerError, match="'!' is of type 6"):
        tokenizer_from_gguf(told | {TYPES: [6, *told[TYPES][1:]]})


def test_ways_that_a_gguf_has_no_name_for_are_refused(bpe: Tokenizer) -> None:
    def of(**changes: Any) -> Tokenizer:
        return Tokenizer(checked({**bpe._document, **changes}), kind="file")

    with pytest.raises(TokenizerError, match="normalises text to NFC"):
        gguf_vocabulary(of(normalizer={"type": "NFC"}), bpe.vocab_size)
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    with pytest.raises(TokenizerError, match=r"in a way that has no name here .* Export it to hf"):
        gguf_vocabulary(of(pre_tokenizer=level), bpe.vocab_size)
