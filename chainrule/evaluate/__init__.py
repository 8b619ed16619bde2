"""What a model has learnt, in figures: surprise by source, honest baselines, parsed functions, verbatim copies."""

from chainrule.evaluate.baselines import Baselines, baselines
from chainrule.evaluate.copies import Copy, longest_copies
from chainrule.evaluate.python_share import PythonShare, python_share
from chainrule.evaluate.score import Scores, score

__all__ = [
    "Baselines",
    "Copy",
    "PythonShare",
    "Scores",
    "baselines",
    "longest_copies",
    "python_share",
    "score",
]
