"""Judging written text: shares by hand, a text as its own word list, and where a text may end."""

import numpy as np
import pytest

from chainrule.data import TokenStore
from chainrule.data.mapped import Shard
from chainrule.evaluate import excerpts, sample_quality, up_to_its_end, words_of
from chainrule.tokenizer.train import byte_tokenizer

WORDS = byte_tokenizer()


def store_of(text: str) -> TokenStore:
    ids = np.array([*WORDS.encode(text), WORDS.end_of_text], np.uint16)
    return TokenStore([Shard(ids, np.array([len(ids)], np.uint64), np.zeros(1, np.uint32))], ("here",))


def test_shares_are_those_that_one_counts() -> None:
    found = sample_quality(["The cat sat. The cta sat on", "it's a a a a a a"], {"the", "cat", "sat", "it's", "a"})
    assert (found.texts, found.words) == (2, 12)
    assert found.known_words == pytest.approx(11 / 12)
    assert found.repeated_runs == pytest.approx(1 / 6)  # "a a a a" is there twice
    assert found.with_an_end == 0.5


def test_a_loop_is_told_from_prose_and_nothing_from_something() -> None:
    loop = sample_quality(["SSSS " * 100], {"the"})
    assert loop.known_words == 0 and loop.repeated_runs is not None and loop.repeated_runs > 0.98
    none = sample_quality(["", "12 + 3"], {"the"})
    assert (none.words, none.known_words, none.repeated_runs, none.with_an_end) == (0, None, None, 0.0)
    assert sample_quality([], set()).with_an_end is None


def test_the_word_list_of_a_text_has_what_it_says_twice() -> None:
    text = "Begin. The heron stands. the HERON waits; a naïve fish 12 12 d'or d'or fish end"
    assert words_of(store_of(text), WORDS) == {"the", "heron", "fish", "d'or"}
    large = "one two three four. " * 4000
    assert words_of(store_of(large), WORDS, max_tokens=6400) == {"one", "two", "three", "four"}


def test_excerpts_are_spread_over_the_text_and_as_long_as_asked() -> None:
    text = "".join(chr(97 + n % 26) for n in range(1000))
    found = excerpts(store_of(text), WORDS, count=5, n_tokens=100)
    assert [len(one) for one in found] == [100, 100, 100, 100, 99]
    assert found[0] == text[:100] and found[-1] == text[-99:]
    assert excerpts(store_of("ab"), WORDS, count=2, n_tokens=100) == ["ab", "ab"]


@pytest.mark.parametrize(
    ("prompt", "text", "ended"),
    [
        ("Once upon", " a time. There was a cat. And the", " a time. There was a cat."),
        ("Once upon", ' a time, "What?" said he', ' a time, "What?"'),
        ("Once", " upon a time of 3.14 metres and", " upon a time of 3.14 metres and"),
        ("It ended.", " Then it went", " Then it went"),
        ("He said", " “no.” and", " “no.”"),
        ("def ", "f(x):\n    return x\n\n\ndef g(y):\n    ret", "f(x):\n    return x\n"),
        ("def ", "f(\n    x,\n):\n    return x\n\ny = 3\n", "f(\n    x,\n):\n    return x\n"),
        ("\n\ndef", " f(x):\n    return", " f(x):\n    return"),
        ("", "", ""),
    ],
)
def test_a_text_ends_where_a_sentence_or_a_function_does(prompt: str, text: str, ended: str) -> None:
    assert up_to_its_end(prompt, text) == ended
