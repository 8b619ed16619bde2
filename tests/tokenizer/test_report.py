import numpy as np
import pytest

from chainrule.base import TokenizerError
from chainrule.tokenizer import Tokenizer, tokenizer_report, train_bpe
from chainrule.tokenizer.report import count_tokens
from chainrule.tokenizer.train import byte_tokenizer, char_tokenizer


def test_bytes_per_token_are_bytes_by_ids(bpe: Tokenizer, texts: list[str]) -> None:
    report = tokenizer_report(bpe, texts)
    n_tokens = sum(len(bpe.encode(text)) for text in texts)
    assert report.n_tokens == n_tokens
    assert report.bytes_per_token == pytest.approx(sum(len(text.encode()) for text in texts) / n_tokens)


def test_a_report_on_counts_is_the_report_on_the_texts(bpe: Tokenizer, texts: list[str]) -> None:
    counts = count_tokens(bpe, texts)
    assert tokenizer_report(bpe, counts) == tokenizer_report(bpe, iter(texts))
    counts[bpe.end_of_text] = 1000  # as counted in shards, where it stands between documents
    assert tokenizer_report(bpe, counts) == tokenizer_report(bpe, texts)


def test_unused_entries_are_those_that_never_occur() -> None:
    report = tokenizer_report(byte_tokenizer(), ["abca"])
    assert report.unused_share == pytest.approx(253 / 256)
    assert report.warnings == ()


def test_a_vocabulary_that_suits_is_not_warned_of(bpe: Tokenizer, texts: list[str]) -> None:
    report = tokenizer_report(bpe, texts, emb_dim=64, n_params=10**6, asked_size=1000)
    assert report.embedding_share == pytest.approx(0.064)
    assert report.warnings == ()


def test_gpt2_124m_is_not_too_small_for_its_vocabulary_and_a_laptop_model_is(bpe: Tokenizer, texts: list[str]) -> None:
    counts = count_tokens(bpe, texts)
    assert tokenizer_report(bpe, counts, emb_dim=768, n_params=1000 * 768 * 3).warnings == ()
    (warning,) = tokenizer_report(bpe, counts, emb_dim=768, n_params=1000 * 768 * 3 // 2).warnings
    assert "embedding of 1000 entries takes 67%" in warning


def test_a_vocabulary_too_big_for_the_text_is_warned_of(bpe: Tokenizer) -> None:
    (warning,) = tokenizer_report(bpe, ["def parse(self): return self"]).warnings
    assert "never occur in the text" in warning and "99%" in warning


def test_fewer_entries_than_asked_for_are_said() -> None:
    text = ["one two three four"]
    tokenizer = train_bpe(text, 5000)
    (warning,) = [
        line for line in tokenizer_report(tokenizer, text, asked_size=5000).warnings if "no more pairs" in line
    ]
    assert f"{tokenizer.vocab_size} entries instead of 5000" in warning


def test_text_that_is_one_entry_over_and_over_is_an_alarm() -> None:
    (warning,) = tokenizer_report(byte_tokenizer(), ["\ufffd" + "?" * 99]).warnings
    assert "97% of the text is the one entry b'?'" in warning


def test_no_text_is_no_error() -> None:
    report = tokenizer_report(char_tokenizer(["é"]), [])
    assert (report.n_tokens, report.bytes_per_token, report.warnings) == (0, 0.0, ())


def test_counts_of_another_vocabulary_are_refused(bpe: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match=r"999 counts.*1000"):
        tokenizer_report(bpe, np.zeros(999, dtype=np.int64))
