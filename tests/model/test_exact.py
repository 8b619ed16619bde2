"""What an exact reader computes of a token does not depend on what is read beside it, to the last bit."""

from typing import Any

import pytest
import torch

from chainrule.config import ModelConfig
from chainrule.generate import Decoder, Prefix, sampling_rules
from chainrule.model import GPT, ExactReader, KVCache
from chainrule.model.exact import ROW_COUNTS, _portions, row_counts

CONTEXT = 160
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "qk_norm": True}
GREEDY = sampling_rules(temperature=0)
Heard = dict[int, torch.Tensor]


def network(**more: Any) -> GPT:
    torch.manual_seed(0)
    shape = {"vocab_size": 101, "context_length": CONTEXT, "emb_dim": 24, "n_heads": 4, "n_layers": 2}
    return GPT(ModelConfig(**{**shape, **more})).eval()


MODELS = {"gpt-2": {"n_heads": 1}, "grouped": {**MODERN, "n_kv_heads": 2}}


def prompts() -> list[list[int]]:
    draw = torch.Generator().manual_seed(1)
    return [torch.randint(101, (length,), generator=draw).tolist() for length in (1, 3, 40, 63, 64, 65, 100)]


def written(reader: ExactReader, model: GPT, texts: list[list[int]], prefix: Prefix | None = None) -> list[Any]:
    """For each text the scores that were told, by place, and what can be gone on from."""
    decoder = Decoder(model, len(texts), CONTEXT, n_choices=101, reader=reader)
    heard: list[Heard] = [{} for _ in texts]

    def hearer(found: Heard) -> Any:
        return lambda place, scores: found.update({place + row: one.clone() for row, one in enumerate(scores)})

    rows = [
        decoder.admit(ids, rules=GREEDY, prefix=prefix, hear=hearer(found))
        for ids, found in zip(texts, heard, strict=True)
    ]
    for _ in range(22):
        decoder.step()
    return [(found, decoder.kept(row)) for found, row in zip(heard, rows, strict=True)]


def same(one: Heard, other: Heard) -> bool:
    shared = one.keys() & other.keys()
    assert len(shared) >= 12
    return all(torch.equal(one[place], other[place]) for place in shared)


@pytest.mark.parametrize("shape", MODELS.values(), ids=MODELS)
def test_scores_alone_together_and_behind_a_prefix_have_equal_bits(shape: dict[str, Any]) -> None:
    model = network(**shape)
    reader, texts = ExactReader(model), prompts()
    together = written(reader, model, texts)
    for ids, (found, _) in zip(texts, together, strict=True):
        [(alone, _)] = written(reader, model, [ids])
        assert same(found, alone)
    for _, kept in together[2::2]:
        longer = [*kept.ids, 5]
        [(fresh, _)], [(continued, _)] = written(reader, model, [longer]), written(reader, model, [longer], kept)
        assert len(continued) < len(fresh) and same(fresh, continued)


@pytest.mark.parametrize("shape", MODELS.values(), ids=MODELS)
def test_the_numbers_are_those_of_the_model(shape: dict[str, Any]) -> None:
    model = network(**shape)
    ids = torch.randint(101, (3, 70), generator=torch.Generator().manual_seed(2))
    plain, exact = (KVCache(model.config, 3, CONTEXT) for _ in range(2))
    with torch.no_grad():
        expected = model.stream(ids, plain)
    found = ExactReader(model).stream(ids, exact)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(exact.keys, plain.keys, rtol=1e-4, atol=1e-4)
    assert exact.lengths.tolist() == plain.lengths.tolist() == [70] * 3


def test_every_portion_has_a_number_of_rows_that_was_tried() -> None:
    for counts in (ROW_COUNTS, (8,), (1,), (128, 8)):
        for n_tokens in range(1, 400):
            found = _portions(n_tokens, counts)
            assert {one.n_rows for one in found} <= set(counts)
            assert [one.start for one in found[1:]] == [one.stop for one in found[:-1]]
            assert found[0].start == 0 and found[-1].stop == n_tokens
            assert all(one.stop - one.start == one.n_rows for one in found[:-1])


def test_a_kernel_that_treats_rows_differently_leaves_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    plain = model.logits
    monkeypatch.setattr(model, "logits", lambda x: plain(x) + torch.arange(len(x))[:, None])
    assert row_counts(model) == (1,)
    monkeypatch.setattr(model, "logits", lambda x: plain(x) + (len(x) == 128))
    assert 128 not in row_counts(model)


def test_one_row_at_a_time_is_exact_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(**MODERN)
    reader, texts = ExactReader(model), prompts()[1:4]
    monkeypatch.setattr(reader, "row_counts", (1,))
    for ids, (found, _) in zip(texts, written(reader, model, texts), strict=True):
        [(alone, _)] = written(reader, model, [ids])
        assert same(found, alone)
