import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from chainrule.base import TokenizerError
from chainrule.tokenizer import Tokenizer, load_tokenizer, train_bpe
from chainrule.tokenizer.train import byte_tokenizer, char_tokenizer

KINDS = ("bpe", "bytes", "chars")
SMALL = {
    "bpe": train_bpe(["the cat sat on the mat, the cat's mat — déjà vu 猫猫猫 " * 3], 300),
    "bytes": byte_tokenizer(),
    "chars": char_tokenizer(["naïve 猫 👩‍👩‍👧‍👦"]),
}


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text())
def test_every_text_comes_back_as_it_was(kind: str, text: str) -> None:
    tokenizer = SMALL[kind]
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
@given(
    content=st.binary()
    | st.text().map(str.encode)
    | st.lists(st.sampled_from([b"\xe7\x8c", b"\xab", b"cat", b"\xff", b"\xed\xa0\x80"])).map(b"".join)
)
def test_every_byte_string_comes_back_as_it_was(kind: str, content: bytes) -> None:
    tokenizer = SMALL[kind]
    assert tokenizer.decode_bytes(tokenizer.encode_bytes(content)) == content


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text())
def test_the_bytes_of_a_text_have_the_ids_of_the_text(kind: str, text: str) -> None:
    tokenizer = SMALL[kind]
    assert tokenizer.encode_bytes(text.encode()) == tokenizer.encode(text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_has_the_ids_of_its_texts(kind: str, every_kind: dict[str, Tokenizer], texts: list[str]) -> None:
    tokenizer = every_kind[kind]
    batch = tokenizer.encode_batch(texts)
    assert all(ids.dtype == np.uint32 for ids in batch)
    assert [ids.tolist() for ids in batch] == [tokenizer.encode(text) for text in texts]
    assert [tokenizer.decode(ids) for ids in batch] == texts
    assert tokenizer.encode_batch([]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_of_the_control_token_is_ordinary_text(kind: str, every_kind: dict[str, Tokenizer]) -> None:
    tokenizer = every_kind[kind]
    for text in ("<|endoftext|>", "a<|endoftext|>b <|endoftext|>\n"):
        for ids in (
            tokenizer.encode(text),
            tokenizer.encode_batch([text])[0].tolist(),
            tokenizer.encode_bytes(text.encode()),
        ):
            assert tokenizer.end_of_text not in ids
            assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_laid_out_as_in_gpt2(kind: str, every_kind: dict[str, Tokenizer]) -> None:
    tokenizer = every_kind[kind]
    assert tokenizer.kind == kind
    assert sorted(tokenizer.token_bytes[:256]) == [bytes([byte]) for byte in range(256)]
    assert tokenizer.token_bytes[0] == b"!" and tokenizer.token_bytes[220] == b" "
    assert tokenizer.end_of_text == tokenizer.vocab_size - 1 == len(tokenizer.token_bytes) - 1
    assert tokenizer.token_bytes[tokenizer.end_of_text] == b""


def test_byte_lengths_are_the_lengths_of_the_entries(bpe: Tokenizer) -> None:
    assert bpe.byte_lengths.dtype == np.int32
    assert bpe.byte_lengths.tolist() == [len(content) for content in bpe.token_bytes]
    with pytest.raises(ValueError, match="read-only"):
        bpe.byte_lengths[0] = 5


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_reads_the_file_with_the_same_ids(
    kind: str, every_kind: dict[str, Tokenizer], texts: list[str], tmp_path: Path
) -> None:
    tokenizer = every_kind[kind]
    tokenizer.save(tmp_path)
    ordinary = [text for text in texts if "<|endoftext|>" not in text]
    by_file = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    for theirs in (AutoTokenizer.from_pretrained(tmp_path), by_file):
        assert len(theirs) == tokenizer.vocab_size
        assert theirs.convert_tokens_to_ids("<|endoftext|>") == tokenizer.end_of_text
        for text in ordinary:
            ids = tokenizer.encode(text)
            assert theirs.encode(text, add_special_tokens=False) == ids
            assert theirs.decode(ids, clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_vocabulary_loads_as_what_it_was(kind: str, every_kind: dict[str, Tokenizer], tmp_path: Path) -> None:
    tokenizer = every_kind[kind]
    tokenizer.save(tmp_path / "mine.json")
    loaded = load_tokenizer(tmp_path / "mine.json")
    assert (loaded.kind, loaded.fingerprint) == (kind, tokenizer.fingerprint)
    assert loaded.token_bytes == tokenizer.token_bytes
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "mine.json").read_bytes()


def test_the_fingerprint_is_the_hash_of_the_file(bpe: Tokenizer, tmp_path: Path) -> None:
    from chainrule.base import sha256_of_file

    bpe.save(tmp_path / "tokenizer.json")
    assert sha256_of_file(tmp_path / "tokenizer.json") == bpe.fingerprint


def test_a_tokenizer_travels_to_another_process(bpe: Tokenizer, texts: list[str]) -> None:
    arrived: Tokenizer = pickle.loads(pickle.dumps(bpe))
    assert (arrived.fingerprint, arrived.kind, arrived.made_by) == (bpe.fingerprint, bpe.kind, bpe.made_by)
    assert arrived.encode(texts[0]) == bpe.encode(texts[0])


@pytest.mark.parametrize("encode", [Tokenizer.encode, lambda tokenizer, text: tokenizer.encode_batch(["fine", text])])
def test_half_a_character_is_refused_with_its_place(bpe: Tokenizer, encode) -> None:
    with pytest.raises(TokenizerError, match=r"character 5 .*lone surrogate '\\ud800'"):
        encode(bpe, "five \ud800")


@pytest.mark.parametrize("outside", [-1, 1000, 2**40])
def test_an_id_outside_the_vocabulary_is_refused_with_its_place(bpe: Tokenizer, outside: int) -> None:
    with pytest.raises(TokenizerError, match=rf"id {outside} at position 2 .* 0 to 999"):
        bpe.decode([5, 6, outside])


def test_control_tokens_and_broken_characters_decode_to_nothing_and_to_a_mark(bpe: Tokenizer) -> None:
    ids = [*bpe.encode("a"), bpe.end_of_text, *bpe.encode_bytes(b"\xe7\x8c"), *bpe.encode("b")]
    assert bpe.decode(ids) == "a\ufffdb"
    assert bpe.decode_bytes(np.array(ids, dtype=np.uint32)) == b"a\xe7\x8cb"
    assert bpe.decode([]) == ""


@pytest.mark.parametrize("character", ["a", " ", "^", "\n", "猫", "\u0301"])
def test_a_megabyte_of_one_character_takes_a_moment(bpe: Tokenizer, character: str) -> None:
    text = character * (1_000_000 // len(character.encode()))
    assert bpe.decode(bpe.encode(text)) == text
    assert bpe.decode(bpe.encode_batch([text])[0]) == text
