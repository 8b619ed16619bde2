"""What a model has learnt, in figures: surprise by source, honest baselines, parsed functions, verbatim copies."""

from chainrule.evaluate.baselines import Baselines, baselines, baselines_within
from chainrule.evaluate.bounded import as_much_as, doubled
from chainrule.evaluate.copies import Copy, longest_copies
from chainrule.evaluate.documents import DocumentScores, score_documents
from chainrule.evaluate.endings import up_to_its_end
from chainrule.evaluate.found import share_found
from chainrule.evaluate.held_out import Scoring, check_same_tokenizer, held_out_text, own_scoring, run_beside
from chainrule.evaluate.look_back import LookBack, look_back
from chainrule.evaluate.python_share import PythonShare, python_share
from chainrule.evaluate.quality import SampleQuality, excerpts, sample_quality, words_of
from chainrule.evaluate.score import Scores, score
from chainrule.evaluate.texts import Texts, encode_texts

__all__ = [
    "Baselines",
    "Copy",
    "DocumentScores",
    "LookBack",
    "PythonShare",
    "SampleQuality",
    "Scores",
    "Scoring",
    "Texts",
    "as_much_as",
    "baselines",
    "baselines_within",
    "check_same_tokenizer",
    "doubled",
    "encode_texts",
    "excerpts",
    "held_out_text",
    "longest_copies",
    "look_back",
    "own_scoring",
    "python_share",
    "run_beside",
    "sample_quality",
    "score",
    "score_documents",
    "share_found",
    "up_to_its_end",
    "words_of",
]
