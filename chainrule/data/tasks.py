"""The inputs of a stage as tasks in a folder that all machines see, and their results, each renamed into place whole.

::

    tasks/KEY/inputs.pkl          what the task is given, one input after the other
    tasks/KEY/HOST-PID/           files that its results name, of one attempt
    tasks/KEY/HOST-PID/running    there while that attempt lasts
    tasks/KEY/results.pkl         the results in the order of the inputs; the attempt that came first

What a task does follows from its inputs alone. So one that was killed is done again and no other, however many machines
there are, and whoever reads the results in the order of the inputs reads the same bytes.
"""

import hashlib
import os
import pickle
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from chainrule.base import DataError, disk_faults, whole_file
from chainrule.data.worker_process import answer

INPUTS, RESULTS, RUNNING = "inputs.pkl", "results.pkl", "running"
# The names of the files of an attempt stand behind its results, and behind them how long they are.
SIZE_BYTES = 8
Work = Callable[[Path, Any], Any]
"""From a folder for files and an input to the result."""


@dataclass(frozen=True)
class Stage:
    """What an executor runs for each rank: a step of a datatrove pipeline, which needs no documents of others."""

    work: Work
    folder: Path
    keys: tuple[str, ...]
    """The tasks, by rank."""

    name = "chainrule"

    def __call__(self, _data: Any, rank: int = 0, _world_size: int = 1) -> Iterator[Any]:
        """Does the task of this rank, unless it is done."""
        do(self.work, self.folder / self.keys[rank])
        return iter(())


def write_tasks(
    folder: Path, key: str, inputs: Iterable[tuple[Any, Any]], group: Callable[[Any], int]
) -> list[tuple[str, list[Any]]]:
    """Writes the inputs of tasks, neighbours with the same `group` of their label in one; returns keys and labels.

    `key` says what all tasks depend on. A task with the same key and labels is the same task.
    """
    made = list[tuple[str, list[Any]]]()
    for _, pairs in groupby(inputs, lambda pair: group(pair[0])):
        waiting = folder / "waiting.pkl"
        with disk_faults(folder, "writing"):
            folder.mkdir(parents=True, exist_ok=True)
            with waiting.open("wb") as stream:
                labels = [_pickled(pair, stream) for pair in pairs]
            name = hashlib.sha256(f"{key} {labels!r}".encode()).hexdigest()[:24]
            (folder / name).mkdir(exist_ok=True)
            waiting.replace(folder / name / INPUTS)
        made.append((name, labels))
    return made


def _pickled(pair: tuple[Any, Any], stream: IO[bytes]) -> Any:
    pickle.dump(pair[1], stream, pickle.HIGHEST_PROTOCOL)
    return pair[0]


def do(work: Work, place: Path) -> None:
    """Does the task in `place`; a fault is a result too, and the last."""
    if is_done(place):
        return
    own = place / f"{platform.node()}-{os.getpid()}"
    shutil.rmtree(own, ignore_errors=True)
    with disk_faults(place, "writing"):
        own.mkdir()
        running = own / RUNNING
        running.touch()
        with whole_file(place / RESULTS) as stream:
            for given in _objects(place / INPUTS):
                content = answer(lambda one: work(own, one), given)
                stream.write(content)
                if not pickle.loads(content)[0]:  # noqa: S301 (our own words)
                    break
            running.unlink()
            named = "\n".join(f"{own.name}/{path.name}" for path in sorted(own.iterdir())).encode()
            stream.write(named + len(named).to_bytes(SIZE_BYTES, "little"))


def is_done(place: Path) -> bool:
    """Whether all results are there, with the files that they name: whoever takes a result takes its files away."""
    try:
        with (place / RESULTS).open("rb") as stream:
            stream.seek(-SIZE_BYTES, os.SEEK_END)
            size = int.from_bytes(stream.read(), "little")
            stream.seek(-SIZE_BYTES - size, os.SEEK_END)
            named = stream.read(size).decode().splitlines()
    except (OSError, UnicodeDecodeError):
        # Not there, or cut off by a disk that failed.
        return False
    return all((place / name).exists() for name in named)


def results(folder: Path, made: Sequence[tuple[str, list[Any]]]) -> Iterator[tuple[Any, Any]]:
    """Each label with its result; raises what was raised instead of one, whose task will be done again."""
    for key, labels in made:
        for label, (good, result) in zip(labels, _objects(folder / key / RESULTS), strict=False):
            if not good:
                shutil.rmtree(folder / key)
                raise result
            yield label, result


def died(folder: Path, keys: Iterable[str]) -> list[str]:
    """The tasks that processes of this machine began and will not end."""
    found = []
    for key in keys:
        for running in (folder / key).glob(f"{platform.node()}-*/{RUNNING}"):
            if not _lives(int(running.parent.name.rpartition("-")[2])) and not is_done(folder / key):
                shutil.rmtree(running.parent)
                found.append(key)
    return found


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _objects(path: Path) -> Iterator[Any]:
    """The objects that were pickled one after the other."""
    with disk_faults(path, "reading"), path.open("rb") as stream:
        while stream.peek(1):
            try:
                yield pickle.load(stream)  # noqa: S301 (what our own processes wrote)
            except (pickle.UnpicklingError, EOFError, AttributeError) as fault:
                raise DataError(f"{path}: is damaged ({fault}); remove its folder and prepare again") from fault
