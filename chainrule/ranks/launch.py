"""The processes of one machine, started by torch's elastic agent: where one is gone, all are begun again."""

import logging
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from chainrule.base import RankError

Job = TypeVar("Job")
# Else a new attempt reads the addresses of the dead one out of the store that both share, and finds nobody there
# (pytorch #135712): of four kills one was survived, with it every one.
OWN_STORE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
# A process that is asked to end saves first.
LEAVE_SECONDS = 600


def launch(n: int, restarts: int, entry: Callable[[Job], int], job: Job) -> int:
    """Calls `entry(job)` in `n` processes, each with torchrun's variables; returns what that of rank 0 returned.

    `entry` stands at the top of its file. What it returns is the end; a process that ends in any other way (killed, or
    by SystemExit) lets all be begun again, at most `restarts` times. Then raises RankError. A signal that ends this
    process is passed on, and its number and 128 are returned when all have ended.
    """
    os.environ |= OWN_STORE
    # One message for the person, and that is ours; the agent would print a table and a traceback besides.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=n,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id="chainrule",
        max_restarts=restarts,
        monitor_interval=0.1,
        local_addr="localhost",
        signals_to_handle="SIGTERM,SIGHUP",
        shutdown_timeout=LEAVE_SECONDS,
    )
    # The terminal sends Ctrl-C to all processes, which end in order; what is ignored here they would ignore as well.
    before = signal.signal(signal.SIGINT, _left_to_the_others)
    try:
        returned: dict[int, int] = elastic_launch(config, entry)(job)
    except ChildFailedError as fault:
        rank, failure = min(fault.failures.items(), key=lambda item: item[1].timestamp)
        raise RankError(
            f"rank {rank} {_how(failure)}, and all were begun again {restarts} times; the last checkpoint is intact"
        ) from None
    except SignalException as fault:
        return 128 + int(fault.sigval)
    finally:
        signal.signal(signal.SIGINT, before)
    return returned[0]


def _how(failure: ProcessFailure) -> str:
    return (
        f"was killed by {failure.signal_name()}" if failure.exitcode < 0 else f"failed (exit code {failure.exitcode})"
    )


def _left_to_the_others(number: int, frame: FrameType | None) -> None:
    """Nothing."""
