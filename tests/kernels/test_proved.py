"""The gradients that our kernels left in a step, held against the lens's rules in float64."""

from contextlib import nullcontext

import pytest
import torch

from chainrule.base import DeviceError
from chainrule.config import ModelConfig
from chainrule.kernels import use_kernels
from chainrule.kernels._gelu import GELU
from chainrule.kernels.build import _compiler
from chainrule.lens import capture, verify
from chainrule.model import GPT

try:
    _compiler({})
except DeviceError:
    pytest.skip("no C++ compiler is here", allow_module_level=True)

SMALL = {"vocab_size": 31, "context_length": 12, "emb_dim": 16, "n_heads": 2, "n_layers": 1, "drop_rate": 0.0}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "qk_norm": True, "bias": False}


def step_of(shape):
    """A step's gradients by our kernels, and the operations of torch that they stand for."""
    torch.manual_seed(0)
    model = GPT(ModelConfig(**SMALL, **shape)).train()
    ids = torch.randint(0, 31, (2, 13))
    return capture(lambda: model.loss(ids[:, :-1], ids[:, 1:]))


@pytest.mark.parametrize("shape", [{}, MODERN], ids=["gpt2", "modern"])
@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_the_rules_prove_a_step_by_our_kernels(shape, autocast):
    by_torch = step_of(shape)
    assert use_kernels("auto").name.startswith("own")
    with torch.autocast("cpu", dtype=torch.bfloat16) if autocast else nullcontext():
        step = step_of(shape)
    assert any(not torch.equal(step.gradients[one], by_torch.gradients[one]) for one in step.gradients)
    report = verify(step=step, seconds=5)
    assert report.ok, report.summary()


def test_a_kernel_whose_gradient_is_wrong_by_a_thousandth_is_found(monkeypatch):
    use_kernels("auto")
    right = type(GELU).backward
    monkeypatch.setattr(type(GELU), "backward", lambda *given: tuple(one * 1.001 for one in right(*given)))
    report = verify(step=step_of({}), seconds=5)
    assert not report.gradients_agree
