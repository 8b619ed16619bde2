"""The loss of a bounded number of logits at a time is the plain loss, and so are its gradients."""

import subprocess
import sys
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from chainrule.config import ModelConfig
from chainrule.model import GPT, IGNORED
from chainrule.model.loss import _loss_and_gradient, loss_and_gradient_to_compile, mean_loss_in_portions

V, D, T = 61, 32, 12
SHAPE = {"vocab_size": V, "context_length": T, "emb_dim": D, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "qk_norm": True}
PORTION = 7 * V  # rows of a portion do not divide the tokens
each_shape = pytest.mark.parametrize(
    "shape", [{}, {"tied_embeddings": False}, MODERN], ids=["tied", "untied", "modern"]
)


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, targets of which some do not count, and document numbers."""
    generator = torch.Generator().manual_seed(0)
    ids, targets = torch.randint(0, V, (2, 4, T), generator=generator)
    targets[0, :5] = IGNORED
    return ids, targets, (torch.arange(T) > 6).long().expand(4, T)


def gradients(shape: dict, at_once: int, dtype=torch.float64, *, bf16=False, checkpointing=False) -> list[torch.Tensor]:
    """The loss, then all gradients."""
    torch.manual_seed(0)
    model = GPT(ModelConfig(**SHAPE | shape)).to(dtype)
    model.logits_at_once, model.checkpointing = at_once, checkpointing
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = model.loss(*batch())
    (loss * 0.5).backward()
    return [loss.detach(), *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]


@each_shape
def test_in_float64_portions_change_nothing_beyond_rounding(shape):
    for one, other in zip(gradients(shape, PORTION), gradients(shape, 10**9), strict=True):
        torch.testing.assert_close(one, other, atol=1e-13, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_what_is_to_be_compiled_is_the_loss_and_gradient_of_a_portion(dtype):
    """Scores far apart, targets that do not count, and a portion of which none does."""
    logits = (9 * torch.randn(9, V, generator=torch.Generator().manual_seed(1))).to(dtype)
    targets = torch.arange(9) * 7 % V
    targets[2:4] = IGNORED
    for wanted in (targets, torch.full_like(targets, IGNORED)):
        n_counted = torch.tensor(41)
        expected = _loss_and_gradient(logits.clone(), wanted, n_counted)
        found = loss_and_gradient_to_compile(logits, wanted, n_counted)
        close = {torch.float64: 1e-14, torch.float32: 1e-6, torch.bfloat16: 1e-4}[dtype]
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == other.dtype
            torch.testing.assert_close(one, other, atol=close, rtol=2**-7 if dtype == torch.bfloat16 else 1e-6)
    assert not found[0] and not found[1].any()


@each_shape
def test_in_float32_they_agree_to_six_digits(shape):
    pairs = zip(gradients(shape, PORTION, torch.float32), gradients(shape, 10**9, torch.float32), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_under_autocast_products_are_bfloat16_and_no_further_from_the_truth_than_the_plain_loss():
    exact, plain = gradients({}, 10**9), gradients({}, 10**9, torch.float32, bf16=True)
    portions = gradients({}, PORTION, torch.float32, bf16=True)
    for true, one, other in zip(exact, plain, portions, strict=True):
        assert other.dtype == torch.float32
        assert (other - true).norm() < 1.2 * (one - true).norm() + 1e-6


def test_recomputed_activations_give_the_same_gradients():
    for one, other in zip(gradients({}, PORTION, checkpointing=True), gradients({}, PORTION), strict=True):
        torch.testing.assert_close(one, other)


def test_when_no_target_counts_loss_and_gradients_are_zero():
    model = GPT(ModelConfig(**SHAPE))
    model.logits_at_once = PORTION
    ids, targets, _ = batch()
    loss = model.loss(ids, torch.full_like(targets, IGNORED))
    loss.backward()
    assert loss.item() == 0
    assert all(not parameter.grad.any() for parameter in model.parameters() if parameter.grad is not None)


def test_without_gradients_the_losses_of_portions_are_those_of_the_whole():
    model = GPT(ModelConfig(**SHAPE)).eval()
    with torch.no_grad():
        whole, mean = model.token_losses(*batch()), model.loss(*batch())
        model.logits_at_once = PORTION
        torch.testing.assert_close(model.token_losses(*batch()), whole)
        torch.testing.assert_close(model.loss(*batch()), mean)


class Largest(TorchDispatchMode):
    """The most numbers of any tensor whose last axis is the vocabulary, the head's own weight left out."""

    numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        for tensor in torch.utils._pytree.tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.shape[-1:] == (V,) and tensor.shape != (D, V):
                self.numbers = max(self.numbers, tensor.numel())
        return result


class Alive(TorchDispatchMode):
    """The most numbers that tensors of logits had together after any operation."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[weakref.ref[torch.Tensor]] = []
        self.numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        for tensor in torch.utils._pytree.tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and V in tensor.shape and tensor.shape not in ((D, V), (V, D)):
                self.seen.append(weakref.ref(tensor))
        there = [tensor for one in self.seen if (tensor := one()) is not None]
        alive = {tensor.untyped_storage().data_ptr(): tensor.numel() for tensor in there}
        del there
        self.numbers = max(self.numbers, sum(alive.values()))
        return result


def test_the_gradient_of_one_portion_is_gone_before_the_logits_of_the_next():
    model = GPT(ModelConfig(**SHAPE))
    model.logits_at_once = PORTION
    ids, targets, documents = batch()
    x = model.stream(ids, documents=documents)
    with Alive() as alive:
        mean_loss_in_portions(x, model.head_weight, targets, PORTION)
    assert alive.numbers == PORTION


@pytest.mark.parametrize("training", [True, False])
def test_no_tensor_of_logits_is_larger_than_the_bound(training):
    model = GPT(ModelConfig(**SHAPE))
    model.logits_at_once = PORTION
    ids, targets, documents = batch()
    with Largest() as largest, torch.set_grad_enabled(training):
        losses = model.loss(ids, targets, documents) if training else model.token_losses(ids, targets, documents)
        if training:
            losses.backward()
    assert 0 < largest.numbers <= (PORTION if training else PORTION // 4)


def test_a_second_backward_pass_is_refused_with_its_reason():
    model = GPT(ModelConfig(**SHAPE))
    model.logits_at_once = PORTION
    loss = model.loss(*batch())
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="make the loss again"):
        loss.backward()


LOADED = "import sys, chainrule.train, chainrule.generate, chainrule.evaluate; print('torch._dynamo' in sys.modules)"
COMPILED = """
import torch
from chainrule.config import ModelConfig
from chainrule.model import GPT
model = GPT(ModelConfig(vocab_size=61, context_length=12, emb_dim=32, n_heads=4, n_layers=2, drop_rate=0.0))
model.logits_at_once = 7 * 61
ids = torch.randint(0, 61, (4, 13))
plain = model.loss(ids[:, :-1], ids[:, 1:])
model.keep_portions_uncompiled()
graphs = []
compiled = torch.compile(model.loss, backend=lambda graph, inputs: graphs.append(graph) or graph)
loss = compiled(ids[:, :-1], ids[:, 1:])
loss.backward()
print(graphs and abs(loss.item() - plain.item()) < 1e-5 and not any("softmax" in graph.code for graph in graphs))
"""


APART = """
import torch
from chainrule.config import ModelConfig
from chainrule.model import GPT
from chainrule.model.loss import compiled_portions
model = GPT(ModelConfig(vocab_size=61, context_length=12, emb_dim=32, n_heads=4, n_layers=2, drop_rate=0.0))
model.logits_at_once = 7 * 61
ids = torch.randint(0, 61, (4, 13))
results, graphs = [], []
def counting(graph, inputs):
    graphs.append(graph.code)
    return graph
for compiled in (False, True):
    model.zero_grad()
    if compiled:
        model.loss_in_portions = compiled_portions(counting)
    loss = (torch.compile(model.loss, backend=counting) if compiled else model.loss)(ids[:, :-1], ids[:, 1:])
    loss.backward()
    results.append([loss.detach(), *(one.grad.clone() for one in model.parameters())])
portions = [code for code in graphs if "logsumexp" in code]
close = all(torch.allclose(one, other, atol=1e-6) for one, other in zip(*results, strict=True))
# A graph for portions of seven tokens, and one for the last, which is shorter; neither in the model's own.
apart = all("linear" not in code for code in portions) and len(graphs) > len(portions)
print(close and 1 <= len(portions) <= 2 and apart)
"""


def printed(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_torchs_compiler_is_loaded_by_those_who_compile_alone():
    assert printed(LOADED) == "False"


@pytest.mark.slow
def test_a_compiled_loss_in_portions_is_the_plain_one_and_its_portions_are_left_alone():
    """In a process of its own, where no signature is checked: the compiler does not see through the checks."""
    assert printed(COMPILED) == "True"


@pytest.mark.slow
def test_portions_that_are_compiled_by_themselves_have_the_plain_loss_and_gradients():
    assert printed(APART) == "True"
