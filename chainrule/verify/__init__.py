"""What can be proved of a run: every checksum, what belongs to what, and a stretch of its training made again."""

from chainrule.verify.checks import Check, verify_files
from chainrule.verify.replay import replay
from chainrule.verify.run import Verified, verify_run

__all__ = ["Check", "Verified", "replay", "verify_files", "verify_run"]
