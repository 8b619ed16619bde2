"""Tasks done by an executor of datatrove: on this machine, by Slurm, by Ray. The only door to `datatrove`.

datatrove's steps and ours go together by this: a `Stage` is a step of its pipelines, and its executors start the ranks.
"""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from chainrule.base import ConfigError, DataError, MissingPackageError, nearest, usable_cores
from chainrule.data.tasks import Stage, died, is_done

POLL_SECONDS = 0.2
# A task whose process died so often dies of itself, such as of memory.
MOST_DEATHS = 3
NOT_ON_WINDOWS = "executors need groups of processes, which Windows has not; use machine.executor=processes"
# Modules are found where this process finds them, before anything but `sys` is imported (as in workers.py).
START = "import sys; sys.path[:] = sys.argv[2:]; from chainrule.data.executors import launched; launched(sys.argv[1])"
Tell = Callable[[int], None]
"""Told how many tasks are done."""


class Executor(Protocol):
    """Where tasks are done."""

    def run(self, stage: Stage, logs: Path, tell: Tell) -> None:
        """Does all tasks of the stage that are not done; raises DataError when some cannot be."""


@dataclass(frozen=True)
class Local:
    """datatrove's executor of this machine, as a rehearsal of what a cluster will do."""

    workers: int = 0
    """Processes; 0: one for each core."""

    def run(self, stage: Stage, logs: Path, tell: Tell) -> None:
        """Starts it in a process of its own, because its pool waits for ever for a worker that was killed."""
        deaths = dict.fromkeys(stage.keys, 0)
        while missing := _missing(stage):
            again = self._attempt(Stage(stage.work, stage.folder, missing), logs, tell, len(stage.keys) - len(missing))
            for key in again:
                deaths[key] += 1
                if deaths[key] == MOST_DEATHS:
                    raise DataError(
                        f"the process of task {key} was killed {MOST_DEATHS} times, as for want of memory; what is "
                        f"done is kept. Use fewer workers (machine.workers); what it had to say is in {logs}"
                    )

    def _attempt(self, stage: Stage, logs: Path, tell: Tell, n_done: int) -> list[str]:
        """Runs until all tasks are done or a process has died; returns the tasks of those that died."""
        if sys.platform == "win32":
            raise ConfigError(NOT_ON_WINDOWS)
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        (logs / "stage.pkl").write_bytes(pickle.dumps((self, stage), pickle.HIGHEST_PROTOCOL))
        here = [os.path.abspath(place) for place in sys.path if isinstance(place, str)]  # noqa: PTH100 (a zip too)
        with (logs / "said.txt").open("wb") as said:
            process = subprocess.Popen(  # noqa: S603 (our own entry, with this very interpreter)
                [sys.executable, "-P", "-c", START, str(logs), *here],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        try:
            told = n_done
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                if dead := died(stage.folder, stage.keys):
                    return dead
                if (done := n_done + len(stage.keys) - len(_missing(stage))) > told:
                    tell(told := done)
            if dead := died(stage.folder, stage.keys):
                return dead
            if missing := _missing(stage):
                raise DataError(
                    f"datatrove's executor ended with code {process.returncode} before {len(missing)} of "
                    f"{len(stage.keys)} tasks were done; what it had to say is in {logs / 'said.txt'}"
                )
            return []
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def launch(self, stage: Stage, logs: Path) -> None:
        """What that process does."""
        _datatrove().executor.LocalPipelineExecutor(
            [stage],
            tasks=len(stage.keys),
            workers=min(self.workers or usable_cores(), len(stage.keys)),
            logging_dir=str(logs / "datatrove"),
        ).run()


def launched(place: str) -> None:
    """The life of the process in which datatrove's local executor runs: all of it ends when its parent does."""
    if sys.platform == "win32":
        raise ConfigError(NOT_ON_WINDOWS)

    def wait() -> None:
        # Not by sys.stdin: its lock, held while a pool's manager forks, would hold that process for ever.
        os.read(0, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
    logs = Path(place)
    executor, stage = pickle.loads((logs / "stage.pkl").read_bytes())  # noqa: S301 (what our own parent wrote)
    executor.launch(stage, logs)


@dataclass(frozen=True)
class Slurm:
    """An array job; the folder of the cache must be one that all nodes see."""

    partition: str
    time: str = "12:00:00"
    workers: int = 0
    """Tasks at once; 0: as many as Slurm starts."""
    cpus_per_task: int = 1
    mem_per_cpu_gb: int = 2
    qos: str = "normal"
    sbatch_args: Mapping[str, str] = field(default_factory=dict)
    poll_seconds: float = 5.0

    def run(self, stage: Stage, logs: Path, tell: Tell) -> None:
        """Submits the tasks that are missing, and waits until all have results or none is queued any more."""
        missing = _missing(stage)
        if not missing:
            return
        shutil.rmtree(logs, ignore_errors=True)
        activate = Path(sys.prefix) / "bin" / "activate"
        executor = _datatrove().executor.SlurmPipelineExecutor(
            [Stage(stage.work, stage.folder, missing)],
            tasks=len(missing),
            time=self.time,
            partition=self.partition,
            workers=self.workers or -1,
            cpus_per_task=self.cpus_per_task,
            mem_per_cpu_gb=self.mem_per_cpu_gb,
            qos=self.qos,
            mail_type="NONE",
            sbatch_args=dict(self.sbatch_args),
            venv_path=str(activate) if activate.is_file() else None,
            job_name="chainrule-prepare",
            logging_dir=str(logs),
        )
        try:
            executor.run()
        except (OSError, subprocess.CalledProcessError) as fault:
            raise DataError(
                f"sbatch could not submit the tasks ({fault}); is this a machine of the cluster?"
            ) from fault
        told = 0
        while left := len(_missing(stage)):
            if (done := len(stage.keys) - left) > told:
                tell(told := done)
            queued = _is_queued(executor.job_id)
            time.sleep(self.poll_seconds)
            if not queued and (left := len(_missing(stage))):
                raise DataError(
                    f"job {executor.job_id} is over, and {left} of {len(missing)} tasks have no results; what they had "
                    f"to say is in {logs}. The same command does those again and no others"
                )


def _is_queued(job: str) -> bool:
    """Whether Slurm still has any task of the job; True where it gives no answer."""
    asked = subprocess.run(  # noqa: S603 (a number that sbatch gave)
        ["squeue", "-h", "-j", str(job)],  # noqa: S607
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return bool(asked.stdout.strip()) if asked.returncode == 0 else "Invalid job" not in asked.stderr


@dataclass(frozen=True)
class Ray:
    """Tasks on a Ray cluster that this process is part of; the folder of the cache must be one that all nodes see."""

    workers: int = 0
    """Tasks at once; 0: as many as the cluster has room for."""
    cpus_per_task: int = 1
    mem_per_cpu_gb: float = 2

    def run(self, stage: Stage, logs: Path, tell: Tell) -> None:
        """Runs the tasks that are missing; those whose node went away are done again by datatrove itself."""
        try:
            import ray
        except ImportError:
            raise MissingPackageError("machine.executor=ray", "ray", install="pip install ray") from None
        missing = _missing(stage)
        if not missing:
            return
        ray.init(ignore_reinit_error=True)
        shutil.rmtree(logs, ignore_errors=True)
        _datatrove().executor.RayPipelineExecutor(
            [Stage(stage.work, stage.folder, missing)],
            tasks=len(missing),
            workers=self.workers or -1,
            cpus_per_task=self.cpus_per_task,
            mem_per_cpu_gb=self.mem_per_cpu_gb,
            logging_dir=str(logs),
        ).run()
        if left := _missing(stage):
            raise DataError(f"{len(left)} of {len(missing)} tasks have no results; what they had to say is in {logs}")


EXECUTORS = {"local": Local, "slurm": Slurm, "ray": Ray}


def executor_of(name: str, workers: int, options: Sequence[str]) -> Executor | None:
    """The executor that machine.executor, machine.workers and machine.executor_options ask for; None: own processes.

    Raises ConfigError for options that it has not, MissingPackageError without datatrove.
    """
    if name not in EXECUTORS:
        if options:
            raise ConfigError(
                f"machine.executor_options={', '.join(options)} are those of slurm and ray, not of {name}"
            )
        return None
    if sys.platform == "win32":
        raise ConfigError(NOT_ON_WINDOWS)
    _datatrove()
    kind = EXECUTORS[name]
    known = {one.name: one.type for one in fields(kind) if one.name != "workers"}
    given = dict[str, Any]()
    for option in options:
        key, _, value = option.partition("=")
        if key.startswith("sbatch.") and "sbatch_args" in known and value:
            given.setdefault("sbatch_args", {})[key.removeprefix("sbatch.")] = value
        elif key not in known or not value or key == "sbatch_args":
            raise ConfigError(
                f"machine.executor_options: {option!r} is no option of {name}.{nearest(key, known)} "
                f"Known: {', '.join(f'{one}=…' for one in known if one != 'sbatch_args') or 'none'}"
            )
        else:
            given[key] = _number(kind, key, value) if known[key] in (int, float, "int", "float") else value
    if kind is Slurm and "partition" not in given:
        raise ConfigError("machine.executor=slurm needs a partition: machine.executor_options partition=NAME")
    return kind(workers=workers, **given)


def _number(kind: type, key: str, value: str) -> float | int:
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        raise ConfigError(f"machine.executor_options: {key}={value} is not a number") from None


def _missing(stage: Stage) -> tuple[str, ...]:
    return tuple(key for key in stage.keys if not is_done(stage.folder / key))


def _datatrove() -> Any:
    try:
        import datatrove.executor
    except ImportError:
        raise MissingPackageError("machine.executor", "datatrove", "scale") from None
    return datatrove
