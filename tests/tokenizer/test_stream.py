import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.tokenizer.stream import StreamDecoder
from chainrule.tokenizer.train import byte_tokenizer, char_tokenizer

BYTES = byte_tokenizer()
CHARACTERS = char_tokenizer(["naïve 猫"])


@pytest.mark.parametrize("tokenizer", [BYTES, CHARACTERS])
@given(text=st.text(), step=st.integers(1, 5))
def test_each_character_comes_whole_and_the_parts_make_the_text(tokenizer, text: str, step: int) -> None:
    decoder = StreamDecoder(tokenizer)
    ids = tokenizer.encode(text)
    shown = ""
    for start in range(0, len(ids), step):
        shown += decoder.feed(ids[start : start + step])
        assert text.startswith(shown)
    assert shown + decoder.flush() == text


@given(content=st.binary())
def test_the_parts_of_broken_text_make_what_decode_makes(content: bytes) -> None:
    decoder = StreamDecoder(BYTES)
    ids = BYTES.encode_bytes(content)
    assert "".join(decoder.feed([number]) for number in ids) + decoder.flush() == BYTES.decode(ids)


def test_an_unfinished_character_is_marked_at_the_end_and_then_forgotten() -> None:
    decoder = StreamDecoder(BYTES)
    assert decoder.feed(BYTES.encode_bytes("猫".encode()[:2])) == ""
    assert decoder.flush() == "\ufffd"
    assert decoder.feed(BYTES.encode("a")) == "a"


def test_control_tokens_are_silent() -> None:
    decoder = StreamDecoder(BYTES)
    assert decoder.feed([BYTES.end_of_text]) == ""
