"""Random draws whose parameters have a gradient that no rule of ours gives, and why.

A draw x from a gamma distribution moves with its parameter by implicit reparametrisation, dx/dα = −(∂F/∂α)/p(x), F
being the distribution function and p its density (Figurnov, Mohamed and Mnih, 2018). Torch computes that by
approximations, which in torch 2.13 are off by 1e-5 to 1e-3 where x is near α; and the sampler rejects, so that no
difference of the loss says anything of this derivative. Nothing can be proved of it, and an engine that is exact would
call torch wrong.
"""

from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.rules.notation import slope
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


def not_to_be_proved(call: Call, _: Tensor) -> Gradients:
    """Refuses: torch's own gradient is an approximation, and the sampler has no derivative to hold it against."""
    raise LensError(
        f"the gradient of {call.node.op}, asked for at {call.node.site}, cannot be proved: torch approximates it "
        "(implicit reparametrisation, relative errors of 1e-5 to 1e-3), and the sampler rejects draws, so that "
        "differences of the loss do not show it. Draw from a normal or uniform distribution, or detach the draw"
    )


IMPLICIT = slope("α", "−(∂F/∂α)/p(x)", r"-\frac{\partial F / \partial \alpha}{p(x)}", r"\alpha")

DRAWN: dict[str, Rule] = {
    "_standard_gamma": Rule(
        not_to_be_proved,
        Formula("x ~ Gamma(α, 1)", r"x \sim \operatorname{Gamma}(\alpha, 1)"),
        {"self": IMPLICIT},
        {"self": "α"},
    ),
    "_sample_dirichlet": Rule(
        not_to_be_proved,
        Formula("x ~ Dirichlet(α)", r"x \sim \operatorname{Dirichlet}(\alpha)"),
        {"self": IMPLICIT},
        {"self": "α"},
    ),
}
