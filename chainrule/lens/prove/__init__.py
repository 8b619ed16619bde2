"""Whether gradients are right: every weight by three ways, and where the first wrong one came from."""

from chainrule.lens.prove.checking import Checked, WayChecked, check
from chainrule.lens.prove.checking_text import checking_facts, checking_lines
from chainrule.lens.prove.locate import Place
from chainrule.lens.prove.number_checks import NumberCheck, Numbers
from chainrule.lens.prove.proof import ParameterCheck, Report
from chainrule.lens.prove.proof_text import proof_lines
from chainrule.lens.prove.proof_values import proof_facts
from chainrule.lens.prove.steps import Step, capture
from chainrule.lens.prove.verification import verify
from chainrule.lens.prove.ways import Way

__all__ = [
    "Checked",
    "NumberCheck",
    "Numbers",
    "ParameterCheck",
    "Place",
    "Report",
    "Step",
    "Way",
    "WayChecked",
    "capture",
    "check",
    "checking_facts",
    "checking_lines",
    "proof_facts",
    "proof_lines",
    "verify",
]
