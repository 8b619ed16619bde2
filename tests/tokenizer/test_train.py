import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from chainrule.base import TokenizerError
from chainrule.tokenizer import Tokenizer, train_bpe
from chainrule.tokenizer.train import byte_tokenizer, char_tokenizer


def test_the_ids_are_those_of_a_plain_hugging_face_training(texts: list[str]) -> None:
    engine = tokenizers.Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=799, show_progress=False, initial_alphabet=alphabet, special_tokens=[])
    engine.train_from_iterator(texts, trainer)
    ours = train_bpe(texts, 800)
    assert [ours.encode(text) for text in texts] == [engine.encode(text).ids for text in texts]


def test_bpe_has_the_size_asked_for_and_shortens_text(bpe: Tokenizer, texts: list[str]) -> None:
    assert (bpe.kind, bpe.vocab_size) == ("bpe", 1000)
    assert len(bpe.encode(texts[0])) < len(texts[0].encode()) / 2


def test_a_text_with_few_pairs_gives_a_small_vocabulary() -> None:
    assert train_bpe(["ab ab"], 5000).vocab_size < 270


def test_one_document_is_enough_and_a_generator_too(texts: list[str]) -> None:
    assert train_bpe(iter(texts[:1]), 300).fingerprint == train_bpe([texts[0]], 300).fingerprint


@pytest.mark.parametrize("make", [lambda texts: train_bpe(texts, 300), char_tokenizer])
@pytest.mark.parametrize("nothing", [[], [""], ["", ""]])
def test_no_text_is_refused(make, nothing: list[str]) -> None:
    with pytest.raises(TokenizerError, match="no text"):
        make(nothing)


@pytest.mark.parametrize("make", [lambda texts: train_bpe(texts, 300), char_tokenizer])
def test_one_string_instead_of_a_list_is_refused(make) -> None:
    with pytest.raises(TokenizerError, match="a list of texts"):
        make("one text")


@pytest.mark.parametrize("make", [train_bpe, char_tokenizer])
@pytest.mark.parametrize("size", [-1, 0, 256, 1_000_001, 10**12])
def test_impossible_sizes_are_refused_with_what_is_possible(make, size: int) -> None:
    with pytest.raises(TokenizerError, match=rf"vocab_size={size} .* 257.* 1,000,000"):
        make(["text"], size)


def test_half_a_character_in_the_training_text_is_refused() -> None:
    with pytest.raises(TokenizerError, match=r"character 3 .*'\\udc80'"):
        train_bpe(["abc\udc80"], 300)


def test_the_smallest_vocabulary_is_the_bytes(texts: list[str]) -> None:
    assert train_bpe(texts, 257).fingerprint == byte_tokenizer().fingerprint == char_tokenizer(["abc"]).fingerprint


def test_each_byte_is_one_id() -> None:
    tokenizer = byte_tokenizer()
    assert (tokenizer.kind, tokenizer.vocab_size) == ("bytes", 257)
    assert len(tokenizer.encode("naïve 猫")) == len("naïve 猫".encode())


def test_each_character_of_the_text_is_one_id_and_others_are_bytes() -> None:
    tokenizer = char_tokenizer(["naïve 猫", "👩‍👩‍👧‍👦"])
    assert len(tokenizer.encode("猫👧ï a")) == 5
    assert len(tokenizer.encode("犬")) == 3
    assert tokenizer.decode(tokenizer.encode("犬é")) == "犬é"


def test_the_most_frequent_characters_have_the_first_right_to_an_entry() -> None:
    tokenizer = char_tokenizer(["éé", "ïïï", "ü"], max_size=257 + 2)
    assert tokenizer.vocab_size == 259
    assert [len(tokenizer.encode(character)) for character in "ïéü"] == [1, 1, 2]


@pytest.mark.parametrize(
    "text",
    ["a" * 300_000, "acgt" * 75_000, " " * 300_000, "猫" * 100_000, "".join(map(chr, range(0x4E00, 0x9FFF))) * 5],
)
def test_learning_from_one_endless_word_takes_a_moment(text: str) -> None:
    tokenizer = train_bpe([text], 400)
    assert tokenizer.decode(tokenizer.encode(text)) == text
