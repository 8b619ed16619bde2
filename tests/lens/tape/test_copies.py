import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune, weight_norm
from torch.utils.checkpoint import checkpoint

from chainrule.base import LensError
from chainrule.lens import verify
from chainrule.lens.tape import in_float64, subject_of

LAYER = nn.Linear(4, 4)
LAYERS = [nn.Linear(4, 4), nn.Linear(4, 4)]


def square(out):
    return out.square().sum()


def small():
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))


def normed():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return weight_norm(nn.Linear(4, 4))


def pruned():
    layer = nn.Linear(4, 4)
    prune.l1_unstructured(layer, "weight", 0.5)
    return layer


class Host(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.rest = nn.Linear(4, 4), torch.jit.script(small())

    def forward(self, x):
        return self.rest(self.first(x))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "make",
    [
        normed,
        pruned,
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
        lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)),
        lambda: torch.jit.script(small()),
        lambda: torch.jit.trace(small(), torch.randn(5, 4)),
        Host,
    ],
    ids=["weight_norm", "prune", "parametrized", "spectral", "script", "trace", "script inside"],
)
def test_models_whose_weights_are_made_on_the_way_are_verified(make):
    model = make()
    model(torch.randn(5, 4))
    report = verify(model, torch.randn(5, 4), square, coordinates=6)
    assert report.ok, report.summary
    assert all(weight.dtype == torch.float32 for weight in model.parameters())


def test_a_weight_that_was_computed_before_the_run_is_refused_by_name():
    class Early(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.doubled = self.layer.weight * 2

        def forward(self, x):
            return (x @ self.doubled).sum() + self.layer(x).sum()

    with pytest.raises(LensError, match="doubled was computed from weights before the run"):
        verify(Early(), torch.randn(5, 4))


@pytest.mark.parametrize(
    ("make", "draw"),
    [
        (lambda: torch.Generator().manual_seed(1), lambda g: torch.rand(4, generator=g)),
        (lambda: np.random.default_rng(1), lambda g: torch.from_numpy(g.random(4))),
        (lambda: random.Random(1), lambda g: torch.tensor([g.random() for _ in range(4)])),
    ],
    ids=["torch", "numpy", "python"],
)
def test_generators_of_the_programs_own_are_put_back(make, draw):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.source = nn.Linear(4, 4), make()

        def forward(self, x):
            return (self.layer(x) + draw(self.source)).sin().sum()

    model, source = Noisy(), make()
    assert verify(model, torch.randn(5, 4), coordinates=4).ok
    assert torch.equal(draw(model.source), draw(make()))
    assert verify(lambda x: (LAYER(x) + draw(source)).sin().sum(), torch.randn(5, 4), coordinates=4).ok
    assert torch.equal(draw(source), draw(make()))


def test_names_in_functions_within_a_function_are_copied_too():
    report = verify(
        lambda x: sum(layer(x).sin().sum() for layer in LAYERS) + (lambda y: LAYER(y).cos().sum())(x),
        torch.randn(5, 4),
        coordinates=6,
    )
    assert report.ok, report.summary
    assert len(report.parameters) == 6
    assert LAYER.weight.dtype == LAYERS[0].weight.dtype == torch.float32


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_of_both_forms_are_verified(reentrant):
    report = verify(
        lambda x: checkpoint(lambda y: LAYER(y).tanh(), LAYERS[0](x), use_reentrant=reentrant).sin().sum(),
        torch.randn(5, 4),
        coordinates=6,
    )
    assert report.ok, report.summary
    assert LAYER.weight.grad is None


def test_sparse_gradients_are_held_against_dense_ones():
    bag, table = nn.EmbeddingBag(6, 3, sparse=True, mode="sum"), nn.Embedding(6, 3, sparse=True)
    ids = torch.tensor([[0, 1], [2, 3]])
    assert verify(lambda ids: bag(ids).sin().sum(), ids, coordinates=4).ok
    assert verify(lambda ids: table(ids).sin().sum(), ids, coordinates=4).ok


def test_a_gradient_penalty_is_verified():
    def penalty(x):
        x = x.clone().requires_grad_()
        found = torch.autograd.grad((LAYER(x) ** 2).exp().sum(), x, create_graph=True)[0]
        return found.square().sum()

    assert verify(penalty, 0.1 * torch.randn(5, 4), coordinates=6).ok


def test_refusals_say_what_would_do():
    x = torch.randn(5, 4)
    with pytest.raises(LensError, match=r"no derivative of special_bessel_j0.*test_copies\.py"):
        verify(lambda x: torch.special.bessel_j0(LAYER(x)).sum(), x)


def test_the_line_of_a_layer_of_torch_is_the_layers_own():
    report = verify(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), torch.randn(5, 4), square, coordinates=2)
    files = [node.site.file for node in report.tape.nodes]
    assert files[:3] == ["torch/nn/modules/linear.py", "torch/nn/modules/linear.py", "torch/nn/modules/activation.py"]


def test_a_copy_shares_nothing_and_complex_stays_complex():
    weight = nn.Parameter(torch.tensor([1 + 2j]))
    layer = nn.Linear(2, 2)
    subject = in_float64(subject_of(lambda x: (layer(x) * weight.abs()).sum(), torch.randn(3, 2)))
    copied = {value.name: value.tensor for value in subject.record().leaves()}
    assert copied["weight"].dtype == torch.complex128
    assert copied["layer.weight"].dtype == torch.float64
    assert copied["layer.weight"] is not layer.weight
