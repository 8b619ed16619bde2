"""The live page over run folders, and runs as one file to send; it only reads."""

from chainrule.dashboard.library import find_sources
from chainrule.dashboard.saved import save_page
from chainrule.dashboard.serving import watch

__all__ = [
    "find_sources",
    "save_page",
    "watch",
]
