"""What was decided about how long a thread of GNU's OpenMP, which torch's products run on, spins before it sleeps."""

import os
from collections.abc import MutableMapping

from chainrule import DECIDED


def spins(environment: MutableMapping[str, str] = os.environ) -> str:
    """What was set, as `NAME=value`; "the default" where torch was loaded before chainrule and nothing was set."""
    found = [f"{name}={environment[name]}" for name in DECIDED if name in environment]
    return " ".join(found) or "the default"
