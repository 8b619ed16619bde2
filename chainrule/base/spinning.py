"""How long a thread of GNU's OpenMP, which torch's products run on, spins before it sleeps."""

import os
import sys
from collections.abc import Iterable, MutableMapping

VARIABLE, SPINS = "GOMP_SPINCOUNT", "10000"
# A user who set any of these has decided.
DECIDED = (VARIABLE, "OMP_WAIT_POLICY")


def spin_less(
    environment: MutableMapping[str, str] = os.environ, loaded: Iterable[str] = sys.modules
) -> MutableMapping[str, str]:
    """Sets the variable unless the user has; called before torch is loaded, which reads it once and for all.

    GNU's default is 30 times as much: as fast on an idle machine, and far slower where another program holds a core (a
    step of 0.26 s took seconds: docs/LOG.md). Where torch is loaded already nothing is set, so that `spins` tells the
    truth.
    """
    if "torch" not in loaded and not any(name in environment for name in DECIDED):
        environment[VARIABLE] = SPINS
    return environment


def spins(environment: MutableMapping[str, str] = os.environ) -> str:
    """What was set, as `NAME=value`; "the default" where torch was loaded before chainrule and nothing was set."""
    found = [f"{name}={environment[name]}" for name in DECIDED if name in environment]
    return " ".join(found) or "the default"
