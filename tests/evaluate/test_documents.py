"""Laws of scoring texts: every token of every document once, alone, as by hand, whatever stands beside it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from chainrule.base import ConfigError, DataError
from chainrule.config import ModelConfig, TextConfig
from chainrule.data import DocumentPart, all_documents
from chainrule.evaluate import Scoring, Texts
from chainrule.evaluate.documents import score_documents
from chainrule.evaluate.texts import encode_texts
from chainrule.evaluate.windows import windows_of_documents
from chainrule.model import GPT
from chainrule.tokenizer import Tokenizer
from chainrule.tokenizer.train import byte_tokenizer

CONTEXT = 16
WORDS = ["a", "é", "the quick brown fox", "x" * 16, "y" * 17, "the quick brown fox", "a longer text of many words " * 3]


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return byte_tokenizer()


@pytest.fixture(scope="module")
def model(words: Tokenizer) -> GPT:
    torch.manual_seed(0)
    shape = {"vocab_size": words.vocab_size, "context_length": CONTEXT, "emb_dim": 16, "n_heads": 2, "n_layers": 2}
    made = GPT(ModelConfig(**shape, drop_rate=0.3))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made.eval()


def texts_of(words: Tokenizer, *documents: str, source: str = "here") -> Texts:
    parts = [DocumentPart(source, f"{n}.txt", 1, text.encode(), True) for n, text in enumerate(documents)]
    return encode_texts(parts, words)


@torch.no_grad()
def by_hand(model: GPT, words: Tokenizer, text: str, stride: int) -> float:
    """Nats of all tokens of a text behind end-of-text, each from the window that counts it."""
    ids = torch.tensor([words.end_of_text, *words.encode(text)])
    nats, done, end = 0.0, 1, 0
    while done < len(ids):
        end = min(len(ids), end + stride if end else 1 + CONTEXT)
        start = max(0, end - 1 - CONTEXT)
        logits = model(ids[None, start : end - 1])[0].double().log_softmax(-1)
        for target in range(done, end):
            nats -= float(logits[target - 1 - start, ids[target]])
        done = end
    return nats


@pytest.mark.parametrize("stride", [None, 5, 1])
@pytest.mark.parametrize("micro_batch", [1, 3])
def test_each_document_is_scored_as_by_hand_and_as_if_it_were_alone(
    model: GPT, words: Tokenizer, stride: int | None, micro_batch: int
) -> None:
    found = score_documents(
        model, texts_of(words, *WORDS), words.byte_lengths, Scoring(stride=stride, micro_batch=micro_batch)
    )
    assert found.n_tokens.tolist() == [len(words.encode(text)) for text in WORDS]
    assert found.n_bytes.tolist() == [len(text.encode()) for text in WORDS]
    for text, nats in zip(WORDS, found.nats, strict=True):
        assert nats == pytest.approx(by_hand(model, words, text, stride or CONTEXT), rel=1e-5)
        alone = score_documents(model, texts_of(words, text), words.byte_lengths, Scoring(stride=stride))
        assert nats == pytest.approx(alone.total.nats, rel=1e-5)


def test_the_order_of_the_documents_changes_no_figure_and_the_whole_is_their_sum(model: GPT, words: Tokenizer) -> None:
    found = score_documents(model, texts_of(words, *WORDS), words.byte_lengths)
    turned = score_documents(model, texts_of(words, *reversed(WORDS)), words.byte_lengths)
    assert turned.nats[::-1] == pytest.approx(found.nats, rel=1e-6)
    rows = dict(found.by_document())
    assert list(rows) == [f"{n}.txt" for n in range(len(WORDS))]
    assert sum(one.nats for one in rows.values()) == pytest.approx(found.total.nats)
    assert found.total.by_source["here"].n_bytes == found.total.n_bytes == sum(len(text.encode()) for text in WORDS)


def test_the_windows_cover_each_target_of_each_document_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        sizes = rng.integers(1, 60, 12)
        begins = np.concatenate([[0], np.cumsum(sizes + 1)])
        stride = int(rng.integers(1, CONTEXT + 1))
        windows = windows_of_documents(begins, CONTEXT, stride)
        covered = np.concatenate([np.arange(a, b) for a, b in zip(windows.firsts, windows.ends, strict=True)])
        assert np.array_equal(covered, np.setdiff1d(np.arange(begins[-1]), begins))
        assert ((windows.ends - 1 - windows.starts) <= CONTEXT).all()
        owner = np.searchsorted(begins, windows.starts, side="right") - 1
        assert (windows.ends <= begins[owner + 1]).all() and (windows.firsts > windows.starts).all()


def test_a_limit_of_tokens_is_kept_and_spread_evenly_over_documents_and_within_them() -> None:
    begins = np.arange(21) * 321  # twenty documents of ten windows
    taken = windows_of_documents(begins, 32, None, 640)
    assert (taken.ends - taken.firsts).sum() == 640
    owner = np.searchsorted(begins, taken.firsts, side="right") - 1
    assert np.bincount(owner).tolist() == [1] * 20
    within = (taken.firsts - 1 - begins[owner]) // 32
    assert set(np.bincount(within, minlength=10)) <= {1, 2, 3}
    rng = np.random.default_rng(1)
    for _ in range(50):
        begins = np.concatenate([[0], np.cumsum(rng.integers(2, 200, 40))])
        most = int(rng.integers(33, begins[-1]))
        chosen = windows_of_documents(begins, 32, None, most)
        counted = int((chosen.ends - chosen.firsts).sum())
        assert counted <= most and (counted >= 0.5 * most or most < 200)
        assert (np.diff(chosen.firsts) > 0).all()
    assert len(windows_of_documents(begins, 32, None, 1).ends) == 1
    assert (windows_of_documents(begins, 32, None, 10**9).ends == windows_of_documents(begins, 32).ends).all()


def test_a_long_document_has_the_tokens_of_its_whole_text_and_a_bad_one_leaves_nothing(
    words: Tokenizer, tmp_path: Path
) -> None:
    long = "".join(f"line {number} of a document in several pieces\n" for number in range(9000))
    (tmp_path / "a.txt").write_text(long)
    (tmp_path / "b.txt").write_bytes(long.encode() + b"\xff")
    (tmp_path / "c.txt").write_text("the end")
    reasons: list[str] = []
    config = TextConfig(paths=(str(tmp_path),), on_bad="skip")
    texts = encode_texts(all_documents(config, reasons.append), words)
    assert texts.n_documents == 2 and len(reasons) == 1 and "b.txt" in reasons[0]
    assert texts.tokens.tolist() == [
        *(words.end_of_text, *words.encode(long)),
        *(words.end_of_text, *words.encode("the end")),
    ]


def test_what_cannot_be_scored_is_refused(model: GPT, words: Tokenizer) -> None:
    with pytest.raises(DataError, match="2 documents were read, and none has a token"):
        texts_of(words, "", "")
    for settings in ({"stride": 0}, {"stride": CONTEXT + 1}, {"max_tokens": 0}):
        with pytest.raises(ConfigError, match="use"):
            score_documents(model, texts_of(words, "a"), words.byte_lengths, Scoring(**settings))
