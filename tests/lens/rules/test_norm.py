"""Norms in one operation: the one that only a GPU has, and half precision."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from lens.rules.by_hand import call
from lens.rules.numbers import between, normal

from chainrule.lens import record, reverse
from chainrule.lens.rules import RULES

EPS = 1e-5


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
@pytest.mark.parametrize("with_weight", [True, False])
def test_the_fused_rms_norm_has_the_gradients_of_its_definition(shape, with_weight):
    x, w = normal(2, 3, 4).requires_grad_(), between(0.5, 2, *shape).requires_grad_() if with_weight else None
    axes = tuple(range(-len(shape), 0))
    rstd = (x.square().mean(axes, keepdim=True) + EPS).rsqrt()
    y = x * rstd if w is None else x * rstd * w
    g, g_rstd = normal(2, 3, 4, seed=1), normal(*rstd.shape, seed=2)
    arguments = {"input": x.detach(), "weight": None if w is None else w.detach(), "normalized_shape": list(shape)}
    made = call("_fused_rms_norm", [y.detach(), rstd.detach()], **arguments, eps=EPS)
    found = RULES["_fused_rms_norm"].pullback(made, g, g_rstd)
    inputs = [x] if w is None else [x, w]
    theirs = torch.autograd.grad((y * g).sum() + (rstd * g_rstd).sum(), inputs)
    for name, gradient in zip(("input", "weight"), theirs, strict=False):
        torch.testing.assert_close(found[name], gradient, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.layer_norm(x, (8,)),
        lambda x: F.group_norm(x, 2),
        lambda x: F.softmax(x, -1),
        lambda x: F.log_softmax(x, -1),
        F.gelu,
        F.silu,
        torch.tanh,
        lambda x: x @ x.mT,
        lambda x: F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None], is_causal=True),
        lambda x: F.conv1d(x[None], x[:, :, None].transpose(0, 1)[:4]),
        lambda x: F.cross_entropy(x, torch.tensor([0, 3, -100, 5, 1, 2, 7, 4])),
    ],
    ids=["layer", "group", "softmax", "log_softmax", "gelu", "silu", "tanh", "matmul", "attention", "conv", "loss"],
)
def test_half_precision_keeps_its_type_and_is_as_good_as_autograd(function, dtype):
    """Against float64 from the same rounded input: no further off than four roundings more than autograd is."""
    x = normal(8, 8).to(dtype)
    u = normal(*function(x.double()).shape, seed=1)

    def gradient(point):
        leaf = point.clone().requires_grad_()
        tape = record(lambda x: (function(x).double() * u).sum(), leaf)
        ours = reverse(tape)[next(value.id for value in tape.leaves())]
        return ours, torch.autograd.grad(tape.values[tape.loss].tensor, leaf)[0]

    exact, _ = gradient(x.double())
    ours, theirs = gradient(x)
    assert ours.dtype == dtype
    off, allowed = ((found.double() - exact).abs().max() for found in (ours, theirs))
    assert off <= allowed + 4 * torch.finfo(dtype).eps * exact.abs().max()
