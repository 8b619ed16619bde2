"""What can be proved of a run: every checksum, what belongs to what, and a stretch of its training made again."""

from chainrule.verify.checks import Check
from chainrule.verify.verdict import Verified, verify_run

__all__ = ["Check", "Verified", "verify_run"]
