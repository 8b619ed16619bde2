"""A text stream gives the text before the first stop string, in whole characters, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.generate.text import TextStream


def streamed(content: bytes, sizes: list[int], stop: list[str]) -> tuple[list[str], bool]:
    stream, pieces, place = TextStream(stop), [], 0
    for size in [*sizes, len(content)]:
        pieces.append(stream.feed(content[place : place + size]))
        place += size
        if stream.stopped:
            return pieces, True
    return [*pieces, stream.finish()], False


CUTS = st.lists(st.integers(1, 4), max_size=40)


@given(content=st.binary(max_size=60), sizes=CUTS)
def test_without_stops_the_pieces_are_the_decoded_bytes(content: bytes, sizes: list[int]) -> None:
    assert "".join(streamed(content, sizes, [])[0]) == content.decode(errors="replace")


@given(
    text=st.text("aäb€😀", max_size=40), sizes=CUTS, stop=st.lists(st.text("aäb€", min_size=1, max_size=4), max_size=3)
)
def test_the_text_ends_where_the_first_stop_string_begins(text: str, sizes: list[int], stop: list[str]) -> None:
    pieces, stopped = streamed(text.encode(), sizes, stop)
    found = [place for word in stop if (place := text.find(word)) >= 0]
    assert stopped == bool(found)
    if not found:
        assert "".join(pieces) == text
    elif len(stop) == 1:
        assert "".join(pieces) == text[: found[0]]
    else:
        assert "".join(pieces) in {text[:place] for place in found}


@given(text=st.text(max_size=30), sizes=CUTS)
def test_no_piece_ends_inside_a_character(text: str, sizes: list[int]) -> None:
    assert not any("\ufffd" in piece for piece in streamed(text.encode(), sizes, [])[0]) or "\ufffd" in text


def test_the_beginning_of_a_stop_string_is_held_back_until_it_is_decided() -> None:
    stream = TextStream(["\n\n"])
    assert [stream.feed(part) for part in (b"one\n", b"two\n", b"\nthree")] == ["one", "\ntwo", ""]
    assert stream.stopped
    other = TextStream(["\n\n"])
    assert [other.feed(b"one\n"), other.finish(), other.stopped] == ["one", "\n", False]


@pytest.mark.parametrize("tail", [b"\xf0\x9f", b"\xe2\x82", b"\xc3"])
def test_an_unfinished_character_becomes_a_replacement_only_at_the_end(tail: bytes) -> None:
    stream = TextStream()
    assert [stream.feed(b"a" + tail), stream.finish()] == ["a", "\ufffd"]
