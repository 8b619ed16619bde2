import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from chainrule.tokenizer import words
from chainrule.tokenizer.alphabet import written
from chainrule.tokenizer.words import WORD, Words

GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
ASCII = st.text(st.characters(max_codepoint=127)) | st.lists(
    st.sampled_from(["'s", "'ll", "'", "'S", " ", "\n", "\t", "\x1c", "\x0b", "a", "Z9", "_", "--", "\x00", "\x7f"])
).map("".join)


@given(ASCII)
def test_ascii_words_are_the_words_of_gpt2(text: str) -> None:
    assert [written(word.encode()) for word in WORD.findall(text)] == [word for word, _ in GPT2.pre_tokenize_str(text)]


@given(st.lists(ASCII))
def test_remembered_words_have_the_ids_that_the_engine_gave(texts: list[str]) -> None:
    asked: list[str] = []

    def engine(new: list[str]) -> list[words.Ids]:
        asked.extend(new)
        return [np.frombuffer(word.encode(), dtype=np.uint8).astype(np.uint32) for word in new]

    remembering = Words(engine)
    for text in texts:
        assert remembering.encode(text).tolist() == list(text.encode())
    assert len(asked) == len(set(asked))


def test_memory_of_words_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(words, "REMEMBERED_CHARACTERS", 100)
    remembering = Words(lambda new: [np.array([len(word)], dtype=np.uint32) for word in new])
    for number in range(200):
        assert remembering.encode(f"word{number} again").tolist() == [4, len(str(number)), 6]
        assert sum(map(len, remembering._known)) <= 100
