"""Where a program stops gradients itself: detach, torch.no_grad(), .item(); numbers do not see these."""

from chainrule.lens.engine.autograd import CustomFunctions
from chainrule.lens.engine.backward import differentiable
from chainrule.lens.tape import Tape

CUTTING = ("detach", "_local_scalar_dense")


def cuts_of(tape: Tape) -> tuple[str, ...]:
    """The operations that read a value with a gradient and give back one without, as `op at file:line`.

    An embedding with `padding_idx` is one: it says that the row of the padding has no gradient.
    """
    live, inside = differentiable(tape), CustomFunctions(tape).backward_of
    found: dict[str, None] = {}
    for node in tape.nodes:
        if not live.intersection(node.inputs):
            continue
        if node.rule_name == "embedding" and int(node.arguments.get("padding_idx", -1)) >= 0:
            found[f"padding_idx of {node.op} at {node.site}"] = None
        if node.id in inside or live.intersection(node.outputs):
            continue
        numbers = not node.outputs or any(tape.values[output].differentiable for output in node.outputs)
        if numbers and (not node.grad_enabled or node.rule_name in CUTTING):
            found[f"{node.op} at {node.site}"] = None
    return tuple(found)
