"""The reverse walk with rounding errors planted in every step, to see how far they move each gradient."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from chainrule.lens.engine.approximate import as_approximated
from chainrule.lens.engine.backward import ReverseStep, reverse
from chainrule.lens.engine.comparison import apart, largest
from chainrule.lens.engine.fallback import local_fallback
from chainrule.lens.engine.policy import OURS, Policy
from chainrule.lens.engine.rounding import EXACT, READ_AS_IS, Noise, accumulator, unit_roundoff
from chainrule.lens.engine.stored import STORED, as_stored
from chainrule.lens.engine.terms import terms_of_gradient
from chainrule.lens.rules import APPROXIMATED, Call, Formula, Gradients, Rule
from chainrule.lens.tape import Tape

Formats = Mapping[int, torch.dtype]


def number_formats(tape: Tape) -> dict[int, torch.dtype]:
    """The number format of each value that can have a gradient."""
    return {value.id: value.meta.dtype for value in tape.values if value.differentiable}


def sample_reverse(
    tape: Tape,
    reference: Mapping[int, Tensor],
    noise: Noise,
    formats: Formats,
    *,
    policy: Policy = OURS,
) -> dict[int, float]:
    """One walk with noise: the largest error at each value of which `reference` has the gradient, noise of size one."""
    found: dict[int, float] = {}

    def compare(value: int, gradient: Tensor | None) -> None:
        exact = reference.get(value)
        if exact is not None and exact.numel():
            found[value] = (largest(exact) if gradient is None else apart(exact, gradient)) / noise.scale

    def see(step: ReverseStep) -> None:
        for value, gradient in zip(step.node.outputs, step.incoming, strict=True):
            compare(value, gradient)

    leaves = reverse(tape, see, policy=with_noise(tape, noise, formats, policy))
    for value, gradient in leaves.items():
        compare(value, gradient)
    return found


def with_noise(tape: Tape, noise: Noise, formats: Formats, policy: Policy) -> Policy:
    """The rules of the tape's operations, each as wrong as arithmetic in the given formats would make it."""
    found = {}
    for name in {node.rule_name for node in tape.nodes}:
        if name in policy.rules:
            rule = policy.rules[name]
            found[name] = replace(rule, pullback=partial(_noisy, rule, noise, formats))
        elif policy.fallback:
            rule = Rule(lambda call, *incoming: local_fallback(call, incoming), Formula("", ""), {})
            found[name] = replace(rule, pullback=partial(_noisy, rule, noise, formats))
    return replace(policy, rules=found)


class NoisyCall(Call):
    """A call whose tensors are wrong by a rounding, each in the same way however often it is read."""

    def __init__(self, call: Call, wanted: frozenset[int], noise: Noise, formats: Formats) -> None:
        super().__init__(call.tape, call.node, wanted)
        self.noise, self.formats = noise, formats
        self.read: dict[int, Tensor] = {}
        self.exact = call.node.rule_name in EXACT | READ_AS_IS

    def _tensor(self, value: int) -> Tensor:
        tensor = super()._tensor(value)
        if self.exact or value not in self.formats:
            return tensor
        if value not in self.read:
            self.read[value] = self.noise(tensor, unit_roundoff(accumulator(self.formats[value])))
        return self.read[value]


def _noisy(rule: Rule, noise: Noise, formats: Formats, call: Call, *incoming: Tensor | None) -> Gradients:
    """The rule's answer: its sums are wrong by √n·u in the accumulator's format, its results by u in their own."""
    found: dict[str, Tensor | list[Tensor | None]] = {}
    for n_terms, values in _by_terms(call).items():
        exact = n_terms == 1 and call.node.rule_name in EXACT
        given = incoming
        if not exact:
            given = tuple(
                None if g is None else noise(g, n_terms**0.5 * unit_roundoff(accumulator(formats[output])))
                for output, g in zip(call.node.outputs, incoming, strict=True)
            )
        if call.node.rule_name in STORED:
            rounded = partial(noise, relative=unit_roundoff(formats[call.node.outputs[0]]))
            result = as_stored(Call(call.tape, call.node, values), rounded, given)
        else:
            result = rule.pullback(NoisyCall(call, values, noise, formats), *given)
        if call.node.rule_name in APPROXIMATED:
            result = as_approximated(Call(call.tape, call.node, values), noise, result)
        for name, ref in call.node.references():
            argument = name.split("[")[0]
            gradient = result.get(argument)
            if ref.value not in values or gradient is None:
                continue
            if not isinstance(gradient, Tensor):
                found[argument] = list(gradient)
            else:
                found[name] = gradient if exact else noise(gradient, unit_roundoff(formats[ref.value]))
    return found


def _by_terms(call: Call) -> dict[int, frozenset[int]]:
    """The values that want a gradient, by the number of terms that are summed for it; lists stay together."""
    terms: dict[int, int] = {}
    for name, ref in call.node.references():
        if ref.value in call.wanted:
            terms[ref.value] = max(terms.get(ref.value, 1), terms_of_gradient(call.tape, call.node, name))
    if any("[" in name for name, _ in call.node.references()):
        return {max(terms.values(), default=1): frozenset(terms)}
    return {n: frozenset(value for value, m in terms.items() if m == n) for n in set(terms.values())}
