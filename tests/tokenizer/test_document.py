import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from chainrule.tokenizer.document import (
    Document,
    canonical,
    document_of,
    fingerprint_of,
    merges_of,
    recognised,
    spelling_merges,
    without_control_tokens,
)

MERGES = [(b"a", b"b"), (b"ab", b"ab"), (b" ", b"ab"), (b"b", b"ab"), (b"a", b"bab")]


def test_two_ways_to_the_same_bytes_share_an_entry() -> None:
    document = document_of(MERGES)
    assert merges_of(document) == MERGES
    assert len(document["model"]["vocab"]) == 256 + 4 + 1


def test_the_canonical_file_is_read_by_the_reference() -> None:
    engine = tokenizers.Tokenizer.from_str(canonical(document_of(MERGES)).decode())
    assert engine.encode("abab ab").ids == [257, 258]
    assert engine.get_vocab_size() == 261


def test_a_document_without_control_tokens_knows_no_end_of_text() -> None:
    engine = tokenizers.Tokenizer.from_str(canonical(without_control_tokens(document_of([]))).decode())
    assert len(engine.encode("<|endoftext|>").ids) == 13


def test_equal_merges_have_equal_fingerprints() -> None:
    assert fingerprint_of(document_of(MERGES)) == fingerprint_of(document_of(list(MERGES)))
    assert fingerprint_of(document_of(MERGES)) != fingerprint_of(document_of(MERGES[:-1]))


@given(st.lists(st.characters(codec="utf-8"), max_size=30))
def test_spelling_merges_make_one_entry_of_each_character(characters: list[str]) -> None:
    document = document_of(spelling_merges(characters, 1_000))
    engine = tokenizers.Tokenizer.from_str(canonical(document).decode())
    text = "".join(characters)
    assert len(engine.encode(text).ids) == len(text)
    assert recognised(document)[0] == ("bytes" if text.isascii() else "chars")


@given(st.lists(st.characters(codec="utf-8", min_codepoint=128), max_size=30), st.integers(0, 20))
def test_spelling_merges_keep_to_their_room(characters: list[str], room: int) -> None:
    assert len(spelling_merges(characters, room)) <= room


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (document_of([]), "bytes"),
        (document_of(MERGES), "bpe"),
        (document_of([(b"\xc3", b"\xa9"), (b"\xc3\xa9", b"\xc3\xa9")]), "bpe"),
        (document_of([(b"\xc3", b"\xa9")]), "chars"),
        ({**document_of(MERGES), "post_processor": {"type": "ByteLevel"}}, "file"),
    ],
)
def test_the_kind_is_told_by_the_merges(document: Document, kind: str) -> None:
    assert recognised(document) == (kind, document)
    reordered = dict(reversed(document.items()))
    assert (canonical(recognised(reordered)[1]) == canonical(document)) is (kind != "file")
