"""Derivatives that torch only approximates: how far off they are in a run, and what that lets a comparison prove.

Such an operation is no fault of the program. The walks with noise are as wrong there as torch is; so the limits of what
lies behind are what torch's approximation is worth, and where that is more than a thousandth nothing is proved.
"""

import torch
from torch import Tensor

from chainrule.lens.engine.backward import differentiable
from chainrule.lens.engine.rounding import Noise
from chainrule.lens.rules import APPROXIMATED, Call, Gradients
from chainrule.lens.tape import Tape

# A limit above the first proves nothing; approximations better than the second leave limits far below it.
WIDE, FINE = 1e-3, 1e-5


def off(call: Call) -> Tensor:
    """How far torch's derivative is off for each element, of itself."""
    found = APPROXIMATED[call.node.rule_name](call["self"].double(), call.out.double())
    return found.abs().nan_to_num(0.0, 0.0, 0.0)


def as_approximated(call: Call, noise: Noise, gradients: Gradients) -> Gradients:
    """The gradient of such an operation, each element wrong by up to as much as torch's is."""
    g = gradients["self"]
    assert isinstance(g, Tensor)
    error = (noise(torch.ones(g.shape, dtype=torch.float64), 1.0) - 1) * off(call)
    return {"self": g * (1 + error).to(g.dtype)}


def approximated(tape: Tape, widest: float) -> tuple[str, ...]:
    """In words, the operations whose derivative torch approximates too coarsely, where the `widest` limit says so."""
    if widest <= WIDE:
        return ()
    live, found = differentiable(tape), dict[str, float]()
    for node in tape.nodes:
        if node.rule_name in APPROXIMATED and live.intersection(node.outputs) and live.intersection(node.inputs):
            where = f"{node.op} at {node.site}"
            found[where] = max(float(off(Call(tape, node, live)).max()), found.get(where, 0.0))
    return tuple(
        f"torch only approximates the derivative of {where}, here to {worst:.0e}, and nothing finer can be proved of "
        "what lies behind; draw from a normal or uniform distribution, or detach the draw"
        for where, worst in found.items()
        if worst > FINE
    )
