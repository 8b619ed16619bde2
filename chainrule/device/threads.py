"""How many threads may compute, which numbers are worth trying, and that they can be had."""

import os
import threading
from collections.abc import Mapping

import torch

from chainrule.base import Cores, DeviceError

# More threads than this for each processor only wait for each other; a hundred thousand end in a crash of OpenMP after
# they have filled the system's table of processes. A run may still go on with the threads of a larger machine.
THREADS_FOR_EACH, ALWAYS_ALLOWED = 4, 64
WAIT_SECONDS = 5.0


def most_threads(cores: Cores, environment: Mapping[str, str] = os.environ) -> int:
    """The most threads that are worth having: the usable cores, or what OMP_NUM_THREADS says where that is fewer."""
    # The variable may hold a list, one number for each level of nested regions.
    first = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(cores.usable, int(first)) if first.isdigit() and int(first) else cores.usable


def thread_choices(wanted: int, cores: Cores, environment: Mapping[str, str] = os.environ) -> tuple[int, ...]:
    """The numbers of threads to try, rising: 1, 2, 4, … and all usable cores, and the quick ones of a hybrid processor.

    What is `wanted` (not 0) is the only choice. Raises DeviceError for more than this machine can make use of.
    """
    if wanted:
        return (checked_threads(wanted, cores),)
    most = most_threads(cores, environment)
    doubling = {2**power for power in range(most.bit_length()) if 2**power < most}
    return tuple(sorted(doubling | {most} | ({cores.fast} if cores.fast < most else set())))


def checked_threads(wanted: int, cores: Cores) -> int:
    """`wanted`; raises DeviceError when it is far more than there are processors."""
    limit = max(THREADS_FOR_EACH * cores.logical, ALWAYS_ALLOWED)
    if wanted > limit:
        raise DeviceError(
            f"machine.threads={wanted} is more than this machine can make use of: it has {cores.usable} usable "
            f"cores; use 1 to {limit}, or 0 for the quickest"
        )
    return wanted


def use_threads(wanted: int) -> None:
    """Sets torch's threads; raises DeviceError when the system does not let this process start so many.

    OpenMP itself ends the process when it cannot start a thread, so as many are started and ended here first.
    """
    hold = threading.Event()
    probes = [threading.Thread(target=hold.wait, args=(WAIT_SECONDS,), daemon=True) for _ in range(wanted - 1)]
    started = []
    try:
        for probe in probes:
            probe.start()
            started.append(probe)
    except RuntimeError as fault:
        raise DeviceError(
            f"the system lets this process start {len(started)} threads beside its own, and {wanted - 1} are needed "
            "(a limit on processes or on memory: `ulimit -u`, `ulimit -v`); raise the limit, or use "
            f"--machine.threads {len(started) + 1}"
        ) from fault
    finally:
        hold.set()
        for probe in started:
            probe.join()
    torch.set_num_threads(wanted)
