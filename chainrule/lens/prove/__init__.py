"""Whether gradients are right: every weight by three ways, and where the first wrong one came from."""

from chainrule.lens.prove.locate import Place
from chainrule.lens.prove.number_checks import NumberCheck, Numbers
from chainrule.lens.prove.proof import ParameterCheck, Report
from chainrule.lens.prove.proof_text import proof_lines
from chainrule.lens.prove.proof_values import proof_facts
from chainrule.lens.prove.steps import Step, capture
from chainrule.lens.prove.verification import verify

__all__ = [
    "NumberCheck",
    "Numbers",
    "ParameterCheck",
    "Place",
    "Report",
    "Step",
    "capture",
    "proof_facts",
    "proof_lines",
    "verify",
]
