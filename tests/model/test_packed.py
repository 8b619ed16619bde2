"""Laws of packed weights: each product is that with the weights it stands for, alone and in any company."""

import os
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn

from chainrule.config import ModelConfig
from chainrule.model import (
    GPT,
    GROUP,
    FlatBlocks,
    Int4Linear,
    Int8Linear,
    KVCache,
    RotatedInt8Linear,
    attend,
    can_be_flat,
    dequantised,
    four_bits,
    int4_fits,
    int8_fits,
    whole_numbers_are_exact,
)
from chainrule.model.packed import BFloat16Linear, JoinedSwiGLU
from chainrule.model.rotated import HIGH, LOW, hadamard

MANY = 10**9
# Of the largest result: activations and results in bfloat16 have 8 bits; whole numbers 15, and weights none to lose.
ROUNDING = {"packed": 2**-6, "whole": 2**-13, "rotated": 2**-11}


def need_whole_numbers() -> None:
    if not whole_numbers_are_exact():
        pytest.skip("this processor adds products of 8-bit numbers up with a loss")


def weight(n: int = 48, k: int = 64) -> torch.Tensor:
    return torch.randn(n, k, generator=torch.Generator().manual_seed(0)) * torch.logspace(-2, 1, n)[:, None]


def rows(n: int = 19, k: int = 64) -> torch.Tensor:
    return torch.randn(n, k, generator=torch.Generator().manual_seed(1)) * torch.logspace(-3, 3, n)[:, None]


def int8(product: str, w: torch.Tensor, bias: torch.Tensor | None = None) -> Int8Linear | RotatedInt8Linear:
    if product == "rotated":
        if not {"x86", "fbgemm"} & set(torch.backends.quantized.supported_engines):
            pytest.skip("this torch has no fbgemm")
        return RotatedInt8Linear(w, bias)
    if product == "whole":
        need_whole_numbers()
    return Int8Linear(w, bias, few_rows=MANY if product == "packed" else 0)


def off(ours: torch.Tensor, right: torch.Tensor) -> float:
    """The largest error of a row over the row's largest result."""
    return float(((ours - right).abs().amax(1) / right.abs().amax(1)).max())


@torch.no_grad()
@pytest.mark.parametrize("product", ROUNDING)
@pytest.mark.parametrize("bias", [None, torch.linspace(-1, 1, 48)], ids=["no bias", "bias"])
def test_an_int8_product_is_that_of_the_weights_it_stands_for(product, bias):
    layer = int8(product, weight(), bias)
    right = nn.functional.linear(rows().double(), layer.dequantised().double(), None if bias is None else bias.double())
    assert off(layer(rows()), right) < ROUNDING[product]


@torch.no_grad()
def test_int8_weights_are_within_half_a_step_of_the_weights_they_came_from():
    layer = Int8Linear(weight())
    steps = ((layer.dequantised() - weight()) / layer.scale[:, None]).abs()
    # A scale that bfloat16 rounded down cuts the largest weight off at 127 of its steps: by half a step more.
    assert float(steps.max()) <= 1.0 and float((steps > 0.5).float().mean()) <= 1 / 64


@torch.no_grad()
@pytest.mark.parametrize("product", ["whole", "rotated"])
def test_whole_numbers_take_any_width_and_the_packed_product_says_which_it_takes(product):
    for n, k in ((61, 33), (7, 5), (1, 1)):
        layer, x = int8(product, weight(n, k)), rows(5, k)
        assert not int8_fits(weight(n, k))
        assert off(layer(x), x @ layer.dequantised().T) < ROUNDING[product]
    assert int8_fits(weight(61, 48)) and not int4_fits(weight(61, 64)) and not int4_fits(weight(48, 48))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["packed", "whole", "rotated", "int4"])
@pytest.mark.parametrize("k", [64, 576, 96])
def test_a_row_of_a_product_has_the_same_bits_whatever_stands_beside_it(kind, k):
    w, x = weight(k=k), rows(k=k)
    layer = Int4Linear(*four_bits(w)) if kind == "int4" else int8(kind, w)
    together = layer(x)
    for start, stop in ((0, 1), (3, 5), (7, 11), (2, 19)):
        assert torch.equal(layer(x[start:stop]), together[start:stop])


@torch.no_grad()
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_numbers_of_a_product_by_halves_fit_sixteen_bits_and_are_added_up_rightly(sign):
    """A processor without VNNI adds pairs of products up in 16 bits."""
    assert 2 * 127 * max(HIGH + HIGH, LOW // 2 + HIGH) < 2**15
    matrix = hadamard(64)
    ones = torch.ones(48, 8, len(matrix)).matmul(matrix).flatten(1)  # what the layer rotates into ones
    layer = int8("rotated", ones)
    torch.testing.assert_close(layer(sign * ones[:2]), torch.full((2, 48), 64.0 * sign), rtol=2**-8, atol=0)


@pytest.mark.parametrize("width", [1, 33, 48, 64, 96, 576, 1536])
def test_a_rotation_undoes_itself_and_keeps_lengths(width):
    matrix = hadamard(width)
    assert width % len(matrix) == 0 and len(matrix) <= 64
    torch.testing.assert_close(matrix @ matrix, torch.eye(len(matrix)))
    assert len(matrix) == {1: 1, 33: 1, 48: 4, 64: 8, 96: 8, 576: 64, 1536: 64}[width]


@torch.no_grad()
def test_a_rotation_saves_weights_beside_a_large_one_from_rounding():
    w = weight(48, 576)
    w[:, ::97] *= 30
    x = torch.randn(40, 576, generator=torch.Generator().manual_seed(2))
    right = x @ w.T
    lost = [(int8(kind, w)(x) - right).std() / right.std() for kind in ("rotated", "packed")]
    assert lost[0] < 0.5 * lost[1]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN's variable is for x86")
def test_a_processor_that_cuts_sums_off_is_found_out():
    code = "from chainrule.model import whole_numbers_are_exact; print(whole_numbers_are_exact())"
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False"]


@torch.no_grad()
@pytest.mark.parametrize("product", ["whole", "rotated"])
def test_a_row_of_zeros_gives_the_bias_and_one_that_is_no_number_none(product):
    layer = int8(product, weight(), torch.ones(48))
    x = torch.zeros(2, 64)
    x[1, 3] = float("nan")
    y = layer(x)
    assert torch.equal(y[0], torch.ones(48)) and y[1].isnan().all()


@torch.no_grad()
@pytest.mark.parametrize("group", [32, 64, 128])
def test_an_int4_product_is_that_of_the_weights_it_stands_for(group):
    levels, scale_and_zero = four_bits(weight(48, 256), group)
    assert int(levels.min()) >= 0 and int(levels.max()) <= 15
    layer, x = Int4Linear(levels, scale_and_zero), rows(k=256)
    assert off(layer(x), x @ dequantised(levels, scale_and_zero).T) < ROUNDING["packed"]


def test_searching_a_groups_extremes_loses_less_than_taking_them():
    groups = weight().view(48, -1, GROUP)
    low, high = groups.aminmax(dim=-1, keepdim=True)
    scale = (high - low) / 15
    plain = ((groups - low) / scale).round() * scale + low
    searched = dequantised(*four_bits(weight()))
    assert (searched.view_as(groups) - groups).square().sum() < 0.97 * (plain - groups).square().sum()


def test_weights_that_four_bits_can_say_are_kept_to_the_bit():
    scale = torch.tensor([0.5, 0.25]).repeat(48, 1)[..., None]
    known = (torch.arange(16).repeat(48, 2, 2) * scale - 1).flatten(1)
    assert torch.equal(dequantised(*four_bits(known)), known)


@torch.no_grad()
def test_a_joined_gate_and_up_projection_is_two_products():
    gate, up, down = weight(48, 64), weight(48, 64).flip(1) * 0.5, weight(64, 48)
    joined = JoinedSwiGLU(BFloat16Linear(torch.cat((gate, up))), BFloat16Linear(down))
    apart = [BFloat16Linear(one) for one in (gate, up)]
    x = rows() / 1000
    assert torch.equal(joined(x), BFloat16Linear(down)(nn.functional.silu(apart[0](x)) * apart[1](x)))


LLAMA = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "exportable": False}


def llama(**shape) -> GPT:
    torch.manual_seed(0)
    sizes = {"vocab_size": 61, "context_length": 24, "emb_dim": 32, "n_heads": 4, "n_kv_heads": 2, "n_layers": 2}
    model = GPT(ModelConfig(**{**sizes, **LLAMA, **shape})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.uniform_(0.5, 2)
    return model


@torch.no_grad()
@pytest.mark.parametrize("shape", [{}, {"qkv_bias": True, "bias": True}], ids=["llama", "with biases"])
def test_flat_blocks_give_the_sums_of_the_blocks_with_a_cache_and_without(shape):
    model = llama(**shape)
    ids, cache = torch.randint(0, 61, (3, 20), generator=torch.Generator().manual_seed(1)), KVCache(model.config, 3, 24)
    right = model(ids)
    model.blocks = nn.ModuleList([FlatBlocks(model.blocks)])
    torch.testing.assert_close(model(ids), right, atol=1e-5, rtol=1e-5)
    pieces = [model(ids[:, start:stop], cache) for start, stop in ((0, 7), (7, 8), (8, 9), (9, 20))]
    torch.testing.assert_close(torch.cat(pieces, 1), right, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_flat_blocks_read_rows_of_different_ages_together():
    model, ages = llama(), (3, 10, 7)
    ids, cache = torch.randint(0, 61, (3, 20), generator=torch.Generator().manual_seed(1)), KVCache(model.config, 3, 24)
    right = model(ids)
    model.blocks = nn.ModuleList([FlatBlocks(model.blocks)])
    for row, age in enumerate(ages):
        model(ids[row : row + 1, :age], cache.rows(row, row + 1))
    for n_tokens in (1, 4):
        new = [slice(start, start + n_tokens) for start in cache.lengths.tolist()]
        logits = model(torch.stack([ids[row, span] for row, span in enumerate(new)]), cache)
        expected = torch.stack([right[row, span] for row, span in enumerate(new)])
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("other", [{"norm": "layernorm"}, {"activation": "gelu"}, {"qk_norm": True}], ids=str)
def test_blocks_of_another_kind_are_not_written_out_flat(other):
    model = llama(**other)
    assert not any(map(can_be_flat, model.blocks)) and all(map(can_be_flat, llama().blocks))
    with pytest.raises(TypeError, match="other norms or another feed-forward layer or attention"):
        FlatBlocks(model.blocks)


@torch.no_grad()
def test_keys_of_groups_read_in_place_give_the_bits_of_copied_ones():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, heads, 40, 16, generator=generator) for heads in (6, 2, 2))
    copied = [one.repeat_interleave(3, dim=1) for one in (k, v)]
    for n_queries in (1, 7, 40):
        assert torch.equal(attend(q[:, :, -n_queries:], k, v), attend(q[:, :, -n_queries:], *copied))
