"""How the work on a text is spread: over processes of this one's own, or over tasks that an executor does."""

import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from chainrule.data.executors import Executor
from chainrule.data.tasks import Stage, Work, results, write_tasks
from chainrule.data.workers import OrderedMap, ordered_map, worker_count

# A task takes some seconds, and a text of any size has no more of them than a scheduler likes.
TASK_BYTES, MOST_TASKS = 64 << 20, 1000


@dataclass(frozen=True)
class Load:
    """What the tasks of one pass depend on, and how they are told."""

    folder: Path
    """Where files wait that go from one process to another."""
    n_bytes: int
    """Of text that is still to be read."""
    key: str
    """Says what all of it depends on."""
    group: Callable[[Any], int]
    """Of a label, the number of its task; it counts up."""
    tell: Callable[[int, int], None]
    """Told how many tasks of how many are done."""


@dataclass(frozen=True)
class Spread:
    """Who does the work."""

    workers: int = 0
    """Processes of this one's own; 0 chooses."""
    executor: Executor | None = None

    @contextmanager
    def map(self, work: Work, load: Load) -> Iterator[OrderedMap[Any, Any, Any]]:
        """A function that does `work` for each input, in order and with the same results whoever does it."""
        if self.executor is None:
            with ordered_map(partial(work, load.folder), worker_count(self.workers, load.n_bytes)) as of_processes:
                yield of_processes
            return
        yield partial(_by_tasks, self.executor, work, load)


def _by_tasks(
    executor: Executor, work: Work, load: Load, inputs: Iterable[tuple[Any, Any]]
) -> Generator[tuple[Any, Any], None, None]:
    """All tasks are done first, wherever; then their results are read in order, and then they are removed."""
    folder = load.folder / "tasks"
    made = write_tasks(folder, load.key, inputs, load.group)
    stage = Stage(work, folder, tuple(key for key, _ in made))
    if made:
        executor.run(stage, load.folder / "logs", lambda n_done: load.tell(n_done, len(made)))
    yield from results(folder, made)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(load.folder / "logs", ignore_errors=True)
