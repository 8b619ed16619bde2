"""What a model has learnt, in figures: surprise by source, honest baselines, parsed functions, verbatim copies."""

from chainrule.evaluate.score import Scores, score

__all__ = ["Scores", "score"]
