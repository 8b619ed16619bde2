"""Samples of special functions, where each is smooth."""

import torch
from lens.rules.numbers import between, listed, normal
from lens.rules.samples_pointwise import on

special = torch.special
A, B = normal(3, 4), normal(3, 4, seed=1)
POSITIVE = between(0.5, 3, 3, 4)

SAMPLES = {
    "lgamma": on(torch.lgamma, (0.5, 4), (-1.8, -1.2)),
    "digamma": on(torch.digamma, (0.5, 4), (-1.8, -1.2)),
    "polygamma": [(lambda x, n=n: torch.polygamma(n, x), (between(0.5, 4, 6),)) for n in (1, 2)],
    "mvlgamma": [(lambda x: torch.mvlgamma(x, 3), (between(1.5, 4, 6),))],
    "igamma": [
        (lambda x: special.gammainc(between(0.5, 4, 3, 4), x), (POSITIVE,)),
        (lambda x: torch.igamma(between(1, 2, 4), x), (POSITIVE,)),
    ],
    "igammac": [(lambda x: special.gammaincc(between(0.5, 4, 3, 4), x), (POSITIVE,))],
    "i0": on(torch.i0, (-3, 3)),
    "special_i0e": on(special.i0e, (-3, -0.3), (0.3, 3)),
    "special_i1": on(special.i1, (-3, -0.3), (0.3, 3)),
    "special_i1e": on(special.i1e, (-3, -0.3), (0.3, 3)),
    "special_erfcx": on(special.erfcx, (-2, 1.5)),
    "special_ndtri": on(special.ndtri, (0.05, 0.95)),
    "special_log_ndtr": on(special.log_ndtr, (-3, 3)),
    "special_entr": on(special.entr, (0.2, 3)),
    "special_xlog1py": [
        (special.xlog1py, (A, POSITIVE)),
        (lambda a: special.xlog1py(a, 2.5), (A,)),
        (lambda b: special.xlog1py(1.5, b), (POSITIVE,)),
    ],
    "special_zeta": [(lambda q: special.zeta(between(1.5, 4, 3, 4), q), (POSITIVE,))],
    "copysign": [(torch.copysign, (A, B)), (lambda a: torch.copysign(a, -2.0), (A,))],
    "ldexp": [(torch.ldexp, (A, B)), (lambda a: torch.ldexp(a, torch.tensor([1, -2, 0, 3])), (A,))],
    "nextafter": [(torch.nextafter, (A, B))],
    "frexp": [(lambda x: torch.frexp(x)[0], (A,))],
    "rrelu_with_noise": [(lambda x: torch.nn.functional.rrelu(x, 0.1, 0.5), (listed(-2.0, -0.5, 0.7, 1.5),))],
}

AT_CORNERS = {
    "copysign": [(torch.copysign, (listed(0.0, 1.0), listed(-1.0, 2.0)))],
    "special_i1": [(special.i1, (listed(0.0),))],
    "special_i1e": [(special.i1e, (listed(0.0),))],
    "special_i0e": [(special.i0e, (listed(0.0),))],
    "special_entr": [(special.entr, (listed(0.0, 1.0),))],
    "special_log_ndtr": [(special.log_ndtr, (listed(-40.0, 9.0),))],
    "rrelu_with_noise": [(torch.nn.functional.rrelu, (listed(0.0),))],
}
