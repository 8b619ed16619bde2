import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import similarity
from chainrule.data.similarity import NO_SHINGLES, SHINGLE_WORDS, shingle_hashes, signatures, sketch, word_starts

words = st.lists(st.text(st.sampled_from("abAB1_é"), min_size=1, max_size=6), max_size=25)


def plain_shingles(text):
    """The definition, word by word."""
    parts = text.lower().replace(".", " ").split()
    return {tuple(parts[i : i + SHINGLE_WORDS]) for i in range(len(parts) - SHINGLE_WORDS + 1)}


@given(st.lists(words, min_size=1, max_size=5))
def test_shingles_are_equal_exactly_when_their_words_are(documents):
    texts = [". ".join(parts) for parts in documents]
    hashes, counts = shingle_hashes([text.encode() for text in texts])
    assert counts.tolist() == [max(0, len(parts) - SHINGLE_WORDS + 1) for parts in documents]
    assert len(set(hashes.tolist())) == len(set().union(*map(plain_shingles, texts)))


@given(words, words)
def test_a_shingle_has_the_same_hash_wherever_it_stands(before, middle):
    alone, _ = shingle_hashes([" ".join(middle).encode()])
    both, counts = shingle_hashes([" ".join(before).encode(), "\n  ".join(middle).encode() + b"  "])
    assert both[counts[0] :].tolist() == alone.tolist()


def test_every_character_of_chinese_is_a_word():
    assert len(word_starts(np.frombuffer("語言模型 abc, déjà".encode(), np.uint8))) == 6


def test_signatures_estimate_the_jaccard_similarity(make_prose):
    base = make_prose(0, 4000)
    for share in (0.5, 0.8, 0.95):
        other = base[: int(len(base) * share)] + make_prose(1, int(4000 * (1 - share)))
        one, two = plain_shingles(base), plain_shingles(other)
        left, right = signatures([base.encode(), other.encode()])
        assert abs((left == right).mean() - len(one & two) / len(one | two)) < 0.13


def test_the_minimum_over_the_pieces_is_the_signature_of_the_whole(make_prose):
    text = make_prose(0, 3000).encode()
    cut = text.index(b" ", 9000)
    # The four shingles across the cut are lost with the pieces; here they are given back by an overlap.
    overlap = text.rindex(b" ", 0, cut)
    for _ in range(SHINGLE_WORDS - 2):
        overlap = max(text.rindex(b" ", 0, overlap), text.rindex(b"\n", 0, overlap))
    whole, first, second = signatures([text, text[:cut], text[overlap:]])
    assert (np.minimum(first, second) == whole).all()


@given(st.lists(words.map(lambda parts: " ".join(parts * 9)), min_size=1, max_size=5), st.integers(0, 40))
def test_a_shingle_that_stands_there_again_changes_no_signature_whenever_it_is_left_out(documents, after):
    contents = [document.encode() for document in documents]
    found = []
    for similarity.DISTINCT_AFTER in (1000, after, 16):
        found.append(signatures(contents))
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()


def test_a_text_of_fewer_than_five_words_has_no_signature():
    found = sketch([b"one two three four", b"", b"one two three four five"])
    assert (found.signatures[:2] == NO_SHINGLES).all()
    assert not (found.signatures[2] == NO_SHINGLES).any()
    assert len(set(found.digests)) == 3
