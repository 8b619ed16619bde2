"""Rules of Fourier transforms: linear maps Y = s·F X, whose gradient is the other transform with the same factor s."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule

aten = torch.ops.aten


def complex_to_complex(call: Call, g: Tensor) -> Gradients:
    """Forward and inverse change places, the factor (1, 1/√n or 1/n) stays."""
    return {"self": aten._fft_c2c(g, call["dim"], call["normalization"], not call["forward"])}


def real_to_complex(call: Call, g: Tensor) -> Gradients:
    """Of a real x only half of the frequencies are kept (`onesided`): the others add nothing."""
    x, dim = call["self"], call["dim"]
    if call["onesided"]:
        whole = g.new_zeros(x.shape)
        whole.narrow(dim[-1], 0, g.shape[dim[-1]]).copy_(g)
        g = whole
    return {"self": aten._fft_c2c(g, dim, call["normalization"], False).real}


def complex_to_real(call: Call, g: Tensor) -> Gradients:
    """Each frequency stands for itself and its mirror image, and so counts twice; those without one count once."""
    dim = call["dim"]
    n_last = g.shape[dim[-1]]
    found = aten._fft_r2c(g, dim, call["normalization"], True)
    found.narrow(dim[-1], 1, (n_last - 1) // 2).mul_(2)
    return {"self": found}


X = {"self": "X"}

FOURIER: dict[str, Rule] = {
    "_fft_c2c": Rule(
        complex_to_complex,
        Formula("Y = sFX, with Fⱼₖ = exp(∓2πijk/n)", r"Y = s F X, \quad F_{jk} = \exp(\mp 2 \pi i j k / n)"),
        {"self": onward("X", "sF̄G", r"s \bar F G")},
        X,
        wirtinger=True,
    ),
    "_fft_r2c": Rule(
        real_to_complex,
        Formula("Y = sFX, X real, frequencies ≥ 0", r"Y = s F X, \quad X \text{ real, frequencies} \ge 0"),
        {"self": onward("X", "re(sF̄(G, 0))", r"\operatorname{re}(s \bar F (G, 0))")},
        X,
        wirtinger=True,
    ),
    "_fft_c2r": Rule(
        complex_to_real,
        Formula("Y = sF̄(X and its mirror image)", r"Y = s \bar F (X \text{ and its mirror image})"),
        {"self": onward("X", "sFG, twice where mirrored", r"s F G, \text{ twice where mirrored}")},
        X,
        wirtinger=True,
    ),
}
