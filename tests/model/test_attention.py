import pytest
import torch

from chainrule.model import attend
from chainrule.model.attention import explicit_attention


def heads(n_heads: int, length: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(2, n_heads, length, 8, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("n_queries", [1, 5, 12])
@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_explicit_and_fused_attention_agree(n_queries, n_kv_heads):
    q, k, v = heads(4, n_queries, 0), heads(n_kv_heads, 12, 1), heads(n_kv_heads, 12, 2)
    torch.testing.assert_close(attend(q, k, v, explicit=True), attend(q, k, v, explicit=False))


def test_their_gradients_agree():
    gradients = []
    for explicit in (True, False):
        q, k, v = (heads(4, 6, seed).requires_grad_() for seed in range(3))
        attend(q, k, v, explicit=explicit).square().sum().backward()
        gradients.append((q.grad, k.grad, v.grad))
    for ours, fused in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, fused)


@pytest.mark.parametrize("explicit", [True, False])
def test_a_mask_closes_what_it_says(explicit):
    q, k, v = (heads(4, 6, seed) for seed in range(3))
    mask = torch.ones(2, 1, 6, 6, dtype=torch.bool)
    mask[:, :, 3:, :3] = False
    masked = attend(q, k, v, mask, explicit=explicit)
    torch.testing.assert_close(masked[:, :, 3:], attend(q[:, :, 3:], k[:, :, 3:], v[:, :, 3:], explicit=explicit))


def test_each_place_takes_an_average_of_what_it_sees():
    q, k = heads(4, 6, 0), heads(4, 6, 1)
    ones = torch.ones_like(q)
    torch.testing.assert_close(explicit_attention(q, k, ones), ones)
    # The first place sees itself alone.
    v = heads(4, 6, 2)
    torch.testing.assert_close(explicit_attention(q, k, v)[:, :, 0], v[:, :, 0])
