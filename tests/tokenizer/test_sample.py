from hypothesis import given
from hypothesis import strategies as st

from chainrule.tokenizer import sample
from chainrule.tokenizer.sample import (
    LONGEST_WORD,
    MOST_BYTES,
    OVERHEAD_BYTES,
    SAMPLE_BYTES,
    bounded_sample,
    sample_bytes,
)


@given(st.lists(st.text()))
def test_small_texts_are_taken_whole_and_empty_ones_left_out(texts: list[str]) -> None:
    assert bounded_sample(texts) == [text.encode() for text in texts if text]


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=200), st.integers(200, 2000))
def test_a_large_stream_gives_a_bounded_part_of_it(texts: list[str], max_bytes: int) -> None:
    taken = bounded_sample(iter(texts), max_bytes)
    assert sum(len(piece) + OVERHEAD_BYTES for piece in taken) <= max_bytes
    stride = next(n for n in (1, 2, 4, 8, 16, 32, 64, 128) if len(texts[::n]) == len(taken))
    assert taken == [text.encode() for text in texts[::stride]]


def test_no_count_can_overflow_32_bits() -> None:
    assert max(map(sample_bytes, (257, 65_536, 200_000, 1_000_000))) == MOST_BYTES < 2**31


def test_a_long_document_is_taken_in_parts_from_its_beginning_to_its_end() -> None:
    text = "".join(f"line {number} of a long text\n" for number in range(100_000))
    taken = bounded_sample([text], 1_000_000)
    assert 400_000 < sum(map(len, taken)) <= 1_000_000
    places = [text.encode().find(piece) for piece in taken]
    assert places == sorted(places) and places[0] == 0 and places[-1] > len(text) * 0.7


def test_text_without_a_space_is_cut_all_the_same() -> None:
    taken = bounded_sample(["猫" * 3_000_000], 2_000_000)
    assert 0 < sum(map(len, taken)) <= 2_000_000


def test_long_words_are_cut_and_nothing_is_lost() -> None:
    for word in ("a", "1", " ", "_", "猫", "-", "acgt", "é"):
        text = f"before {word * 2000} after"
        taken = [piece.decode() for piece in bounded_sample([text])]
        assert "".join(taken) == text
        assert max(map(len, taken)) <= LONGEST_WORD + 8, word


def test_text_with_short_words_is_not_cut() -> None:
    text = "-_" * 100 + " " + "a1" * 500 + " words " * 1000
    assert sample.bounded_sample([text]) == [text.encode()]


def test_a_large_vocabulary_learns_from_more_text():
    sizes = [sample_bytes(entries) for entries in (257, 4096, 65_536, 100_000, 200_000)]
    assert sizes[:3] == [SAMPLE_BYTES] * 3 and sizes[3:] == [102_400_000, 204_800_000]
