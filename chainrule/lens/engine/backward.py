"""Our own reverse mode: walks a tape from the loss back to the leaves, with the rules and nothing of autograd."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.engine.autograd import whole_function
from chainrule.lens.engine.fallback import local_fallback
from chainrule.lens.engine.policy import OURS, Policy
from chainrule.lens.rules import CONSTANT, Call, Gradients, Rule, check_value
from chainrule.lens.tape import WHOLE, Node, Tape, as_plain_tensors


@dataclass(frozen=True)
class Contribution:
    """What one use of a value adds to its gradient: the argument that it was (`tensors[2]` in a list), and how much."""

    argument: str
    value: int
    gradient: Tensor


@dataclass(frozen=True)
class ReverseStep:
    """One operation walked back through. `incoming` has the gradient of the loss by each output, None where unused."""

    order: int
    node: Node
    rule: Rule | None
    incoming: tuple[Tensor | None, ...]
    outgoing: tuple[Contribution, ...]

    @property
    def independent(self) -> bool:
        """Whether our own rule gave it; false for the local fallback, which is autograd.

        A custom Function that is one operation hands back what it says itself, and is judged by numbers.
        """
        return self.rule is not None or self.node.rule_name == WHOLE


@as_plain_tensors()
@torch.no_grad()
def reverse(
    tape: Tape,
    each: Callable[[ReverseStep], None] | None = None,
    *,
    policy: Policy = OURS,
) -> dict[int, Tensor]:
    """The gradient of the loss by every leaf that requires one, by value number; `each` sees every step on the way.

    A leaf that the loss does not depend on is absent. Contributions are summed in the order of the walk. The
    `policy` has the rules; by its fallback an operation without one is differentiated by autograd.

    Raises LensError when there is no scalar loss, nothing to differentiate by, an operation without a rule on the way,
    or a tensor that was changed after the recording.
    """
    loss = loss_to_differentiate(tape)
    wanted = differentiable(tape)
    check_unchanged(tape, wanted)
    leaves = {leaf.id for leaf in tape.leaves()}
    inner = wanted - leaves
    gradients: dict[int, Tensor] = {loss: torch.ones_like(_kept(tape, loss))}
    sums: set[int] = set()  # values whose gradient is a tensor of our own, that may be added to in place
    order = 0
    for node in reversed(tape.nodes):
        if not any(output in gradients and output in inner for output in node.outputs):
            continue
        incoming = tuple(gradients.pop(output, None) for output in node.outputs)
        rule = policy.rules.get(node.rule_name)
        if rule is None and not policy.fallback and node.rule_name != WHOLE:
            raise LensError(_no_rule(node))
        result = _handed_back(Call(tape, node, wanted), rule, incoming)
        outgoing = tuple(_contributions(tape, node, result, wanted))
        for one in outgoing:
            _accumulate(gradients, sums, one)
        if each is not None:
            each(ReverseStep(order, node, rule, incoming, outgoing))
        order += 1
    return {value: gradient for value, gradient in gradients.items() if value in leaves}


def _handed_back(call: Call, rule: Rule | None, incoming: tuple[Tensor | None, ...]) -> Gradients:
    """By the rule; without one by what a custom Function says itself, or by autograd."""
    if rule is not None:
        return rule.pullback(call, *incoming)
    if call.node.rule_name == WHOLE:
        return whole_function(call.tape, call.node, incoming)
    return local_fallback(call, incoming)


def _accumulate(gradients: dict[int, Tensor], sums: set[int], one: Contribution) -> None:
    """Adds a contribution to what has arrived at its value so far; the contributions themselves stay as they are."""
    if one.value not in gradients:
        gradients[one.value] = one.gradient
    elif one.value in sums:
        gradients[one.value] += one.gradient
    else:
        gradients[one.value] = gradients[one.value] + one.gradient
        sums.add(one.value)


def differentiable(tape: Tape) -> frozenset[int]:
    """The values through which a gradient can flow back to a leaf.

    What was computed under `torch.no_grad()` is a constant. The forward pass of a custom autograd Function also runs
    without autograd, but its result requires a gradient: there we look inside.
    """
    live = {leaf.id for leaf in tape.leaves()}
    inside: set[int] = set()  # computed from live values in the forward pass of a custom Function
    for node in tape.nodes:
        if node.rule_name in CONSTANT or not node.tracked or node.hidden:
            continue
        from_live, update = any(value in live for value in node.inputs), node.func is None
        from_inside = (update or not node.grad_enabled) and any(value in inside for value in node.inputs)
        if not from_live and not from_inside:
            continue
        outputs = [tape.values[output] for output in node.outputs if tape.values[output].differentiable]
        if not node.grad_enabled or not from_live:
            inside.update(output.id for output in outputs)
        if from_live and node.grad_enabled:
            live.update(output.id for output in outputs)
        elif not update:
            live.update(output.id for output in outputs if output.requires_grad)
    return frozenset(live | inside)


def loss_to_differentiate(tape: Tape) -> int:
    """The loss of a tape that can be differentiated; LensError says why one cannot."""
    if tape.keep != "all":
        raise LensError(f"a tape with keep={tape.keep!r} cannot be differentiated; record with keep='all'")
    if tape.loss is None:
        shapes = ", ".join(str(list(tape.values[output].meta.shape)) for output in tape.outputs) or "no tensor"
        raise LensError(
            f"{tape.target} returned {shapes}, and the chain rule starts from one number: "
            "return a scalar loss, or pass loss=lambda output: …"
        )
    if not tape.leaves():
        raise LensError(
            f"{tape.target} has no parameters and none of its inputs requires a gradient; "
            "call .requires_grad_() on the tensor that you ask about"
        )
    if tape.loss not in differentiable(tape):
        raise LensError(
            f"the loss of {tape.target} does not depend on any parameter: look for torch.no_grad(), .detach() "
            "or .item(), or for an input that should have requires_grad=True"
        )
    return tape.loss


def _kept(tape: Tape, value: int) -> Tensor:
    tensor = tape.values[value].tensor
    assert tensor is not None
    return tensor.detach()


def check_unchanged(tape: Tape, wanted: frozenset[int]) -> None:
    """Raises LensError when a tensor that the way back needs was changed in place after the recording.

    Buffers are looked at only when a rule reads one: running statistics go on running.
    """
    for leaf in tape.leaves():
        check_value(tape, leaf.id, "")
    for node in tape.nodes:
        if wanted.intersection(node.outputs):
            for number in (*node.inputs, *node.outputs):
                if tape.values[number].role != "buffer":
                    check_value(tape, number, f", so that {node.op} at {node.site} cannot be differentiated any more")


def _no_rule(node: Node) -> str:
    place = f" in module {node.module!r}" if node.module else ""
    code = "" if node.site is None else f": `{node.site.shown}`"
    return (
        f"no rule for {node.op}, asked for at {node.site}{place}{code}. "
        "Pass policy=Policy(fallback=True) (--fallback) to differentiate it by autograd, marked as not independent; "
        "or add one function to chainrule/lens/rules"
    )


def _contributions(
    tape: Tape, node: Node, result: Mapping[str, object], wanted: frozenset[int]
) -> Iterator[Contribution]:
    """The rule's answer, argument by argument, only where it leads to a leaf; its shapes and types are checked."""
    given: dict[str, object] = {}
    for name, gradient in result.items():
        if isinstance(gradient, list | tuple):
            given.update({f"{name}[{i}]": one for i, one in enumerate(gradient)})
        else:
            given[name] = gradient
    for name, ref in node.references():
        gradient = given.get(name)
        if ref.value not in wanted or gradient is None:
            continue
        meta = tape.values[ref.value].meta
        assert isinstance(gradient, Tensor)
        assert gradient.shape == meta.shape, (
            f"the rule of {node.op} gave {name} a gradient of shape {list(gradient.shape)} for {list(meta.shape)}"
        )
        if gradient.is_complex() and not meta.dtype.is_complex:
            gradient = gradient.real
        yield Contribution(name, ref.value, gradient.to(meta.dtype))
