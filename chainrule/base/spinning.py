"""What was decided about how long a thread of GNU's OpenMP, which torch's products run on, spins before it sleeps."""

import os
import sys
import time
from collections.abc import Iterable, MutableMapping

from chainrule import DECIDED, SPINNING, SPINS
from chainrule.base.pressure import busy_seconds

# Beside another program: a thread that waits for one that has no core sleeps at once, and so gives its own away.
ASLEEP = "0"
# So many cores of others, seen for so long, are another program. The system counts in hundredths of a second.
COMPANY_CORES, SEEN_SECONDS = 0.5, 0.2


def spins(environment: MutableMapping[str, str] = os.environ) -> str:
    """What was set, as `NAME=value`; "the default" where torch was loaded before chainrule and nothing was set."""
    found = [f"{name}={environment[name]}" for name in DECIDED if name in environment]
    return " ".join(found) or "the default"


def others_cores(seconds: float = SEEN_SECONDS) -> float:
    """On how many of this process's cores other programs compute, seen for some time; 0 where the system tells not."""
    before, own, began = busy_seconds(), time.process_time(), time.perf_counter()
    if before is None:
        return 0.0
    time.sleep(seconds)
    after, mine = busy_seconds(), time.process_time() - own
    return max(0.0, (after or before) - before - mine) / (time.perf_counter() - began)


def sleep_beside(
    others: float, environment: MutableMapping[str, str] = os.environ, loaded: Iterable[str] = sys.modules
) -> bool:
    """Where others compute, and before torch is loaded: lets threads sleep as soon as they wait; whether it was set.

    Not where the user has decided. Bits do not depend on it. On a machine that is quiet again it costs up to a quarter.
    """
    decided = environment.get(SPINNING) != SPINS or "OMP_WAIT_POLICY" in environment
    if others < COMPANY_CORES or decided or "torch" in loaded:
        return False
    environment[SPINNING] = ASLEEP
    return True
