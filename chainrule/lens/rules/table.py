"""All rules, by the name of the operation without overload."""

from chainrule.lens.rules.losses import LOSSES
from chainrule.lens.rules.pointwise import POINTWISE
from chainrule.lens.rules.rule import Rule

# Operations whose result does not depend on any input in a way that can be differentiated, or that cut the gradient.
CONSTANT = frozenset({"detach", "empty_like", "zeros_like", "ones_like", "full_like", "bernoulli"})

RULES: dict[str, Rule] = {**POINTWISE, **LOSSES}
