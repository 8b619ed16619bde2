"""Samples of the rules that act on each element alone: where each is smooth, at least 0.1 away from every corner."""

from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from lens.rules.numbers import between, listed, normal
from torch import Tensor


def on(function, *pieces: tuple[float, float]):
    """The function on six numbers within each piece."""
    return [(function, (torch.cat([between(low, high, 6) for low, high in pieces]),))]


A, B, C = normal(3, 4), normal(3, 4, seed=1), normal(3, 4, seed=2)
ROW, COLUMN = normal(4, seed=3), normal(3, 1, seed=4)
POSITIVE, FAR = between(0.5, 3, 3, 4), between(1, 3, 4)
MIXED = listed(-4.3, -2.4, -1.3, -0.6, 0.3, 0.8, 1.7, 2.6, 4.2)
OTHERS = listed(0.4, -2.9, 1.3, -0.2, -1.3, 1.9, 0.7, 3.6, 1.2)

ARITHMETIC = {
    "add": [(torch.add, (A, ROW)), (partial(torch.add, alpha=2.5), (COLUMN, B)), (lambda a: a + 3, (A,)),
            (lambda a: a * 1 + a * 1, (A,)), (lambda a, b: (a * 1).add_(b, alpha=2), (A, ROW))],
    "sub": [(torch.sub, (A, ROW)), (partial(torch.sub, alpha=2.5), (COLUMN, B)), (lambda a: a - 3, (A,))],
    "rsub": [(lambda a: 2 - a, (A,)), (partial(torch.rsub, alpha=2.5), (A, ROW))],
    "mul": [(torch.mul, (A, ROW)), (torch.mul, (COLUMN, ROW)), (lambda a: a * 3, (A,)), (lambda a: a * a, (A,)),
            (lambda a, b: (a * 1).mul_(b), (A, B))],
    "div": [(torch.div, (A, FAR)), (torch.div, (COLUMN, POSITIVE)), (lambda a: a / 3, (A,)),
            (lambda a, b: torch.div(a, b, rounding_mode="floor") + a, (MIXED, listed(*[10.0] * 9)))],
    "fmod": [(torch.fmod, (MIXED, listed(*[1.0] * 9))), (lambda a: torch.fmod(a, 1.0), (MIXED,))],
    "remainder": [(torch.remainder, (MIXED, listed(*[1.0] * 9))), (lambda a: a % 1.0, (MIXED,))],
    "pow": [*[(lambda a, n=n: a**n, (POSITIVE,)) for n in (0, 1, 2, 3, -1, 0.5, 2.7)], (lambda a: a**3, (A,)),
            (torch.pow, (POSITIVE, ROW)), (lambda n: 2.5**n, (A,)), (lambda a: (a * 1).pow_(2), (A,))],
    "addcmul": [(partial(torch.addcmul, value=1.5), (A, ROW, C))],
    "addcdiv": [(partial(torch.addcdiv, value=1.5), (A, ROW, POSITIVE))],
    "lerp": [(torch.lerp, (A, ROW, COLUMN)), (lambda a, b: torch.lerp(a, b, 0.3), (A, ROW))],
    "hypot": [(torch.hypot, (A, FAR))],
    "atan2": [(torch.atan2, (A, FAR)), (torch.atan2, (FAR, A)), (torch.atan2, (A, -FAR - 0.1))],
    "logaddexp": [(torch.logaddexp, (A, ROW))],
    "logaddexp2": [(torch.logaddexp2, (A, ROW))],
    "xlogy": [(torch.xlogy, (A, FAR)), (lambda a: torch.xlogy(a, 2.5), (A,)), (lambda b: torch.xlogy(1.5, b), (FAR,))],
    "deg2rad": on(torch.deg2rad, (-180, 180)),
    "rad2deg": on(torch.rad2deg, (-3, 3)),
    "neg": on(torch.neg, (-2, 2)),
    "reciprocal": on(torch.reciprocal, (-3, -0.5), (0.5, 3)),
    "sqrt": on(torch.sqrt, (0.5, 3)),
    "rsqrt": on(torch.rsqrt, (0.5, 3)),
}  # fmt: skip

ELEMENTARY = {
    "exp": on(torch.exp, (-2, 2)), "exp2": on(torch.exp2, (-2, 2)), "expm1": on(torch.expm1, (-2, 2)),
    "log": on(torch.log, (0.5, 3)), "log2": on(torch.log2, (0.5, 3)), "log10": on(torch.log10, (0.5, 3)),
    "log1p": on(torch.log1p, (-0.5, 3)), "sin": on(torch.sin, (-3, 3)), "cos": on(torch.cos, (-3, 3)),
    "tan": on(torch.tan, (-1, 1)), "asin": on(torch.asin, (-0.7, 0.7)), "acos": on(torch.acos, (-0.7, 0.7)),
    "atan": on(torch.atan, (-2, 2)), "sinh": on(torch.sinh, (-2, 2)), "cosh": on(torch.cosh, (-2, 2)),
    "tanh": on(torch.tanh, (-2, 2)) + on(lambda x: (x * 1).tanh_(), (-1, 1)), "asinh": on(torch.asinh, (-2, 2)),
    "acosh": on(torch.acosh, (1.5, 3)), "atanh": on(torch.atanh, (-0.7, 0.7)),
    "sigmoid": on(torch.sigmoid, (-3, 3)) + on(lambda x: (x * 1).sigmoid_(), (-1, 1)),
    "log_sigmoid_forward": on(F.logsigmoid, (-3, 3)), "erf": on(torch.erf, (-2, 2)), "erfc": on(torch.erfc, (-2, 2)),
    "erfinv": on(torch.erfinv, (-0.7, 0.7)), "sinc": on(torch.sinc, (-2.3, -0.2), (0.3, 1.9)),
}  # fmt: skip

STEPS = listed(-2.3, -1.7, -0.3, 0.4, 1.6, 2.3)
CORNERS = {
    "abs": on(torch.abs, (-2, -0.2), (0.2, 2)),
    **{
        f.__name__: [(lambda x, f=f: f(x) + x, (STEPS,))]
        for f in (torch.sign, torch.sgn, torch.floor, torch.ceil, torch.trunc, torch.round)
    },
    "frac": [(torch.frac, (STEPS,))],
    "clamp": [
        *[(partial(torch.clamp, min=low, max=high), (MIXED,)) for low, high in ((-1, 1), (None, 1), (-1, None))],
        (torch.clamp, (MIXED, listed(-1.0), listed(2.0))), (torch.clamp, (MIXED, listed(2.0), listed(-1.0))),
        (lambda x, low: torch.clamp(x, min=low), (MIXED, OTHERS)),
    ],
    "clamp_min": [(partial(torch.clamp_min, min=0.5), (MIXED,)), (torch.clamp_min, (MIXED, OTHERS))],
    "clamp_max": [(partial(torch.clamp_max, max=0.5), (MIXED,)), (torch.clamp_max, (MIXED, OTHERS))],
    **{name: [(getattr(torch, name), (MIXED, OTHERS))] for name in ("maximum", "minimum", "fmax", "fmin")},
    "logit": [(torch.logit, (between(0.2, 0.8, 5),)), (partial(torch.logit, eps=0.3), (listed(0.1, 0.5, 0.9),))],
    "nan_to_num": on(torch.nan_to_num, (-2, 2)),
    "relu": on(torch.relu, (-2, -0.2), (0.2, 2)) + on(lambda x: (x * 1).relu_(), (-2, -0.2), (0.2, 2)),
    "hardtanh": [(F.relu6, (listed(-1, 1, 4, 7),)), (F.hardtanh, (listed(-2, -0.5, 0.3, 3),))],
    "hardsigmoid": [(F.hardsigmoid, (listed(-4, -2, 1, 5),))],
    "hardswish": [(F.hardswish, (listed(-4, -2, 1, 5),))],
    "threshold": [(lambda x: F.threshold(x, 0.5, 7.0), (STEPS,))],
    "softshrink": [(partial(F.softshrink, lambd=0.7), (STEPS,))],
    "hardshrink": [(partial(F.hardshrink, lambd=0.7), (STEPS,))],
    "leaky_relu": [(partial(F.leaky_relu, negative_slope=0.2), (STEPS,))],
    "_prelu_kernel": [(F.prelu, (STEPS.reshape(2, 3), listed(0.1, 0.2, 0.3)))],
}  # fmt: skip

ACTIVATION = {
    "gelu": on(F.gelu, (-3, 3)) + on(partial(F.gelu, approximate="tanh"), (-3, 3)),
    "silu": on(F.silu, (-3, 3)),
    "mish": on(F.mish, (-3, 3)),
    "softplus": [*on(F.softplus, (-3, 3)),
                 (partial(F.softplus, beta=2.0, threshold=3.0), (listed(-1, 0.5, 1.2, 2.5),))],
    "elu": [(partial(F.elu, alpha=0.7), (STEPS,)), (F.selu, (STEPS,))],
    "celu": [(partial(F.celu, alpha=0.7), (STEPS,))],
    "glu": [(F.glu, (normal(3, 4),)), (partial(F.glu, dim=0), (normal(4, 3),))],
    "native_dropout": [
        (lambda x, train=train: seeded_dropout(x, train), (normal(4, 5),)) for train in (True, False)
    ],
}  # fmt: skip


def seeded_dropout(x: Tensor, train: bool) -> Tensor:
    torch.manual_seed(3)
    return torch.native_dropout(x, 0.4, train)[0]


ZERO, THREE = listed(0.0), listed(3.0)
TIED = (listed(1.0, 2.0, 0.0), listed(1.0, -1.0, 0.0))

# Where a function has a corner torch has to choose; our rules choose the same. Here no difference quotient exists.
AT_CORNERS = {
    "abs": [(torch.abs, (ZERO,))],
    "clamp": [(partial(torch.clamp, min=0, max=3), (listed(0.0, 3.0),)), (torch.clamp, (listed(1.0), ZERO + 1, THREE))],
    "clamp_min": [(partial(torch.clamp_min, min=0), (ZERO,)), (torch.clamp_min, TIED)],
    "clamp_max": [(partial(torch.clamp_max, max=0), (ZERO,)), (torch.clamp_max, TIED)],
    **{f.__name__: [(f, TIED)] for f in (torch.maximum, torch.minimum, torch.fmax, torch.fmin)},
    "nan_to_num": [(torch.nan_to_num, (listed(float("nan"), 1.0, float("inf"), -float("inf")),))],
    "relu": [(torch.relu, (ZERO,))],
    "hardtanh": [(F.hardtanh, (listed(-1.0, 1.0),))],
    "hardsigmoid": [(F.hardsigmoid, (listed(-3.0, 3.0),))],
    "hardswish": [(F.hardswish, (listed(-3.0, 3.0),))],
    "threshold": [(lambda x: F.threshold(x, 0.0, 7.0), (ZERO,))],
    "softshrink": [(F.softshrink, (listed(0.5, -0.5),))],
    "hardshrink": [(F.hardshrink, (listed(0.5, -0.5),))],
    "leaky_relu": [(F.leaky_relu, (ZERO,))],
    "_prelu_kernel": [(F.prelu, (ZERO, listed(0.25)))],
    "elu": [(partial(F.elu, alpha=0.7), (ZERO,))],
    "celu": [(F.celu, (ZERO,))],
    "sinc": [(torch.sinc, (ZERO,))],
    "pow": [(torch.pow, (listed(0.0, 0.0, 0.0), listed(0.0, 1.0, 2.5))), (lambda n: 0.0**n, (listed(0.0, 2.0),))],
    "xlogy": [(torch.xlogy, (listed(0.0, 0.0), listed(0.0, 2.0)))],
    "amax": [(partial(torch.amax, dim=0), (TIED[0] * 0,))],
    "amin": [(torch.amin, (listed(1.0, 1.0, 2.0),))],
    "max": [(torch.max, (listed(2.0, 1.0, 2.0),)), (partial(torch.max, dim=0), (listed(2.0, 1.0, 2.0),))],
    "min": [(torch.min, (listed(1.0, 1.0, 2.0),))],
    "median": [(torch.median, (listed(1.0, 1.0, 2.0),))],
    "aminmax": [(torch.aminmax, (listed(1.0, 1.0, 2.0, 2.0),))],
    "std": [(torch.std, (listed(1.0, 1.0),))],
    "linalg_vector_norm": [(partial(torch.linalg.vector_norm, ord=p), (listed(0.0, 0.0),)) for p in (1, 2, 3)]
    + [(partial(torch.linalg.vector_norm, ord=float("inf")), (listed(-2.0, 2.0, 1.0),))],
    "binary_cross_entropy": [
        (lambda a: F.binary_cross_entropy(a, listed(0.0, 0.5, 1.0)), (listed(0.0, 1.0, 1.0),)),
    ],
    "smooth_l1_loss": [(F.smooth_l1_loss, (listed(1.0, -1.0, 0.0), listed(0.0, 0.0, 0.0)))],
    "huber_loss": [(F.huber_loss, (listed(1.0, -1.0, 0.0), listed(0.0, 0.0, 0.0)))],
}  # fmt: skip

SAMPLES = {**ARITHMETIC, **ELEMENTARY, **CORNERS, **ACTIVATION}
