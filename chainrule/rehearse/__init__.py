"""A layout tried here with a tiny model before it is paid for: its losses, its checkpoints, its restart."""

from chainrule.rehearse.rehearsal import Rehearsed, Row, rehearse
from chainrule.rehearse.tiny import tiny_layer, write_tiny_text

__all__ = ["Rehearsed", "Row", "rehearse", "tiny_layer", "write_tiny_text"]
