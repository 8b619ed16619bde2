"""The processes of one machine, started by torch's elastic agent: where one is gone, all are begun again."""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from chainrule.base import RankError

Job = TypeVar("Job")
# Else a new attempt reads the addresses of the dead one out of the store that both share, and finds nobody there
# (pytorch #135712): of four kills one was survived, with it every one.
OWN_STORE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
# What ends a job. The agent must not hear it: it would wait for processes that wait for it to take what they return.
PASSED_ON = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
UNHEARD = "SIGQUIT"


def launch(n: int, restarts: int, entry: Callable[[Job], int], job: Job) -> int:
    """Calls `entry(job)` in `n` processes, each with torchrun's variables; returns what that of rank 0 returned.

    `entry` stands at the top of its file. What it returns is the end; a process that ends in any other way (killed, or
    by SystemExit) lets all be begun again, at most `restarts` times. Then raises RankError. Signals that ask this
    process to end are passed on, and it ends when they have.
    """
    os.environ |= OWN_STORE
    # One message for the person, and that is ours; the agent would print a table and a traceback besides.
    for name in ("torch.distributed.elastic", "torch.multiprocessing"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
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
        signals_to_handle=UNHEARD,
    )
    try:
        with _signals_passed_on():
            returned: dict[int, int] = elastic_launch(config, entry)(job)
    except ChildFailedError as fault:
        rank, failure = min(fault.failures.items(), key=lambda item: item[1].timestamp)
        raise RankError(
            f"rank {rank} {_how(failure)}, and all were begun again {restarts} times; the last checkpoint is intact"
        ) from None
    return returned[0]


def _how(failure: ProcessFailure) -> str:
    return (
        f"was killed by {failure.signal_name()}" if failure.exitcode < 0 else f"failed (exit code {failure.exitcode})"
    )


@contextmanager
def _signals_passed_on() -> Iterator[None]:
    """Inside, signals go to the processes that were started. Ctrl-C the terminal sends to them itself.

    A signal that is ignored stays so, here and there.
    """
    answers = {**dict.fromkeys(PASSED_ON, _pass_on), signal.SIGINT: _left_to_the_others}
    before: dict[int, Any] = {}
    try:
        for number, answer in answers.items():
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, answer)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass_on(number: int, frame: FrameType | None) -> None:
    for child in multiprocessing.active_children():
        if child.pid is not None:
            os.kill(child.pid, number)


def _left_to_the_others(number: int, frame: FrameType | None) -> None:
    """Nothing."""
