import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from chainrule.base import TokenizerError
from chainrule.tokenizer.alphabet import CHARACTER_OF_BYTE, SINGLE_BYTES, unwritten, utf8, written


def test_the_alphabet_is_that_of_the_reference() -> None:
    assert set(CHARACTER_OF_BYTE.values()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(CHARACTER_OF_BYTE.values()) == list(CHARACTER_OF_BYTE.values())
    assert sorted(SINGLE_BYTES) == [bytes([byte]) for byte in range(256)]


@given(st.binary())
def test_what_is_written_is_read_back(content: bytes) -> None:
    assert unwritten(written(content)) == content


def test_entries_look_as_in_gpt2() -> None:
    assert written(b" the\n") == "ĠtheĊ"


def test_utf8_refuses_half_a_character() -> None:
    assert utf8("é") == b"\xc3\xa9"
    with pytest.raises(TokenizerError, match=r"character 1 .*'\\udfff'"):
        utf8("a\udfff")
