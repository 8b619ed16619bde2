"""Samples of the rules of layers: products, softmax, norms, attention, convolution, pooling, recurrence."""

from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from lens.rules.numbers import between, normal
from torch import Tensor

aten = torch.ops.aten
SCALED = {"alpha": 1.5, "beta": 0.5}
A, B, BIAS = normal(3, 4), normal(4, 2, seed=1), normal(2, seed=2)
FIRST, SECOND = normal(2, 3, 4), normal(2, 4, 2, seed=1)
U, V = normal(3, seed=3), normal(4, seed=4)

MATMUL = {
    "mm": [(torch.mm, (A, B)), (lambda a: a @ a.T, (A,))],
    "bmm": [(torch.bmm, (FIRST, SECOND)), (partial(torch.einsum, "bij,bkj->bik"), (FIRST, normal(2, 5, 4)))],
    "addmm": [(torch.addmm, (BIAS, A, B)), (partial(torch.addmm, **SCALED), (normal(3, 1), A, B)),
              (F.linear, (A, normal(2, 4), BIAS))],
    "baddbmm": [(partial(torch.baddbmm, **SCALED), (normal(3, 2), FIRST, SECOND))],
    "addbmm": [(partial(torch.addbmm, **SCALED), (BIAS, FIRST, SECOND))],
    "addmv": [(partial(torch.addmv, **SCALED), (U, A, V))],
    "addr": [(partial(torch.addr, **SCALED), (A, U, V))],
    "mv": [(torch.mv, (A, V))],
    "dot": [(torch.dot, (V, normal(4)))],
    "vdot": [(torch.vdot, (V, normal(4)))],
    "_trilinear": [(F.bilinear, (normal(3, 2), normal(3, 4), normal(5, 2, 4), normal(5)))],
}  # fmt: skip

GEOMETRY = {
    "linalg_cross": [
        (torch.linalg.cross, (normal(4, 3), normal(4, 3, seed=1))),
        (partial(torch.linalg.cross, dim=0), (normal(3, 2), normal(3, 2, seed=1))),
    ],
    "_cdist_forward": [
        *[
            (partial(torch.cdist, p=p), (20 * normal(2, 3, 4), 20 * normal(5, 4, seed=1)))
            for p in (2.0, 1.0, 3.0, float("inf"))
        ],
        (lambda x: torch.cdist(x, x.flip(0), p=2.0), (normal(4, 2),)),
    ],
    "_euclidean_dist": [
        (partial(torch.cdist, compute_mode="use_mm_for_euclid_dist"), (normal(3, 4), normal(5, 4, seed=1)))
    ],
    "linalg_inv_ex": [
        (torch.linalg.inv, (normal(3, 3) + 2 * torch.eye(3),)),
        (torch.linalg.inv, (normal(2, 3, 3) + 3 * torch.eye(3),)),
    ],
}


def masked(function):
    """A row without any number to look at, and one with two."""
    hidden = torch.tensor([[True] * 4, [False] * 4, [True, False, False, True]])
    return lambda x: function(x.masked_fill(hidden, -torch.inf))


SOFTMAX = {
    "_softmax": [(partial(torch.softmax, dim=axis), (A,)) for axis in (0, 1)],
    "_log_softmax": [(partial(torch.log_softmax, dim=axis), (A,)) for axis in (0, 1)],
    "_safe_softmax": [(partial(torch._safe_softmax, dim=1), (A,)), (masked(partial(torch._safe_softmax, dim=1)), (A,))],
}

WEIGHT, SHIFT = between(0.5, 1.5, 4), normal(4, seed=5)
IMAGES = normal(3, 4, 2, 2)
MEANS, VARIANCES = normal(4, seed=6), between(0.5, 2, 4)


def batch_norm(x: Tensor, w: Tensor | None = None, b: Tensor | None = None, training: bool = True) -> Tensor:
    """With copies of the running statistics, so that every call computes the same."""
    return F.batch_norm(x, MEANS.clone(), VARIANCES.clone(), w, b, training=training)


NORM = {
    "native_layer_norm": [
        (lambda x, w, b: F.layer_norm(x, (4,), w, b), (FIRST, WEIGHT, SHIFT)),
        (lambda x: F.layer_norm(x, (3, 4)), (FIRST,)),
        (lambda x, w: F.layer_norm(x, (3, 4), w), (A, normal(3, 4))),
        (lambda x: torch.native_layer_norm(x, (4,), None, None, 1e-5), (A,)),
    ],
    "native_group_norm": [
        (lambda x, w, b: F.group_norm(x, 2, w, b), (IMAGES, WEIGHT, SHIFT)),
        (lambda x: F.group_norm(x, 4), (IMAGES,)),
        (lambda x: torch.native_group_norm(x, None, None, 3, 4, 4, 2, 1e-5), (IMAGES,)),
    ],
    "native_batch_norm": [
        (batch_norm, (A, WEIGHT, SHIFT)), (batch_norm, (IMAGES, WEIGHT, SHIFT)), (batch_norm, (IMAGES,)),
        (partial(batch_norm, training=False), (IMAGES, WEIGHT, SHIFT)), (F.instance_norm, (IMAGES,)),
    ],
    "_native_batch_norm_legit": [
        (lambda x, w, b: aten._native_batch_norm_legit(x, w, b, MEANS.clone(), VARIANCES.clone(), True, 0.1, 1e-5)[0],
         (IMAGES, WEIGHT, SHIFT)),
        (lambda x, w: aten._native_batch_norm_legit.no_stats(x, w, None, True, 0.1, 1e-5)[0], (IMAGES, WEIGHT)),
    ],
    "_native_batch_norm_legit_no_training": [
        (lambda x, w, b: aten._native_batch_norm_legit_no_training(x, w, b, MEANS, VARIANCES, 0.1, 1e-5)[0],
         (IMAGES, WEIGHT, SHIFT)),
    ],
    "_batch_norm_with_update": [
        (lambda x, w, b: aten._batch_norm_with_update(x, w, b, MEANS.clone(), VARIANCES.clone(), 0.1, 1e-5)[0],
         (IMAGES, WEIGHT, SHIFT)),
    ],
    "_batch_norm_no_update": [
        (lambda x, w, b: aten._batch_norm_no_update(x, w, b, MEANS, VARIANCES, 0.1, 1e-5)[0],
         (IMAGES, WEIGHT, SHIFT)),
    ],
    "_weight_norm_interface": [
        (lambda v, g, axis=axis: torch._weight_norm_interface(v, g, axis), (normal(3, 4), scale))
        for axis, scale in ((0, normal(3, 1)), (1, normal(1, 4)))
    ],
}  # fmt: skip

Q, K, VALUES = normal(2, 4, 5, 6), normal(2, 4, 7, 6, seed=1), normal(2, 4, 7, 6, seed=2)
SEEN = torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(2)) > 0.4
BLIND = SEEN.clone()
BLIND[0, 0, 2] = False
attend = F.scaled_dot_product_attention
flash = aten._scaled_dot_product_flash_attention_for_cpu

ATTENTION = {
    "_scaled_dot_product_flash_attention_for_cpu": [
        (attend, (Q, K, VALUES)),
        (partial(attend, is_causal=True), (Q, Q + 1, normal(2, 4, 5, 6))),
        (partial(attend, is_causal=True, scale=0.7), (Q, K, VALUES)),
        (partial(attend, attn_mask=SEEN), (Q, K, VALUES)),
        (partial(attend, attn_mask=BLIND), (Q, K, VALUES)),
        (partial(attend, attn_mask=normal(5, 7)), (Q, K, VALUES)),
        (partial(attend, enable_gqa=True), (Q, K[:, :2], VALUES[:, :2])),
        (partial(attend, is_causal=True), (normal(1, 2, 90, 4), normal(1, 2, 90, 4), normal(1, 2, 90, 4))),
        (lambda q, k, v: flash(q, k, v, 0.0, True), (Q, K, VALUES)),
    ],
}


def convolve(n: int, transposed: bool = False, **more):
    name = f"conv_transpose{n}d" if transposed else f"conv{n}d"
    return partial(getattr(F, name), **more)


SIGNAL, PICTURE, ROOM = normal(2, 4, 7), normal(2, 4, 6, 5), normal(1, 2, 4, 3, 4)
CONVOLUTION = {
    "convolution": [
        (convolve(1), (SIGNAL, normal(3, 4, 3), normal(3))),
        (convolve(1, stride=3, padding=1), (SIGNAL, normal(3, 4, 3))),
        (convolve(1, stride=2, dilation=2, padding=2, groups=2), (SIGNAL, normal(6, 2, 3), normal(6))),
        (convolve(1, groups=4, padding="same"), (SIGNAL, normal(4, 1, 3))),
        (convolve(2, stride=(2, 1), padding=(1, 2), dilation=(1, 2)), (PICTURE, normal(3, 4, 3, 2), normal(3))),
        (convolve(2, stride=4), (PICTURE, normal(3, 4, 1, 1))),
        (convolve(3, padding=1), (ROOM, normal(3, 2, 2, 2, 2), normal(3))),
        (convolve(1, True), (SIGNAL, normal(4, 3, 3), normal(3))),
        (convolve(1, True, stride=3, padding=1, output_padding=2), (SIGNAL, normal(4, 3, 4))),
        (convolve(2, True, stride=2, dilation=2, groups=2, output_padding=1), (PICTURE, normal(4, 3, 2, 3), normal(6))),
    ],
    "im2col": [(lambda x: F.unfold(x, (3, 2), padding=(1, 0), stride=(2, 1), dilation=(1, 2)), (PICTURE,))],
    "col2im": [(lambda x: F.fold(x, (4, 5), (2, 3), padding=1, stride=(1, 2)), (normal(2, 12, 15),))],
}

FLAT, SPACE = between(-3, 3, 1, 2, 7, 6), between(-3, 3, 1, 2, 4, 5, 3)
WINDOWS = (
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0), "ceil_mode": True},
)
POOLING = {
    "max_pool2d_with_indices": [
        *[(partial(F.max_pool2d, **window), (FLAT,)) for window in WINDOWS],
        (partial(F.max_pool1d, kernel_size=2), (SIGNAL,)),
        (partial(F.max_pool2d, kernel_size=2, dilation=2), (FLAT[0],)),
    ],
    "max_pool3d_with_indices": [(partial(F.max_pool3d, kernel_size=2, stride=1), (SPACE,))],
    "adaptive_max_pool2d": [(partial(F.adaptive_max_pool2d, output_size=(3, 4)), (FLAT,))],
    "adaptive_max_pool3d": [(partial(F.adaptive_max_pool3d, output_size=2), (SPACE,))],
    "avg_pool2d": [
        *[(partial(F.avg_pool2d, **window), (FLAT,)) for window in WINDOWS],
        *[(partial(F.avg_pool2d, count_include_pad=False, **window), (FLAT,)) for window in WINDOWS[1:]],
        (partial(F.avg_pool2d, divisor_override=3, **WINDOWS[1]), (FLAT[0],)),
        (partial(F.avg_pool1d, kernel_size=3, padding=1), (SIGNAL,)),
    ],
    "avg_pool3d": [(partial(F.avg_pool3d, kernel_size=2, stride=1, padding=1), (SPACE,))],
    "_adaptive_avg_pool2d": [(partial(F.adaptive_avg_pool2d, output_size=(3, 4)), (FLAT,))],
    "_adaptive_avg_pool3d": [(partial(F.adaptive_avg_pool3d, output_size=2), (SPACE,))],
}


def resized(mode: str, x: Tensor, **more):
    """By a factor that is no whole number, and down to a size."""
    size = [n - 1 for n in x.shape[2:]]
    return [
        (lambda one: F.interpolate(one, scale_factor=1.7, mode=mode, **more), (x,)),
        (lambda one: F.interpolate(one, size=size, mode=mode, **more), (x,)),
    ]


RESIZING = {
    **{f"upsample_nearest{x.dim() - 2}d": resized("nearest", x) for x in (SIGNAL, FLAT, SPACE)},
    **{f"_upsample_nearest_exact{x.dim() - 2}d": resized("nearest-exact", x) for x in (SIGNAL, FLAT, SPACE)},
    "upsample_linear1d": resized("linear", SIGNAL) + resized("linear", SIGNAL, align_corners=True),
    "upsample_bilinear2d": resized("bilinear", FLAT) + resized("bilinear", FLAT, align_corners=True),
    "upsample_trilinear3d": resized("trilinear", SPACE),
    "upsample_bicubic2d": resized("bicubic", FLAT) + resized("bicubic", FLAT, align_corners=True),
    "_upsample_bilinear2d_aa": resized("bilinear", FLAT, antialias=True),
    "_upsample_bicubic2d_aa": resized("bicubic", FLAT, antialias=True),
    "_upsample_lanczos2d_aa": resized("lanczos", FLAT, antialias=True),
}

SAMPLES = {**MATMUL, **GEOMETRY, **SOFTMAX, **NORM, **ATTENTION, **CONVOLUTION, **POOLING, **RESIZING}
