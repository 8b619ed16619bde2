"""Small recordings that every picture is tried on."""

import pytest
import torch
from torch import nn

from chainrule.config import ModelConfig
from chainrule.lens import Picture, network, neuron, picture, record
from chainrule.lens.tape import Tape
from chainrule.model import GPT

SHAPE = {"vocab_size": 64, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 2}


def gpt_tape(**changes) -> Tape:
    torch.manual_seed(0)
    model = GPT(ModelConfig.model_validate({**SHAPE, **changes}))
    ids = torch.randint(0, 64, (2, 9))
    return record(model.loss, ids[:, :-1], ids[:, 1:])


@pytest.fixture(scope="session")
def of_neuron() -> Picture:
    return picture(neuron().record(), title="neuron")


@pytest.fixture(scope="session")
def of_network() -> Picture:
    return picture(network().record(), title="network")


@pytest.fixture(scope="session")
def gpt() -> Tape:
    return gpt_tape()


@pytest.fixture(scope="session")
def of_gpt(gpt) -> Picture:
    return picture(gpt, title="gpt")


class Shared(nn.Module):
    """One layer that is called twice, and one that is called inside it."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.Tanh())

    def forward(self, x):
        return self.inner(self.inner(x)).pow(2).mean()
