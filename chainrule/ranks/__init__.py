"""A run on several processes: how they meet, how model and optimizer lie on them, who leads; by torch's own means."""

from chainrule.ranks._launch import launch
from chainrule.ranks.leader import follow, leading

__all__ = ["follow", "launch", "leading"]
