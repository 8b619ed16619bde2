import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from chainrule.tokenizer import words
from chainrule.tokenizer.alphabet import written
from chainrule.tokenizer.words import Words, expressions

GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
TEXT = st.text(st.characters(max_codepoint=0xFFFF, codec="utf-8")) | st.lists(
    st.sampled_from(
        [
            "'s",
            "'ll",
            "'",
            "'S",
            " ",
            "\n",
            "\t",
            "\x1c",
            "\x0b",
            "\x85",
            "\u3000",
            "a",
            "é",
            "Z9",
            "Ⅷ",
            "_",
            "’",
            "\x00",
        ]
    )
).map("".join)


def echoing(new: list[str]) -> list[words.Ids]:
    """An engine that gives each word its bytes."""
    return [np.frombuffer(word.encode(), dtype=np.uint8).astype(np.uint32) for word in new]


def assert_same_words(text: str) -> None:
    ours = [written(word.encode()) for word in expressions()[0].findall(text)]
    assert ours == [word for word, _ in GPT2.pre_tokenize_str(text)]


@given(TEXT)
def test_words_are_the_words_of_gpt2(text: str) -> None:
    if Words(echoing).can(text):
        assert_same_words(text)


def test_every_known_character_is_of_the_class_that_gpt2_sees() -> None:
    known = [chr(code) for code in range(0x10000) if Words(echoing).can(chr(code))]
    assert len(known) > 50_000
    for start in range(0, len(known), 100):
        assert_same_words("".join(f"a{c}1{c} {c} " for c in known[start : start + 100]))


def test_characters_that_are_new_or_have_changed_are_not_known() -> None:
    can = Words(echoing).can
    assert can("naïve “café” — Ⅷ 第一章 ไทย हिन्दी 한국어 Привет\u3000\x1c\x85")
    for character in ("\u02c6", "\u20bf", "\ua7ae", "\ue000", "\U0001f469", "\u0378"):
        assert not can(f"text {character}"), unicodedata.name(character, character)


@given(st.lists(TEXT.filter(Words(echoing).can)))
def test_remembered_words_have_the_ids_that_the_engine_gave(texts: list[str]) -> None:
    asked: list[str] = []

    def engine(new: list[str]) -> list[words.Ids]:
        asked.extend(new)
        return echoing(new)

    remembering = Words(engine)
    for batch in (texts[:2], texts):
        assert [ids.tolist() for ids in remembering.encode(batch)] == [list(text.encode()) for text in batch]
    assert len(asked) == len(set(asked))


def test_memory_of_words_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(words, "REMEMBERED_CHARACTERS", 100)
    remembering = Words(lambda new: [np.array([len(word)], dtype=np.uint32) for word in new])
    for number in range(200):
        (ids,) = remembering.encode([f"word{number} again"])
        assert ids.tolist() == [4, len(str(number)), 6]
        assert sum(map(len, remembering._known)) <= 100
