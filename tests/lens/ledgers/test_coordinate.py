"""One followed element: what is printed multiplies and adds up to the gradient."""

import pytest
import torch
from lens.rules.samples import SAMPLES
from torch import nn
from torch.utils._pytree import tree_leaves

from chainrule.base import LensError
from chainrule.config import ModelConfig
from chainrule.lens import Policy, Subject, ledger, network, record
from chainrule.lens.ledgers import path_lines
from chainrule.model import GPT

SHAPE = {"vocab_size": 40, "context_length": 8, "emb_dim": 8, "n_heads": 2, "n_layers": 2, "drop_rate": 0.0}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "qk_norm": True, "bias": False}


@pytest.fixture(scope="module")
def gpts():
    """A GPT-2 and the modern variant, in float64, with autograd's gradients in `.grad`."""
    found = {}
    for name, more in (("gpt2", {}), ("modern", {**MODERN, "n_kv_heads": 1})):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            model = GPT(ModelConfig(**SHAPE, **more)).double().eval()
            ids = torch.randint(0, 40, (2, 9))
        subject = Subject(name, model.loss, (ids[:, :-1], ids[:, 1:]))
        model.loss(*subject.inputs).backward()
        found[name] = model, subject.record()
    return found


PLACES = [
    ("gpt2", "blocks.0.attention.qkv", (3, 7)),
    ("gpt2", "blocks.1.feed_forward.up.bias", (5,)),
    ("gpt2", "blocks.0.attention_norm.weight", (-1,)),
    ("gpt2", "token_embedding", None),
    ("gpt2", "position_embedding.weight", (2, 2)),
    ("modern", "blocks.0.attention.qkv.weight", None),
    ("modern", "blocks.1.attention.k_norm", (0,)),
    ("modern", "blocks.0.feed_forward.down.weight", (1, 1)),
]


@pytest.mark.parametrize(("which", "name", "place"), PLACES, ids=lambda one: str(one))
def test_the_products_add_up_all_the_way_from_the_loss_to_autograds_element(gpts, which, name, place):
    model, tape = gpts[which]
    path = ledger(tape, coordinate=(name, place), stats=False).coordinate
    arriving = 1.0
    for step in path.steps:
        total = sum(term.product for term in step.terms) + step.rest
        size = abs(step.number) + sum(abs(term.product) for term in step.terms)
        assert total == pytest.approx(step.number, abs=1e-13 * size)
        assert step.number + sum(use.number for use in step.others) == pytest.approx(step.total, rel=1e-13)
        assert step.terms[0].gradient == pytest.approx(arriving, rel=1e-13)
        assert step.terms[0].gradient * step.terms[0].local == pytest.approx(step.terms[0].product, rel=1e-14)
        arriving = step.total
    element = model.get_parameter(path.name).grad[path.index]
    assert arriving == pytest.approx(path.gradient, rel=1e-13)
    assert path.gradient == pytest.approx(float(element), rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_rule_can_be_followed_through(name):
    """The products are read off our own rule, which must survive that; a sum that differed would fail inside."""

    def loss(out):
        return sum((one * (one.detach() + 0.3)).sum() for one in tree_leaves(out) if isinstance(one, torch.Tensor))

    for function, tensors in SAMPLES[name]:
        if any(one.is_complex() for one in tree_leaves(function(*tensors)) if isinstance(one, torch.Tensor)):
            continue
        tape = record(function, *(one.clone().requires_grad_(one.is_floating_point()) for one in tensors), loss=loss)
        reached = [tape.values[leaf.value] for leaf in ledger(tape).leaves]
        for leaf in reached:
            if leaf.meta.n_elements and not any(value.meta.dtype.is_complex for value in tape.values):
                path = ledger(tape, coordinate=(leaf.name, None), stats=False).coordinate
                assert not path.steps[-1].terms or path.steps[-1].total == pytest.approx(path.gradient, rel=1e-10)


def test_complex_numbers_are_refused_with_their_place():
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    tape = record(lambda x: torch.view_as_real(torch.view_as_complex(x)).sum(), x)
    with pytest.raises(LensError, match=r"goes through complex numbers .*test_coordinate\.py"):
        ledger(tape, coordinate=("x", (0, 0)))


def test_without_a_place_it_is_the_element_with_the_largest_gradient(gpts):
    model, tape = gpts["gpt2"]
    path = ledger(tape, coordinate=("blocks.1.feed_forward.up", None), stats=False).coordinate
    largest = model.blocks[1].feed_forward.up.weight.grad.abs().max()
    assert abs(path.gradient) == pytest.approx(float(largest), rel=1e-12)


def test_a_tied_weight_is_found_under_both_names_with_both_uses():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(2, 2, bias=False)
            self.other = nn.Linear(2, 2, bias=False)
            self.other.weight = self.one.weight

        def forward(self, x):
            return self.other(self.one(x)).sum()

    tape = record(Tied().double(), torch.ones(1, 2, dtype=torch.float64))
    paths = [ledger(tape, coordinate=(name, (0, 0))).coordinate for name in ("one", "other")]
    assert paths[0] == paths[1]
    assert sum(len(step.others) for step in paths[0].steps) == 1


def test_through_a_dead_relu_nothing_arrives():
    w = torch.tensor([-1.0, 1.0], requires_grad=True)
    path = ledger(record(lambda w: torch.relu(w).sum(), w), coordinate=("w", (0,))).coordinate
    assert path.gradient == 0 and path.steps[0].terms == ()
    assert any("nothing" in line for line in path_lines(path))
    assert any("zero" in line for line in path_lines(path))


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("hiden", (0, 0), "Did you mean 'hidden"),
        ("hidden", (5, 0), r"5 is out of range on axis 0 of hidden.weight; use 0 to 4"),
        ("hidden", (0, -11), "-11 is out of range on axis 1"),
        ("hidden", (0,), r"hidden.weight has the shape \[5, 10\]: .* needs 2 numbers"),
        ("x", (0, 0), "x has no gradient of its own"),
    ],
)
def test_a_place_that_is_not_there_is_refused_with_what_is_allowed(name, place, message):
    with pytest.raises(LensError, match=message):
        ledger(network().record(), coordinate=(name, place))


def test_a_weight_that_the_loss_does_not_reach_has_no_path():
    unused = torch.zeros(1, requires_grad=True)
    tape = record(lambda w, unused: (w * w).sum(), torch.ones(1, requires_grad=True), unused)
    with pytest.raises(LensError, match="does not depend on unused"):
        ledger(tape, coordinate=("unused", (0,)))


def test_it_cannot_be_followed_through_an_operation_that_autograd_stands_in_for():
    with pytest.raises(LensError, match="no rule of ours"):
        ledger(network().record(), policy=Policy({}, fallback=True), coordinate=("hidden", (0, 0)))
