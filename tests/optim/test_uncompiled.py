"""No optimizer loads torch's compiler, and AdamW without it moves weights to the same bits."""

import copy
import subprocess
import sys

import pytest
import torch

from chainrule.optim.uncompiled import UncompiledAdamW

CODE = """
import sys
import torch
from chainrule.config import Layer, resolve
from chainrule.model import GPT
from chainrule.optim import Optimizer

shape = {"vocab_size": 17, "context_length": 8, "emb_dim": 16, "n_heads": 2, "n_layers": 1}
config = resolve([Layer("tiny", {"model": shape, "optimizer": {"kind": sys.argv[1]}})]).config
model = GPT(config.model)
optimizer = Optimizer(model, config)
ids = torch.arange(8)[None]
model.loss(ids, ids).backward()
before = [one.detach().clone() for one in model.parameters()]
optimizer.step(1.0)
assert all((one != other).any() for one, other in zip(model.parameters(), before))
optimizer.load_state({name: one.clone() for name, one in optimizer.state().items()})
optimizer.zero_grad()
sys.exit("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_an_update_does_not_load_the_compiler(kind):
    done = subprocess.run([sys.executable, "-c", CODE, kind], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "torch._dynamo was loaded"


def test_the_bits_are_those_of_torchs_own_step():
    weights = [torch.nn.Parameter(torch.randn(5, 3)), torch.nn.Parameter(torch.randn(7))]
    others = copy.deepcopy(weights)
    settings = {"lr": 0.01, "betas": (0.9, 0.95), "weight_decay": 0.1, "fused": True}
    pairs = [(UncompiledAdamW(weights, **settings), weights), (torch.optim.AdamW(others, **settings), others)]
    for number in range(3):
        gradients = [torch.randn(one.shape) * (number + 1) for one in weights]
        for optimizer, moved in pairs:
            for one, gradient in zip(moved, gradients, strict=True):
                one.grad = gradient.clone()
            optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(weights, others, strict=True))
    assert all(
        torch.equal(pairs[0][0].state[one]["exp_avg_sq"], pairs[1][0].state[other]["exp_avg_sq"])
        for one, other in zip(weights, others, strict=True)
    )
