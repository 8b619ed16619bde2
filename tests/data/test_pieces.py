import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.data.pieces import PIECE_BYTES, cut_position, cut_text, line_cut
from chainrule.tokenizer import train_bpe

texts = st.text(st.sampled_from("ab \n\tÄ語😀"), min_size=2, max_size=60)


def test_the_parts_of_a_long_text_join_to_the_text_and_are_valid_utf8():
    content = ("語 " * 5 + "word\n" + "é" * 7).encode() * 40_000
    parts = [part for part, _ in cut_text(content)]
    assert b"".join(parts) == content
    assert all(len(part) <= PIECE_BYTES and part.decode() for part in parts)
    assert len(parts) > 3


def test_a_text_without_any_space_is_cut_between_characters():
    content = "語".encode() * 200_000
    parts = list(cut_text(content))
    assert b"".join(part for part, _ in parts) == content
    assert all(part.decode() for part, _ in parts)
    assert [last for _, last in parts] == [False] * (len(parts) - 1) + [True]


@given(texts, st.data())
def test_a_cut_never_splits_a_character(text, data):
    content = text.encode()
    limit = data.draw(st.integers(1, len(content)))
    cut = cut_position(content, limit)
    assert 0 <= cut <= limit
    content[:cut].decode(), content[cut:].decode()


@given(texts, st.data())
def test_a_line_cut_splits_no_character_and_prefers_line_ends(text, data):
    content = text.encode()
    position, reach = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 30))
    cut = line_cut(content, position, reach)
    content[:cut].decode(), content[cut:].decode()
    assert cut < len(content) and position - max(reach, 3) <= cut <= position + reach
    if b"\n" in content[max(position - reach, 0) : position + reach][:-1] and cut < position:
        assert content[cut - 1 : cut] == b"\n"


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("abc 's1.,\n\t"), min_size=40, max_size=80), st.integers(20, 39))
def test_cutting_before_white_space_leaves_the_tokens_as_they_were(text, limit):
    content = text.encode()
    cut = cut_position(content, limit)
    if content[cut : cut + 1].isspace():
        parts = [TOKENIZER.encode(part.decode()) for part in (content[:cut], content[cut:])]
        assert parts[0] + parts[1] == TOKENIZER.encode(text)


TOKENIZER = train_bpe(["abc cab's a1 1a. ,a\n\n\tabc\nab c 'sab  cab"] * 3, 300)


@pytest.mark.parametrize(
    ("content", "position", "reach", "cut"),
    [
        ("one\ntwo\nthree\n", 5, 4, "one\ntwo\n"),
        ("one\ntwo and more of it\n", 6, 4, "one\n"),
        ("# A title\none two. Three four", 24, 9, "# A title\none two. "),
        ("one two three four", 6, 4, "one two "),
        ("語語語語。語語", 8, 8, "語語語語。"),
        ("語語語語", 7, 2, "語語"),
        ("no end near\nlong" * 3, 20, 1, "no end near\nlongno e"),
    ],
)
def test_a_cut_is_moved_to_the_end_of_a_line_a_sentence_or_a_word_that_is_near(content, position, reach, cut):
    content = content.encode()
    assert content[: line_cut(content, position, reach)].decode() == cut
