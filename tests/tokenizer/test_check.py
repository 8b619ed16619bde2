import json
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from chainrule.base import TokenizerError
from chainrule.tokenizer import load_tokenizer
from chainrule.tokenizer.alphabet import written
from chainrule.tokenizer.check import parsed
from chainrule.tokenizer.document import canonical, document_of

MERGES = [(b"a", b"b"), (b"ab", b"ab")]


def changed(**changes: Any) -> bytes:
    """A good file in which some keys are replaced; "model__vocab" is the key vocab in model."""
    document = json.loads(canonical(document_of(MERGES)))
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for key in parents:
            place = place[key]
        place[last] = value
    return json.dumps(document).encode()


def with_vocabulary(**changes: int) -> bytes:
    return changed(model__vocab=document_of(MERGES)["model"]["vocab"] | changes)


BAD = [
    (b"", "not the JSON"),
    (b"{", "not the JSON"),
    (b"\xff\xfe", "not the JSON"),
    (b"[" * 100_000, "not the JSON"),
    (b"[]", "not a tokenizer.json"),
    (b"null", "not a tokenizer.json"),
    (b'{"model": 3}', "not a tokenizer.json"),
    (b'{"model": {}, "model": {}}', "'model' stands there twice"),
    (b'{"model": {"vocab": {"a": NaN}}}', "NaN is not JSON"),
    (canonical(document_of(MERGES))[:-50], "not the JSON"),
    (changed(model__type="WordPiece"), "model.type is 'WordPiece'; only BPE"),
    (changed(model__type=["BPE"]), r"model.type is \['BPE'\]"),
    (changed(model__vocab=None), "model.vocab is missing"),
    (changed(model__vocab=["a"]), "model.vocab is missing"),
    (changed(model__merges=None), "model.merges is missing"),
    (changed(model__merges="a b"), "model.merges is missing"),
    (changed(model__merges=["a b c"]), "'a b c' in model.merges is not a pair"),
    (changed(model__merges=[["a", 3]]), "is not a pair"),
    (changed(model__merges=[7]), "7 in model.merges is not a pair"),
    (changed(model__merges=[["a", "c"]]), "the merge of 'a' and 'c' needs 'ac', which is no byte-level entry"),
    (changed(model__dropout=0.1), "model.dropout is 0.1"),
    (changed(model__end_of_word_suffix="</w>"), "model.end_of_word_suffix"),
    (with_vocabulary(ab=0), "'!' and 'ab' have the same id 0"),
    (with_vocabulary(ab=-1), "the id of 'ab' is -1"),
    (with_vocabulary(ab=2.5), "the id of 'ab' is 2.5"),
    (with_vocabulary(ab=True), "the id of 'ab' is True"),
    (with_vocabulary(ab=2**24), "the id of 'ab' is 16777216; .* to 16777215"),
    (with_vocabulary(**{"▁the": 300}), "'▁the' is not written in GPT-2's byte alphabet"),
    (with_vocabulary(**{"<|endoftext|>": 300}), "id 300 in the vocabulary and 258 in added_tokens"),
    (
        changed(model__vocab={"a": 0, "b": 1, "ab": 2, "abab": 3}),
        r"254 of the 256 bytes have no entry \(first 0x00\)",
    ),
    (
        changed(
            model__vocab=document_of(MERGES)["model"]["vocab"] | {"▁": 259, "▁a": 260},
            model__merges=[["▁", "a"]],
            added_tokens=[
                {"content": part, "id": number, "special": False} for part, number in (("▁", 259), ("▁a", 260))
            ],
        ),
        "the merge of '▁' and 'a' needs '▁', which is no byte-level entry",
    ),
    (changed(added_tokens="x"), "added_tokens is not a list"),
    (changed(added_tokens=[{"content": "x"}]), "added_tokens is not a list"),
    (changed(normalizer={"type": "Lowercase"}), "normalizer 'Lowercase' changes the text"),
    (changed(normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Strip"}]}), "'Strip'"),
    (changed(normalizer={"type": "Sequence"}), "not a step of normalizers"),
    (changed(pre_tokenizer=None), "no ByteLevel step"),
    (changed(pre_tokenizer={"type": "Metaspace"}), "no ByteLevel step"),
    (changed(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True}), "a space before every text"),
    (
        changed(pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "ByteLevel"}]}),
        "'Whitespace' drops a part",
    ),
    (
        changed(
            pre_tokenizer={
                "type": "Sequence",
                "pretokenizers": [{"type": "Split", "behavior": "Removed"}, {"type": "ByteLevel"}],
            }
        ),
        "'Split' drops a part",
    ),
]


@pytest.mark.parametrize(("content", "said"), BAD, ids=[said for _, said in BAD])
def test_each_fault_of_a_file_is_named(content: bytes, said: str) -> None:
    with pytest.raises(TokenizerError, match=said):
        parsed(content)


@given(
    st.binary()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["model", "vocab", "merges", "type", "added_tokens"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_file_whatever_is_answered_with_anything_else(content: bytes) -> None:
    with pytest.raises(TokenizerError):
        parsed(content)


def added(n_tokens: int) -> bytes:
    return changed(added_tokens=[{"id": n, "content": str(n), "special": True} for n in range(n_tokens)])


BEYOND = {
    "entries": (lambda: changed(model__vocab={f"{n:x}": n for n in range(660_000)}), "has more than 524,288 entries"),
    "text": (
        lambda: changed(model__vocab={"a" * (2 << 20): 300}),
        r"holds a text of 2\.0 MiB; up to 1\.0 MiB are read",
    ),
    "entry": (lambda: with_vocabulary(**{"a" * 70_000: 300}), "has an entry of 70,000 characters; up to 65,536 are"),
    "added": (lambda: added(131_073), "has 131,073 added tokens; up to 131,072 are read"),
    "spelt otherwise": (lambda: added(131_073).replace(b"spec", b"s\\u0070ec"), "has 131,073 added tokens; up to"),
}


@pytest.mark.parametrize("name", BEYOND)
def test_more_than_any_has_is_refused_before_an_engine_is_made_of_it(name: str) -> None:
    make, said = BEYOND[name]
    with pytest.raises(TokenizerError, match=said):
        parsed(make())


def test_a_vocabulary_of_many_times_the_rows_of_its_model_is_refused_before_it_is_parsed() -> None:
    content = with_vocabulary(**{f"a{n}": n for n in range(300, 5000)})[:-1]
    with pytest.raises(TokenizerError, match=r"more than 1,980 entries, the model only 1,000 rows; they do not"):
        parsed(content, 1000)
    with pytest.raises(TokenizerError, match="not the JSON"):
        parsed(content, 4000)


def test_both_ways_to_write_a_merge_mean_the_same() -> None:
    assert parsed(changed(model__merges=["a b", "ab ab"])) == parsed(changed())
    assert parsed(changed()) == document_of(MERGES)


def test_a_limit_and_padding_are_left_out() -> None:
    limit = {"max_length": 3, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
    assert parsed(changed(truncation=limit, padding={"strategy": "BatchLongest"})) == document_of(MERGES)


RARE = ("\x04", "\x7f", "\U00050000", "\U00090000")


def lacking(*contents: bytes) -> dict:
    """A vocabulary without some single bytes, as SmolLM2's is."""
    absent = {written(content) for content in contents}
    vocabulary = [entry for entry in document_of([])["model"]["vocab"] if entry not in absent]
    document = json.loads(canonical(document_of([])))
    document["model"]["vocab"] = {entry: number for number, entry in enumerate(vocabulary)}
    document["added_tokens"][0]["id"] = len(vocabulary) - 1
    return document


def test_characters_without_a_byte_become_the_replacement_character_by_the_file_itself(tmp_path):
    document = lacking(b"\x04", b"\x7f", b"\xf1", b"\xf2", b"\xc0", b"\xff")
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    tokenizer = load_tokenizer(tmp_path)
    for character in RARE:
        assert tokenizer.decode(tokenizer.encode(f"a{character}b")) == "a\ufffdb"
    for text in ("a\tb\r\n\x05 \U000e0100 \U0010ffff é", ""):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert [ids.tolist() for ids in tokenizer.encode_batch(["x\x04y"])] == [tokenizer.encode("x\x04y")]
    assert tokenizer.decode_bytes(tokenizer.encode_bytes(b"a\xffb\xf5")) == b"a\xef\xbf\xbdb\xf5"
    tokenizer.save(tmp_path / "again.json")
    again = load_tokenizer(tmp_path / "again.json")
    assert again.fingerprint == tokenizer.fingerprint
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "again.json"))
    assert theirs.encode("a\x04\U00050000b").ids == tokenizer.encode("a\x04\U00050000b")


@pytest.mark.parametrize("content", [b"a", b"\n", b"\xc3", b"\x80", b"\xf0"])
def test_a_vocabulary_without_a_byte_that_text_has_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(json.dumps(lacking(content)))
    with pytest.raises(TokenizerError, match="1 of the 256 bytes have no entry"):
        load_tokenizer(tmp_path)
