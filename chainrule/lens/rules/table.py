"""All rules: in chapters, and by the name of the operation without overload."""

from collections.abc import Mapping

from chainrule.lens.rules.double import DOUBLE
from chainrule.lens.rules.fused import FUSED
from chainrule.lens.rules.margins import MARGINS
from chainrule.lens.rules.primitives import PRIMITIVE_CHAPTERS, for_complex_numbers
from chainrule.lens.rules.rule import Rule
from chainrule.lens.rules.sampling import SAMPLING
from chainrule.lens.rules.solvers import SOLVERS

# Rules that are made of the primitive ones.
COMPOSED: Mapping[str, Mapping[str, Rule]] = {
    "Solvers": SOLVERS,
    "Sampling": SAMPLING,
    "Margins and lengths": MARGINS,
    "Fused operations": FUSED,
    "Gradients of gradients": DOUBLE,
}
CHAPTERS: Mapping[str, Mapping[str, Rule]] = {**PRIMITIVE_CHAPTERS, **for_complex_numbers(COMPOSED)}

RULES: dict[str, Rule] = {name: rule for rules in CHAPTERS.values() for name, rule in rules.items()}
