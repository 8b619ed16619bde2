"""Samples of complex numbers: what makes, measures and multiplies them, and Fourier transforms."""

from functools import partial

import torch
from lens.rules.numbers import between, complex_normal, normal

fft = torch.fft
Z, W = complex_normal(3, 4), complex_normal(4, seed=1)
REAL, RADIUS = normal(3, 4), between(0.5, 2, 3, 4)
NORMS = (None, "ortho", "forward")

COMPLEX = {
    "complex": [(torch.complex, (REAL, normal(3, 4, seed=1)))],
    "polar": [(torch.polar, (RADIUS, REAL))],
    "angle": [(torch.angle, (Z,)), (lambda z: z.angle().sin() * z.abs(), (Z,)), (torch.angle, (REAL,))],
    "_conj_physical": [(torch.conj_physical, (Z,))],
    "_neg_view": [(lambda z: z.conj().imag * 2, (Z,))],
    "vdot": [(torch.vdot, (normal(4), normal(4, seed=1))), (torch.vdot, (W, complex_normal(4, seed=2)))],
}

# Rules that know nothing of complex numbers, on complex numbers.
AS_WELL = {
    "mul": [
        (torch.mul, (Z, W)),
        (torch.mul, (REAL, W)),
        (lambda z: z * (2 - 3j), (Z,)),
        (lambda z: z * z.conj(), (Z,)),
    ],
    "div": [(torch.div, (Z, W)), (torch.div, (REAL, W))],
    "add": [(partial(torch.add, alpha=1 + 2j), (Z, W)), (torch.add, (REAL, W))],
    "pow": [(lambda z: z**2, (Z,)), (lambda z: z**2.5, (Z,)), (torch.pow, (Z, W)), (lambda z: (1 + 2j) ** z, (Z,))],
    **{
        name: [(getattr(torch, name), (Z,))]
        for name in [
            "exp",
            "log",
            "log2",
            "log10",
            "sin",
            "cos",
            "tan",
            "sinh",
            "cosh",
            "sqrt",
            "rsqrt",
            "reciprocal",
            "tanh",
            "sigmoid",
            "asin",
            "acos",
            "atan",
            "asinh",
            "acosh",
            "atanh",
            "expm1",
            "log1p",
            "exp2",
            "neg",
        ]
        if name != "exp2"
    },
    "abs": [(torch.abs, (Z,)), (lambda z: z.abs() ** 2, (Z,))],
    "sgn": [(torch.sgn, (Z,))],
    "mm": [(torch.mm, (Z, complex_normal(4, 2)))],
    "bmm": [(torch.bmm, (complex_normal(2, 3, 4), complex_normal(2, 4, 2, seed=3)))],
    "addmm": [(partial(torch.addmm, beta=2, alpha=1 - 1j), (complex_normal(3, 2), Z, complex_normal(4, 2)))],
    "mv": [(torch.mv, (Z, W))],
    "dot": [(torch.dot, (W, complex_normal(4, seed=2)))],
    "sum": [(torch.sum, (Z,)), (partial(torch.sum, dim=1), (Z,))],
    "mean": [(torch.mean, (Z,))],
    "prod": [(torch.prod, (Z,)), (partial(torch.prod, dim=1), (Z,))],
    "cumsum": [(partial(torch.cumsum, dim=1), (Z,))],
    "cumprod": [(partial(torch.cumprod, dim=1), (Z,))],
    "var": [(torch.var, (Z,))],
    "std": [(torch.std, (Z,))],
    "linalg_vector_norm": [(partial(torch.linalg.vector_norm, ord=p), (Z,)) for p in (2, 1, 3, float("inf"))],
    "view_as_real": [(torch.view_as_real, (Z,)), (lambda z: z.real * z.imag, (Z,))],
    "index": [(lambda z: z[torch.tensor([0, 0, 2])], (Z,))],
    "cat": [(lambda a, b: torch.cat([a, b.expand(1, 4)]), (Z, W))],
    "where": [(lambda a, b: torch.where(RADIUS > 1, a, b), (Z, W))],
    "_to_copy": [(lambda x: x.to(torch.complex128) * (1 + 1j), (REAL,))],
    "convolution": [
        (lambda x, k: torch.nn.functional.conv1d(x, k), (complex_normal(1, 2, 6), complex_normal(3, 2, 3, seed=1)))
    ],
    "addcmul": [(partial(torch.addcmul, value=2), (Z, W, complex_normal(3, 4, seed=7)))],
    "lerp": [(lambda a, b: torch.lerp(a, b, 0.3), (Z, complex_normal(3, 4, seed=7)))],
}

FOURIER = {
    "_fft_c2c": [(partial(f, norm=norm), (Z,)) for f in (fft.fft, fft.ifft, fft.fft2) for norm in NORMS],
    "_fft_r2c": [
        (partial(f, norm=norm), (x,)) for f in (fft.rfft, fft.rfft2) for norm in NORMS for x in (REAL, normal(2, 5))
    ]
    + [
        (fft.fft, (REAL,)),
        (fft.ihfft, (REAL,)),
        (lambda x: torch.stft(x, 8, 4, window=torch.hann_window(8, dtype=x.dtype), return_complex=True), (normal(24),)),
    ],
    "_fft_c2r": [(partial(fft.irfft, n=n, norm=norm), (Z,)) for n in (6, 7) for norm in NORMS]
    + [(fft.irfft2, (Z,)), (fft.hfft, (Z,))],
}

SAMPLES = {**COMPLEX, **FOURIER}
