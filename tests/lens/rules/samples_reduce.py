"""Samples of the rules of reductions, of picking by size, and of losses."""

from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from lens.rules.numbers import between, listed, normal

X, POSITIVE = normal(2, 3, 4), between(0.5, 2, 2, 3)
DISTINCT = between(-2, 2, 3, 4)
WITH_ZEROS = listed(1.5, 0.0, -2.0, 0.7)


def over(function, x=X, **more):
    """All elements, one axis, two axes that stay."""
    return [
        (partial(function, **more), (x,)),
        (partial(function, dim=1, **more), (x,)),
        (partial(function, dim=(0, -1), keepdim=True, **more), (x,)),
    ]


def along(function, x=DISTINCT, **more):
    """The first axis; the last, which stays; of a pair of results only the first."""
    return [
        (partial(function, dim=0, **more), (x,)),
        (lambda one: function(one, dim=-1, **more)[0] * 2, (x,)),
    ]


def one_axis(function, x=DISTINCT):
    return [(partial(function, dim=0), (x,)), (partial(function, dim=-1), (x,))]


REDUCE = {
    "sum": [*over(torch.sum), (lambda x: torch.sum(x, dim=[]), (X,))],
    "nansum": over(torch.nansum),
    "mean": over(torch.mean),
    "prod": [(torch.prod, (POSITIVE,)), (partial(torch.prod, dim=1, keepdim=True), (X,)), (torch.prod, (WITH_ZEROS,)),
             (torch.prod, (listed(0.0, 2.0, 0.0),))],
    "var": [*over(torch.var), *over(torch.var, correction=0)],
    "std": [*over(torch.std), *over(torch.std, correction=0)],
    "var_mean": [*over(torch.var_mean), (lambda x: torch.var_mean(x)[1], (X,)), (lambda x: torch.var_mean(x)[0], (X,))],
    "std_mean": [*over(torch.std_mean), (lambda x: torch.std_mean(x)[1], (X,))],
    "logsumexp": [(partial(torch.logsumexp, dim=1), (X,)), (partial(torch.logsumexp, dim=(0, 2), keepdim=True), (X,))],
    "linalg_vector_norm": [
        sample for p in (2, 1, 3, 0.5, float("inf"), -float("inf")) for sample in over(torch.linalg.vector_norm, ord=p)
    ],
    "norm": [(lambda x, p=p: torch.ops.aten.norm.ScalarOpt_dim(x, p, [1], True), (X,)) for p in (2, 1, 3, None)]
    + [(lambda x: torch.ops.aten.norm.Scalar(x, 3), (X,))],
    "cumsum": one_axis(torch.cumsum),
    "cumprod": [*one_axis(torch.cumprod), (partial(torch.cumprod, dim=0), (WITH_ZEROS,))],
    "logcumsumexp": one_axis(torch.logcumsumexp),
}  # fmt: skip

ORDER = {
    "max": [(torch.max, (DISTINCT,)), *along(torch.max), (partial(torch.max, dim=1, keepdim=True), (DISTINCT,))],
    "min": [(torch.min, (DISTINCT,)), *along(torch.min)],
    "amax": over(torch.amax, between(-2, 2, 2, 3, 4)),
    "amin": over(torch.amin, between(-2, 2, 2, 3, 4)),
    "aminmax": [(torch.aminmax, (DISTINCT,)), (partial(torch.aminmax, dim=1), (DISTINCT,))],
    "median": [(torch.median, (DISTINCT,)), *along(torch.median)],
    "mode": along(torch.mode),
    "kthvalue": [(partial(torch.kthvalue, k=2, dim=1), (DISTINCT,)), (partial(torch.kthvalue, k=1), (DISTINCT,))],
    "topk": [(partial(torch.topk, k=2, dim=1), (DISTINCT,)), (partial(torch.topk, k=2, largest=False), (DISTINCT,))],
    "sort": [*along(torch.sort), (partial(torch.sort, descending=True), (DISTINCT,))],
    "cummax": along(torch.cummax),
    "cummin": along(torch.cummin),
}

CLASSES = torch.tensor([2, 0, -100, 1])
PLACES = torch.tensor([[2, 0, 1], [-100, 1, 1]])
CLASS_WEIGHT = listed(0.5, 1.5, 2.0)
SCORES, MAPS = normal(4, 3), normal(2, 3, 3)
PROBABILITIES, TARGETS = between(0.1, 0.9, 4, 3), between(0.15, 0.85, 12).reshape(4, 3)
SIGNS = torch.tensor([[1.0, -1.0, 1.0]], dtype=torch.float64).expand(4, 3)
FAR = normal(4, 3) * 3


def each_reduction(function, *tensors, **more):
    return [(partial(function, reduction=how, **more), tensors) for how in ("mean", "sum", "none")]


LOSSES = {
    "nll_loss_forward": [
        *each_reduction(lambda x, **how: F.nll_loss(x, CLASSES, **how), SCORES),
        *each_reduction(lambda x, **how: F.nll_loss(x, CLASSES, CLASS_WEIGHT, **how), SCORES),
        (lambda x: F.nll_loss(x, torch.tensor(1)), (normal(3),)),
    ],
    "nll_loss2d_forward": [
        *each_reduction(lambda x, **how: F.nll_loss(x, PLACES, **how), MAPS),
        (lambda x: F.nll_loss(x, PLACES.clamp(min=0), CLASS_WEIGHT, ignore_index=1), (MAPS,)),
    ],
    "binary_cross_entropy": [
        *each_reduction(F.binary_cross_entropy, PROBABILITIES, TARGETS),
        (lambda a, t: F.binary_cross_entropy(a, t, CLASS_WEIGHT.expand(4, 3)), (PROBABILITIES, TARGETS)),
    ],
    "binary_cross_entropy_with_logits": [
        *each_reduction(F.binary_cross_entropy_with_logits, SCORES, TARGETS),
        (
            lambda x, t: F.binary_cross_entropy_with_logits(x, t, TARGETS, pos_weight=CLASS_WEIGHT),
            (SCORES, TARGETS),
        ),
    ],
    "mse_loss": each_reduction(F.mse_loss, SCORES, TARGETS),
    "smooth_l1_loss": each_reduction(F.smooth_l1_loss, FAR, TARGETS, beta=0.8),
    "huber_loss": each_reduction(F.huber_loss, FAR, TARGETS, delta=0.8),
    "soft_margin_loss": each_reduction(lambda x, **how: F.soft_margin_loss(x, SIGNS, **how), SCORES),
}

SAMPLES = {**REDUCE, **ORDER, **LOSSES}
