"""Examples in one window do not see each other, and how an update is portioned changes no gradient."""

from typing import Any

import numpy as np
import pytest
import torch
from finetune.conftest import MODERN, SHAPE
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.config import ModelConfig
from chainrule.device import Precision
from chainrule.finetune.batches import ExampleBatches
from chainrule.finetune.examples import Taught, Writing, taught
from chainrule.finetune.grow import with_own_template
from chainrule.finetune.packing import PADDING, packed
from chainrule.finetune.rows import Talk
from chainrule.model import GPT, Batch
from chainrule.tokenizer.train import byte_tokenizer
from chainrule.train import NextToken
from chainrule.train.step import backward

WORDS, TEMPLATE = with_own_template(byte_tokenizer())


def some(n: int) -> list[Taught]:
    texts = [("count " + "x" * (number * 7 % 23), "a" * (1 + number * 5 % 11)) for number in range(n)]
    made = []
    for question, answer in texts:
        messages = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
        made.append(taught(Talk(messages, "x"), Writing(WORDS, TEMPLATE, 96)))
    return made


def network(**more: Any) -> GPT:
    torch.manual_seed(0)
    model = GPT(ModelConfig(**{**SHAPE, **MODERN, "vocab_size": WORDS.vocab_size, "context_length": 192, **more}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    return model


LEARNED = {"position": "learned", "norm": "layernorm", "activation": "gelu", "bias": True, "qk_norm": False}


@pytest.mark.parametrize(("more", "together"), [({}, True), (LEARNED, False)], ids=["rotary", "learned"])
def test_the_loss_of_an_example_in_a_window_is_its_loss_alone(more: dict[str, Any], together: bool) -> None:
    examples, model = some(9), network(**more).eval()
    windows = packed(examples, 191, WORDS.end_of_text, together=together)
    assert (len(windows) < len(examples)) == together
    with torch.no_grad():
        batch = Batch.of(windows.windows(np.arange(len(windows))))
        losses = model.token_losses(batch.inputs, batch.targets, batch.documents)
        for number, example in enumerate(examples):
            ids = torch.from_numpy(example.ids)[None]
            targets = ids[:, 1:].masked_fill(~torch.from_numpy(example.trained)[None, 1:], -100)
            alone = model.token_losses(ids[:, :-1], targets)
            there = losses[torch.from_numpy(windows.documents[:, :-1] == number)]
            n_targets = len(example) - 1
            torch.testing.assert_close(there[:n_targets], alone[0], rtol=0, atol=1e-5)
            assert float(there[n_targets:].abs().sum()) == 0, "the step to the neighbour is not learnt"


def test_micro_batches_of_one_give_the_gradient_of_all_at_once() -> None:
    examples, model = some(30), network().double()
    windows = packed(examples, 95, WORDS.end_of_text).windows(np.arange(8))
    counts = windows.trained[:, 1:].sum(1)
    assert len(set(counts.tolist())) > 2, "windows with different numbers of learnt tokens, or the test shows nothing"
    objective, found = NextToken(model.loss), []
    for micro_batch in (1, 3, 8):
        loss = backward(objective, windows, micro_batch, Precision("cpu", "float32"))
        found.append((float(loss), [one.grad.clone() for one in model.parameters()]))
        model.zero_grad()
    for loss, gradients in found[1:]:
        assert abs(loss - found[0][0]) <= 1e-6
        for one, other in zip(gradients, found[0][1], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(2, 50), min_size=1, max_size=60))
def test_every_example_is_in_one_window_whole_and_few_windows_are_needed(lengths: list[int]) -> None:
    examples = [Taught(np.full(n, number), np.ones(n, bool)) for number, n in enumerate(lengths)]
    windows = packed(examples, 49, 0)
    for number, n in enumerate(lengths):
        rows = np.flatnonzero((windows.documents == number).any(1))
        assert len(rows) == 1 and (windows.documents == number).sum() == n
        assert (windows.ids[windows.documents == number] == number).all()
    assert not windows.trained[windows.documents == PADDING].any()
    assert len(windows) <= 11 / 9 * np.ceil(sum(lengths) / 50) * 2, "first-fit-decreasing wastes less than half"


def test_the_order_is_a_function_of_seed_and_samples_and_each_epoch_has_all() -> None:
    windows = packed(some(40), 95, WORDS.end_of_text)
    batches = ExampleBatches(windows, seed=3)
    whole = batches.windows(0, 3 * len(windows))
    for start, count in ((0, 1), (5, 4), (len(windows) - 1, 2)):
        part = batches.windows(start, count)
        assert all((a == b[start : start + count]).all() for a, b in zip(part, whole, strict=True))
    epochs = whole.ids.reshape(3, len(windows), -1)
    assert {one.tobytes() for one in epochs[0]} == {one.tobytes() for one in epochs[2]}
    assert (epochs[0] != epochs[1]).any() and (ExampleBatches(windows, seed=4).windows(0, 9).ids != whole.ids[:9]).any()


def test_the_share_of_base_text_is_one_of_learnt_tokens() -> None:
    class Base:
        def windows(self, first: int, count: int) -> Any:
            return type("W", (), {"ids": np.full((count, 96), first)})()

    batches = ExampleBatches(packed(some(40), 95, WORDS.end_of_text), 0, Base(), 0.25)  # type: ignore[arg-type]
    windows = batches.windows(0, 4000)
    is_base = (windows.documents == 0).all(1) & windows.trained.all(1)
    learnt = windows.trained[:, 1:].sum(1)
    assert abs(learnt[is_base].sum() / learnt.sum() - 0.25) < 0.01
    assert windows.ids[is_base][:, 0].tolist() == list(range(int(is_base.sum()))), "base text in its own order"
    again = batches.windows(1234, 7)
    assert (again.ids == windows.ids[1234:1241]).all()
