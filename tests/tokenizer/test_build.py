from pathlib import Path
from typing import get_args

import pytest

from chainrule.base import TokenizerError
from chainrule.config import VocabularyConfig
from chainrule.tokenizer import Tokenizer, build_tokenizer
from chainrule.tokenizer.build import KINDS, check_vocab_size
from chainrule.tokenizer.train import byte_tokenizer


def test_every_kind_of_the_configuration_has_a_maker() -> None:
    assert set(KINDS) == set(get_args(VocabularyConfig.model_fields["kind"].annotation))


def test_kinds_that_learn_read_the_text_and_others_do_not(texts: list[str]) -> None:
    assert build_tokenizer(VocabularyConfig(kind="bpe"), 300, lambda: texts).vocab_size == 300
    assert build_tokenizer(VocabularyConfig(kind="chars"), 5000, lambda: texts).kind == "chars"

    def unread() -> list[str]:
        raise AssertionError("nothing is to be learnt here")

    assert build_tokenizer(VocabularyConfig(kind="bytes"), 50257, unread).vocab_size == 257


def test_a_file_is_used_as_it_is(bpe: Tokenizer, tmp_path: Path) -> None:
    bpe.save(tmp_path)
    config = VocabularyConfig(kind="file", path=str(tmp_path / "tokenizer.json"))
    assert build_tokenizer(config, 1000, list).fingerprint == bpe.fingerprint


def test_a_vocabulary_larger_than_the_model_is_refused_with_both_numbers(bpe: Tokenizer, tmp_path: Path) -> None:
    bpe.save(tmp_path)
    with pytest.raises(TokenizerError, match=r"1000 entries.*vocab_size is 999.*set model.vocab_size to 1000"):
        build_tokenizer(VocabularyConfig(kind="file", path=str(tmp_path)), 999, list)
    with pytest.raises(TokenizerError, match=r"257 entries.*256"):
        check_vocab_size(byte_tokenizer(), 256)


def test_a_model_with_more_rows_than_the_vocabulary_is_padded() -> None:
    check_vocab_size(byte_tokenizer(), 300)
