import torch

from chainrule.config import ModelConfig
from chainrule.model import POSITIONS
from chainrule.model.position import rotate

CONFIG = ModelConfig(
    emb_dim=32, n_heads=4, context_length=16, norm="rmsnorm", position="rope", activation="swiglu", bias=False
)


def test_rotation_keeps_lengths_and_depends_on_distance_alone():
    position = POSITIONS["rope"](CONFIG)
    x = torch.randn(1, 1, 1, 8, generator=torch.Generator().manual_seed(0)).expand(1, 1, 16, 8)
    turned = rotate(x, position.rotation(slice(0, 16)))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    products = turned @ turned.transpose(-1, -2)
    for distance in range(1, 15):
        diagonal = products[0, 0].diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=1e-5)


def test_places_that_start_later_are_the_later_rows():
    position = POSITIONS["rope"](CONFIG)
    cosine, sine = position.rotation(slice(5, 8))
    torch.testing.assert_close(cosine, position.rotation(slice(0, 16))[0][5:8])
    torch.testing.assert_close(sine, position.rotation(slice(0, 16))[1][5:8])
