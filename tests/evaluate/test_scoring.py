"""Laws of scoring: every token once, the same figures however it is cut into batches, and by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from casts import Casts

from chainrule.base import ConfigError, DataError, ModelError
from chainrule.config import ModelConfig, TextConfig
from chainrule.data import TokenStore, open_dataset, survey, write_shards
from chainrule.data.mapped import Shard
from chainrule.evaluate import Scoring, score
from chainrule.evaluate.windows import windows_of
from chainrule.model import GPT
from chainrule.tokenizer import Tokenizer
from chainrule.tokenizer.train import byte_tokenizer

CONTEXT = 16


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return byte_tokenizer()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, words: Tokenizer) -> TokenStore:
    folder = tmp_path_factory.mktemp("text")
    for place in range(12):
        (folder / f"a{place}.txt").write_text(f"Document number {place} says é {'la ' * place}{place * 7919}.\n")
        (folder / f"b{place}.md").write_text(f"# {place * 104729}\n{'word ' * (place % 4)}\n")
    config = TextConfig(paths=(str(folder),), near_duplicates="keep", validation_share=0.2)
    found = survey(config, folder / "data")
    write_shards(found, words, folder / "data", context_length=CONTEXT)
    return open_dataset(folder / "data").split("train")


@pytest.fixture(scope="module")
def model(words: Tokenizer) -> GPT:
    torch.manual_seed(0)
    config = {"vocab_size": words.vocab_size, "context_length": CONTEXT, "emb_dim": 16, "n_heads": 2, "n_layers": 2}
    made = GPT(ModelConfig(**config, drop_rate=0.3))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made.eval()


@torch.no_grad()
def nats_by_hand(model: GPT, store: TokenStore, target: int, context: int) -> float:
    """-ln p of the token at `target` after the `context` tokens before it."""
    model.eval()
    ids = torch.from_numpy(store.read(target - context, context + 1))[None]
    return -float(model(ids[:, :-1])[0, -1].double().log_softmax(-1)[ids[0, -1]])


def test_every_token_is_scored_once_with_the_context_that_its_window_gives(
    model: GPT, store: TokenStore, words: Tokenizer
) -> None:
    for stride in (1, 5, CONTEXT):
        result = score(model, store, words.byte_lengths, Scoring(stride=stride))
        expected, end = 0.0, 1
        for begin, last in zip(*window_ends(store.n_tokens, stride), strict=True):
            assert begin == end
            end = last
            for target in range(begin, last):
                expected += nats_by_hand(model, store, target, target - (last - 1 - CONTEXT))
        assert end == store.n_tokens
        assert result.nats == pytest.approx(expected, rel=1e-5)
        assert result.n_tokens == store.n_tokens - 1


def window_ends(n_tokens: int, stride: int) -> tuple[list[int], list[int]]:
    windows = windows_of(n_tokens, CONTEXT, stride, None)
    return windows.firsts.tolist(), windows.ends.tolist()


def test_with_a_stride_of_one_each_token_has_the_whole_context(model: GPT, store: TokenStore, words: Tokenizer) -> None:
    result = score(model, store, words.byte_lengths, Scoring(stride=1))
    full = sum(nats_by_hand(model, store, target, min(target, CONTEXT)) for target in range(1, store.n_tokens))
    assert result.nats == pytest.approx(full, rel=1e-5)


def test_figures_follow_from_the_sums(model: GPT, store: TokenStore, words: Tokenizer) -> None:
    result = score(model, store, words.byte_lengths)
    ids = store.read(1, store.n_tokens - 1)
    assert result.n_bytes == sum(len(words.token_bytes[token]) for token in ids)
    assert result.n_bytes < result.n_tokens  # each end-of-text has no byte, but counts
    assert result.perplexity == pytest.approx(math.exp(result.nats / result.n_tokens))
    assert result.bits_per_byte == pytest.approx(result.nats / math.log(2) / result.n_bytes)
    assert result.figures()["loss"] == result.loss


def test_a_model_that_knows_nothing_needs_ln_v_nats(store: TokenStore, words: Tokenizer) -> None:
    config = {"vocab_size": words.vocab_size, "context_length": CONTEXT, "emb_dim": 16, "n_heads": 2, "n_layers": 1}
    blank = GPT(ModelConfig(**config))
    for parameter in blank.parameters():
        torch.nn.init.zeros_(parameter)
    assert score(blank, store, words.byte_lengths).loss == pytest.approx(math.log(words.vocab_size), rel=1e-6)


def test_sources_add_up_to_the_whole(model: GPT, store: TokenStore, words: Tokenizer) -> None:
    whole = score(model, store, words.byte_lengths, Scoring(stride=7))
    assert len(whole.by_source) == len(store.sources()) > 1
    parts = whole.by_source.values()
    assert sum(part.n_tokens for part in parts) == whole.n_tokens
    assert sum(part.n_bytes for part in parts) == whole.n_bytes
    assert sum(part.nats for part in parts) == pytest.approx(whole.nats)
    for name, spans in store.sources().items():
        first_has_no_context = int((spans == 0).any())
        assert whole.by_source[name].n_tokens == int((spans[:, 1] - spans[:, 0]).sum()) - first_has_no_context


def test_a_look_at_a_part_books_to_the_bit_what_sorting_all_documents_did(
    model: GPT, store: TokenStore, words: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stretches = store.sources()
    begins = np.concatenate([spans[:, 0] for spans in stretches.values()])
    owners = np.repeat(np.arange(len(stretches)), [len(spans) for spans in stretches.values()])
    order = np.argsort(begins)

    def sorted_sources(self: TokenStore, positions: np.ndarray) -> np.ndarray:
        return owners[order][np.searchsorted(begins[order], positions, side="right") - 1]

    found = [
        score(model, store, words.byte_lengths, Scoring(max_tokens=most, micro_batch=3)) for most in (40, 200, None)
    ]
    monkeypatch.setattr(TokenStore, "sources_at", sorted_sources)
    assert found == [
        score(model, store, words.byte_lengths, Scoring(max_tokens=most, micro_batch=3)) for most in (40, 200, None)
    ]


def test_a_look_gathers_no_list_of_all_documents(
    model: GPT, store: TokenStore, words: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenStore, "sources", lambda self: pytest.fail("all documents were looked at"))
    assert score(model, store, words.byte_lengths, Scoring(max_tokens=40)).n_tokens >= 40


@pytest.mark.parametrize("micro_batch", [1, 3, 100])
def test_the_micro_batch_does_not_matter(model: GPT, store: TokenStore, words: Tokenizer, micro_batch: int) -> None:
    expected = score(model, store, words.byte_lengths)
    found = score(model, store, words.byte_lengths, Scoring(micro_batch=micro_batch))
    assert found.nats == pytest.approx(expected.nats, rel=1e-6) and found.n_bytes == expected.n_bytes


def test_the_same_call_gives_the_same_bits_and_leaves_training_alone(
    model: GPT, store: TokenStore, words: Tokenizer
) -> None:
    model.train()
    before = torch.get_rng_state()
    assert score(model, store, words.byte_lengths) == score(model, store, words.byte_lengths)
    assert model.training and torch.equal(torch.get_rng_state(), before)
    model.eval()


def test_some_tokens_are_taken_from_all_over_the_text(model: GPT, store: TokenStore, words: Tokenizer) -> None:
    few = score(model, store, words.byte_lengths, Scoring(max_tokens=4 * CONTEXT))
    assert few.n_tokens == 4 * CONTEXT
    windows = windows_of(1000, 10, None, 50)
    assert len(windows.ends) == 5 and windows.ends.max() > 750 and windows.firsts.min() == 1
    assert score(model, store, words.byte_lengths, Scoring(max_tokens=10**9)) == score(model, store, words.byte_lengths)


def test_attention_can_stay_inside_documents(model: GPT, store: TokenStore, words: Tokenizer) -> None:
    apart = score(model, store, words.byte_lengths, Scoring(documents=True))
    assert apart.nats != score(model, store, words.byte_lengths).nats
    ids = torch.from_numpy(store.read(0, CONTEXT + 1))[None]
    numbers = torch.from_numpy(store.document_ids(np.array([0]), CONTEXT))
    with torch.no_grad():
        expected = float(model.token_losses(ids[:, :-1], ids[:, 1:], numbers).double().sum())
    first_window = score(model, store, words.byte_lengths, Scoring(documents=True, max_tokens=1))
    assert first_window.nats == pytest.approx(expected, rel=1e-6)


def test_autocast_changes_little(model: GPT, store: TokenStore, words: Tokenizer) -> None:
    half = score(model, store, words.byte_lengths, Scoring(precision="bfloat16"))
    whole = score(model, store, words.byte_lengths)
    assert half.nats != whole.nats and half.loss == pytest.approx(whole.loss, rel=0.05)


def test_progress_is_heard_and_can_stop_it(model: GPT, store: TokenStore, words: Tokenizer) -> None:
    heard: list[tuple[int, int]] = []
    score(
        model,
        store,
        words.byte_lengths,
        Scoring(micro_batch=4),
        on_progress=lambda done, total: heard.append((done, total)),
    )
    assert [done for done, _ in heard] == [*range(4, heard[-1][1], 4), heard[-1][1]]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(model, store, words.byte_lengths, on_progress=stop)


def test_a_text_shorter_than_the_context_is_scored_whole(words: Tokenizer, model: GPT, tmp_path: Path) -> None:
    windows = windows_of(5, CONTEXT, None, None)
    assert (windows.length, windows.firsts.tolist(), windows.ends.tolist()) == (4, [1], [5])


@pytest.mark.parametrize("n_tokens", [0, 1])
def test_a_text_with_nothing_to_predict_is_refused(n_tokens: int) -> None:
    with pytest.raises(DataError, match="at least 2"):
        windows_of(n_tokens, CONTEXT, None, None)


@pytest.mark.parametrize("settings", [{"stride": 0}, {"stride": CONTEXT + 1}, {"max_tokens": 0}])
def test_settings_out_of_range_are_refused(
    model: GPT, store: TokenStore, words: Tokenizer, settings: dict[str, int]
) -> None:
    with pytest.raises(ConfigError, match="use"):
        score(model, store, words.byte_lengths, Scoring(**settings))


def test_a_text_of_a_larger_vocabulary_is_refused(store: TokenStore, words: Tokenizer) -> None:
    small = GPT(ModelConfig(vocab_size=99, context_length=CONTEXT, emb_dim=16, n_heads=2, n_layers=1))
    with pytest.raises(ModelError, match="vocab_size=99"):
        score(small, store, words.byte_lengths)


def test_a_document_alone_is_scored_alike_whatever_stands_before_it(words: Tokenizer, model: GPT) -> None:
    """To the bit, its first token too: end-of-text belongs to the document that it opens."""
    model.eval()
    found = []
    for other in ("another text", "ANOTHER TEXT", "x" * 12):
        row = [*words.encode(other), words.end_of_text, *words.encode("hers")]
        n = len(row)
        store = TokenStore([Shard(np.array(row), np.array([13], np.uint64), np.zeros(1, np.uint32))], ("a",))
        numbers = torch.from_numpy(store.document_ids(np.array([0]), n - 1))
        assert numbers[0].tolist() == [0] * 12 + [1] * 4
        with torch.no_grad():
            found.append(model(torch.tensor([row[:-1]]), documents=numbers)[0, 12:])
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_a_look_casts_each_weight_once_and_its_figures_are_those_of_one_batch(
    model: GPT, store: TokenStore, words: Tokenizer
) -> None:
    with Casts(model) as casts:
        apart = score(model, store, words.byte_lengths, Scoring(micro_batch=2, precision="bfloat16"))
    assert casts.counts["blocks.0.attention.qkv.weight"] == casts.counts["token_embedding.weight"] == 1
    together = score(model, store, words.byte_lengths, Scoring(micro_batch=10**6, precision="bfloat16"))
    assert apart.nats == pytest.approx(together.nats, rel=2e-3)
