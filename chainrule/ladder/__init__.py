"""A law of one's own: small models on one's own text, what they say of a larger one, and whether it came true."""

from chainrule.ladder.climbing import DEFAULT_MINUTES, DEFAULT_RUNGS, DEFAULT_TIMES, climb, resume_climb
from chainrule.ladder.outcome import Climbed, ladder_tables, row_of
from chainrule.ladder.page import write_ladder_page

__all__ = [
    "DEFAULT_MINUTES",
    "DEFAULT_RUNGS",
    "DEFAULT_TIMES",
    "Climbed",
    "climb",
    "ladder_tables",
    "resume_climb",
    "row_of",
    "write_ladder_page",
]
