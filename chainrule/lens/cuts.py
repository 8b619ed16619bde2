"""Where a program stops gradients itself: detach, torch.no_grad(), .item(); numbers do not see these."""

from chainrule.lens.autograd import CustomFunctions
from chainrule.lens.reverse import differentiable
from chainrule.lens.tape import Tape

CUTTING = ("detach", "_local_scalar_dense")


def cuts_of(tape: Tape) -> tuple[str, ...]:
    """The operations that read a value with a gradient and give back one without, as `op at file:line`."""
    live, inside = differentiable(tape), CustomFunctions(tape).backward_of
    found: dict[str, None] = {}
    for node in tape.nodes:
        if node.id in inside or not live.intersection(node.inputs) or live.intersection(node.outputs):
            continue
        numbers = not node.outputs or any(tape.values[output].differentiable for output in node.outputs)
        if numbers and (not node.grad_enabled or node.rule_name in CUTTING):
            found[f"{node.op} at {node.site}"] = None
    return tuple(found)
