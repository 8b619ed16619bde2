"""The LSTM that runs as one operation in float32 has the gradients of the one that runs as many in float64."""

import copy

import pytest
import torch
from torch import nn

from chainrule.lens import record, reverse


def gradients(layer, *inputs):
    def loss(result):
        output, (h, c) = result
        return (output**2).mean() + h.mean() + (c**3).mean()

    tape = record(layer, *inputs, loss=loss)
    found = reverse(tape)
    return tape, {value.name: found[value.id] for value in tape.leaves()}


@pytest.mark.parametrize(
    "form",
    [{}, {"bidirectional": True, "num_layers": 2}, {"batch_first": True}, {"bias": False}],
    ids=["one layer", "two layers both ways", "batch first", "no bias"],
)
def test_the_layer_in_one_operation_has_the_gradients_of_its_small_operations(form):
    torch.manual_seed(0)
    layer = nn.LSTM(3, 5, **form)
    x = torch.randn(4, 2, 3, requires_grad=True)
    double = copy.deepcopy(layer).double()
    tape, single = gradients(layer, x)
    reference, exact = gradients(double, x.detach().double().requires_grad_())
    assert "mkldnn_rnn_layer" in {node.rule_name for node in tape.nodes}
    assert "mkldnn_rnn_layer" not in {node.rule_name for node in reference.nodes}
    assert single.keys() == exact.keys()
    for name, gradient in single.items():
        torch.testing.assert_close(gradient.double(), exact[name], rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_recurrent_layers_in_float64_are_walked_back_through_their_small_operations(cell):
    torch.manual_seed(0)
    layer = cell(3, 5).double()
    x = torch.randn(*([4] if "Cell" not in cell.__name__ else []), 2, 3, dtype=torch.float64)

    def loss(result):
        first = result[0] if isinstance(result, tuple) else result
        return (first**2).sum()

    tape = record(layer, x, loss=loss)
    found = reverse(tape)
    theirs = torch.autograd.grad(tape.values[tape.loss].tensor, list(layer.parameters()))
    for (name, _), gradient in zip(layer.named_parameters(), theirs, strict=True):
        torch.testing.assert_close(found[tape.named(name).id], gradient, rtol=1e-12, atol=1e-14)
