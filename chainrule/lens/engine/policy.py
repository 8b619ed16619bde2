"""How a recording is differentiated: by which rules, and what is done where there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chainrule.lens.rules import RULES, Rule


@dataclass(frozen=True)
class Policy:
    """`rules` by the names of operations. With `fallback` an operation without a rule is differentiated by autograd,
    locally: such steps are marked, and are no independent proof. Without it there is an error that names the operation.
    """

    rules: Mapping[str, Rule] = field(default_factory=lambda: RULES)
    fallback: bool = False


OURS = Policy()
