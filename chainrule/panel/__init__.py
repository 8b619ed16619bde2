"""The live panel in the terminal, the plain log, and the panel as a picture."""

from chainrule.panel.listeners import listening
from chainrule.panel.live import make_watch

__all__ = [
    "listening",
    "make_watch",
]
