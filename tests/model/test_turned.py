"""A layer laid out for reading gives the sums of the plain one, for any number of rows, and holds its weight once."""

import pytest
import torch

from chainrule.model import TurnedLinear

if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
    pytest.skip("this torch has no oneDNN", allow_module_level=True)

SHAPES = [(48, 16), (16, 48), (33, 33), (257, 7), (1, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n_rows", [1, 2, 3, 32])
@pytest.mark.parametrize("biased", [True, False])
def test_sums_are_those_of_the_plain_layer_but_for_rounding(shape, n_rows, biased):
    dice = torch.Generator().manual_seed(0)
    weight, x = torch.randn(shape, generator=dice), torch.randn(2, n_rows, shape[1], generator=dice)
    bias = torch.randn(shape[0], generator=dice) if biased else None
    layer = TurnedLinear(weight, bias)
    for rows in (x, x[:1], x[0, :1]):
        right = torch.nn.functional.linear(rows.double(), weight.double(), None if bias is None else bias.double())
        # Rounding of a sum of at most 48 products in float32.
        torch.testing.assert_close(layer(rows).double(), right, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(48, 16), (16, 48)], ids=str)
def test_the_weight_is_there_once(shape):
    layer = TurnedLinear(torch.randn(shape))
    assert layer.weight.shape == shape
    if layer.turned is not None:
        assert layer.turned.is_contiguous() and layer.turned.data_ptr() == layer.weight.data_ptr()
    else:
        given = torch.randn(shape)
        assert TurnedLinear(given).weight.data_ptr() == given.data_ptr()
