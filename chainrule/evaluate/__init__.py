"""What a model has learnt, in figures: surprise by source, honest baselines, parsed functions, verbatim copies."""

from chainrule.evaluate.anchor import measure_anchor
from chainrule.evaluate.bounded import as_much_as, doubled
from chainrule.evaluate.copies import Copy, longest_copies
from chainrule.evaluate.documents import DocumentScores
from chainrule.evaluate.endings import up_to_its_end
from chainrule.evaluate.found import share_found
from chainrule.evaluate.held_out import check_same_tokenizer
from chainrule.evaluate.looking_back import LookBack, look_back
from chainrule.evaluate.measure import Measurement, measure_own, measure_tasks, measure_texts
from chainrule.evaluate.measured_baselines import Baselines, baselines_within
from chainrule.evaluate.places import PlaceTally
from chainrule.evaluate.quality import SampleQuality, excerpts, sample_quality, words_of
from chainrule.evaluate.scoring import Scores, Scoring, score
from chainrule.evaluate.surprise import Stretch, surprises
from chainrule.evaluate.tasks import Candidate, PythonShare, Task, python_share, tasks_for
from chainrule.evaluate.texts import Texts

__all__ = [
    "Baselines",
    "Candidate",
    "Copy",
    "DocumentScores",
    "LookBack",
    "Measurement",
    "PlaceTally",
    "PythonShare",
    "SampleQuality",
    "Scores",
    "Scoring",
    "Stretch",
    "Task",
    "Texts",
    "as_much_as",
    "baselines_within",
    "check_same_tokenizer",
    "doubled",
    "excerpts",
    "longest_copies",
    "look_back",
    "measure_anchor",
    "measure_own",
    "measure_tasks",
    "measure_texts",
    "python_share",
    "sample_quality",
    "score",
    "share_found",
    "surprises",
    "tasks_for",
    "up_to_its_end",
    "words_of",
]
