"""An expression on tensors, worked out step by step."""

from chainrule.lens.expressions.explanation import Explanation, explain, explanation_facts
from chainrule.lens.expressions.given import written_tensor

__all__ = [
    "Explanation",
    "explain",
    "explanation_facts",
    "written_tensor",
]
