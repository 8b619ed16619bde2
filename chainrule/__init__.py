"""chainrule: pretrain a language model from raw text, and see every gradient that taught it."""

import importlib
import os
import sys

TYPE_CHECKING = False  # as typing has it, without loading that
if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

__version__ = "0.1.0"

SPINNING, SPINS = "GOMP_SPINCOUNT", "10000"
# A user who set any of these has decided.
DECIDED = (SPINNING, "OMP_WAIT_POLICY")


def spin_less(
    environment: "MutableMapping[str, str]" = os.environ, loaded: "Iterable[str]" = sys.modules
) -> "MutableMapping[str, str]":
    """Sets how long a thread of GNU's OpenMP spins before it sleeps, unless the user has; before torch is loaded.

    torch's products run on it, and it reads the variable once and for all. GNU's default is 30 times as much: as fast
    on an idle machine, and far slower where another program holds a core (a step of 0.26 s took seconds: docs/LOG.md).
    Where torch is loaded already nothing is set, so that `chainrule.base.spins` tells the truth.
    """
    if "torch" not in loaded and not any(name in environment for name in DECIDED):
        environment[SPINNING] = SPINS
    return environment


# Here, because every room that loads torch comes after this line; and written here, because what is imported before it
# comes before the first line of the command (__main__.py), which answers Ctrl-C.
spin_less()


def __getattr__(name: str) -> object:
    """`chainrule.load(source)`, a model that writes: looked up when it is asked for, because it loads torch."""
    if name == "load":
        return importlib.import_module("chainrule.generate").open_writer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its rooms are modules, as chainrule.train")
