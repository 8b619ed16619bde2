"""A run told to another tracker, beside the training or afterwards, out of its folder, which is only read."""

from chainrule.log.beside import logged_beside
from chainrule.log.following import follow
from chainrule.log.trackers import check_tracker, open_tracker

__all__ = [
    "check_tracker",
    "follow",
    "logged_beside",
    "open_tracker",
]
