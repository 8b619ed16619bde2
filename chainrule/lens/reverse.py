"""Our own reverse mode: walks a tape from the loss back to the leaves, with the rules and nothing of autograd."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.fallback import local_fallback
from chainrule.lens.rules import CONSTANT, RULES, Call, Rule
from chainrule.lens.tape import Node, Tape


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
        """Whether our own rule gave it; false for the local fallback, which is autograd."""
        return self.rule is not None


@torch.no_grad()
def reverse(
    tape: Tape,
    each: Callable[[ReverseStep], None] | None = None,
    *,
    rules: Mapping[str, Rule] = RULES,
    fallback: bool = False,
) -> dict[int, Tensor]:
    """The gradient of the loss by every leaf that requires one, by value number; `each` sees every step on the way.

    A leaf that the loss does not depend on is absent. Contributions are summed in the order of the walk. With `fallback`
    an operation without a rule is differentiated by autograd, locally; such steps are not independent.

    Raises LensError when there is no scalar loss, nothing to differentiate by, an operation without a rule on the way,
    or a tensor that was changed after the recording.
    """
    loss = loss_to_differentiate(tape)
    wanted = differentiable(tape)
    leaves = {leaf.id for leaf in tape.leaves()}
    gradients: dict[int, Tensor] = {loss: torch.ones_like(_kept(tape, loss))}
    order = 0
    for node in reversed(tape.nodes):
        if not any(output in gradients for output in node.outputs) or not wanted.intersection(node.outputs):
            continue
        incoming = tuple(gradients.pop(output, None) for output in node.outputs)
        check_unchanged(tape, node)
        rule = rules.get(node.rule_name)
        if rule is None and not fallback:
            raise LensError(_no_rule(node))
        call = Call(tape, node, wanted)
        result = rule.pullback(call, *incoming) if rule is not None else local_fallback(call, incoming)
        outgoing = tuple(_contributions(tape, node, result, wanted))
        for one in outgoing:
            gradients[one.value] = gradients[one.value] + one.gradient if one.value in gradients else one.gradient
        if each is not None:
            each(ReverseStep(order, node, rule, incoming, outgoing))
        order += 1
    return {value: gradient for value, gradient in gradients.items() if value in leaves}


def differentiable(tape: Tape) -> frozenset[int]:
    """The values through which a gradient can flow back to a leaf.

    What was computed under `torch.no_grad()` is a constant. The forward pass of a custom autograd Function also runs
    without autograd, but its result requires a gradient: there we look inside.
    """
    live = {leaf.id for leaf in tape.leaves()}
    inside: set[int] = set()  # computed without autograd from live values
    for node in tape.nodes:
        if node.rule_name in CONSTANT:
            continue
        reached = live if node.grad_enabled else live | inside
        if not any(value in reached for value in node.inputs):
            continue
        outputs = [tape.values[output] for output in node.outputs if tape.values[output].differentiable]
        inside.update(output.id for output in outputs if not node.grad_enabled)
        live.update(output.id for output in outputs if node.grad_enabled or output.requires_grad)
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
            f"the loss of {tape.target} does not depend on any parameter: look for torch.no_grad(), .detach() or .item()"
        )
    return tape.loss


def _kept(tape: Tape, value: int) -> Tensor:
    tensor = tape.values[value].tensor
    assert tensor is not None
    return tensor.detach()


def check_unchanged(tape: Tape, node: Node) -> None:
    """Raises LensError when a tensor that the operation read or made was changed after the recording."""
    for number in (*node.inputs, *node.outputs):
        value = tape.values[number]
        if value.tensor is not None and value.edge is None and value.tensor._version != tape.versions[number]:
            raise LensError(
                f"{value.name} was changed in place after the recording, so that {node.op} at {node.site} cannot be "
                "differentiated any more; ask for gradients first, or record again"
            )


def _no_rule(node: Node) -> str:
    place = f" in module {node.module!r}" if node.module else ""
    return (
        f"no rule for {node.op}, asked for at {node.site}{place}: `{node.site.code if node.site else ''}`. "
        "Pass fallback=True (--fallback) to differentiate it by autograd, marked as not independent; "
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
        yield Contribution(name, ref.value, gradient.to(meta.dtype))
