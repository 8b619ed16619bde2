"""Planted causes: each of them is named, and the place where it begins."""

import copy

import pytest
import torch
from torch import nn

from chainrule.health import SpikeCase, diagnose
from chainrule.health.portions import passage
from chainrule.health.suspects import first_suspect

WIDTH = 8


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.act = nn.ReLU()

    def forward(self, x):
        return self.head(self.act(self.second(self.act(self.first(x)))))


def portion(x, share=1.0):
    def loss(model):
        weight = next(model.parameters())
        return model(x.to(weight.dtype)).square().mean() * share

    return loss


def batches(count, seed=0, scale=1.0):
    chance = torch.Generator().manual_seed(seed)
    return [torch.randn(16, WIDTH, generator=chance) * scale for _ in range(count)]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Net()


def case(model, batch, *, past_of=None, **more):
    """A step on `batch` after twenty ordinary steps at the weights of `past_of`."""
    before = [passage(past_of or model, [portion(x)]) for x in batches(20, seed=1)]
    ordinary = [[portion(x)] for x in batches(4, seed=2)]
    return SpikeCase(model, [portion(batch)], ordinary, [p.loss for p in before], [p.grad_norm for p in before], **more)


def test_a_batch_unlike_all_others_is_to_blame_with_the_layer_where_it_enters(model):
    found = diagnose(case(model, batches(1, scale=200.0)[0]))
    assert found.cause == "data"
    assert found.forward is not None and found.forward.path == "first"
    assert all(one.in_line for one in found.ordinary)
    assert not found.replays["float64"].in_line


def test_a_batch_that_holds_a_nan_is_data_and_the_first_module_is_named(model):
    batch = batches(1)[0]
    batch[3, 2] = float("nan")
    found = diagnose(case(model, batch))
    assert found.cause == "data"
    assert found.forward is not None
    assert (found.forward.path, found.forward.finite) == ("first", False)
    assert found.backward is not None and found.backward.path in ("", "head")


def test_weights_that_every_batch_suffers_from_were_moved_too_far(model):
    blown = copy.deepcopy(model)
    with torch.no_grad():
        blown.head.weight.mul_(50.0)
    found = diagnose(case(blown, batches(1)[0], past_of=model))
    assert found.cause == "learning rate"
    assert not any(one.in_line for one in found.ordinary)


def test_what_float64_computes_in_line_is_a_fault_of_the_number_format(model):
    class Low(Net):
        def forward(self, x):
            # float16 ends at 65504: the detour overflows there, and cancels in wider formats.
            hidden = self.second(self.act(self.first(x)))
            return self.head(self.act(hidden * 1e3 * 1e3 / 1e6))

    torch.manual_seed(0)
    low = Low()
    own = lambda: torch.autocast("cpu", dtype=torch.float16)  # noqa: E731
    found = diagnose(case(low, batches(1)[0], own=own, own_name="float16"))
    assert found.cause == "precision"
    assert found.replays["float32"].in_line and found.replays["float64"].in_line
    assert found.forward is not None and not found.forward.finite
    assert found.forward.path == "act"


def test_float32_itself_can_be_too_narrow(model):
    class Square(Net):
        def forward(self, x):
            large = super().forward(x) * 1e25
            return large * large / 1e50

    torch.manual_seed(0)
    wide = Square()
    exact = copy.deepcopy(wide).double()
    before = [passage(exact, [portion(x)]) for x in batches(20, seed=1)]
    given = SpikeCase(
        wide,
        [portion(batches(1)[0])],
        [[portion(x)] for x in batches(4, seed=2)],
        [p.loss for p in before],
        [p.grad_norm for p in before],
    )
    assert diagnose(given).cause == "precision"


def test_a_weight_that_is_not_finite_is_named_before_anything_is_run(model):
    with torch.no_grad():
        model.second.bias[1] = float("inf")
    found = diagnose(case(model, batches(1)[0], past_of=Net()))
    assert (found.cause, found.bad_weights) == ("weights", ("second.bias",))


def test_a_step_that_is_in_line_when_it_is_made_again_is_not_explained_away(model):
    assert diagnose(case(model, batches(1)[0])).cause == "not reproduced"


def test_portions_add_up_to_the_whole_batch(model):
    x = batches(1)[0]
    whole = passage(model, [portion(x)])
    parts = passage(model, [portion(x[:4], 0.25), portion(x[4:], 0.75)])
    assert parts.loss == pytest.approx(whole.loss, rel=1e-6)
    assert parts.grad_norm == pytest.approx(whole.grad_norm, rel=1e-6)
    assert parts.forward["first"].rms == pytest.approx(whole.forward["first"].rms, rel=1e-6)
    assert next(iter(whole.forward)) == "first" and next(iter(whole.backward)) in ("", "head")


def test_a_pass_leaves_neither_gradients_nor_hooks(model):
    passage(model, [portion(batches(1)[0])])
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_ordinary_batches_accuse_nobody(model):
    one, *rest = [passage(model, [portion(x)]) for x in batches(5, seed=3)]
    assert first_suspect(one, rest, "forward") is None
    assert first_suspect(one, rest, "backward") is None
