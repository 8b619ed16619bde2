"""The command `chainrule`, which is `python -m chainrule` as well."""

# Python's built-in one, which is there at once: importing signal would take a part of the time that this is about.
import _signal  # type: ignore[import-not-found]
import sys

# Before all else. Until the command can answer (its imports take a tenth of a second), and again when it has ended,
# Ctrl-C ends the process at once: nothing has been begun, and Python would print a traceback. What is ignored stays so.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from chainrule.cli import main

if __name__ == "__main__":
    sys.exit(main())
