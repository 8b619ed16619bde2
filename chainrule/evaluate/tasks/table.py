"""Which tasks there are, and which one a word of the command line or of the settings means."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from chainrule.base import ConfigError, DataError, nearest
from chainrule.data import structured_rows
from chainrule.evaluate.tasks.choices import Choices
from chainrule.evaluate.tasks.cloze import Cloze
from chainrule.evaluate.tasks.pairs import Pairs
from chainrule.evaluate.tasks.python_functions import PythonFunctions
from chainrule.evaluate.tasks.task import Task

TASKS: Mapping[str, type[Task]] = {
    "python-functions": PythonFunctions,
    "choices": Choices,
    "pairs": Pairs,
    "cloze": Cloze,
}


def open_task(word: str) -> Task:
    """The task that is meant by a name (`python-functions`), a name and a file (`pairs:blimp.jsonl`), or a file alone.

    Raises ConfigError for what is none of them, and DataError for a file that does not hold such questions.
    """
    name, _, file = word.partition(":")
    if name in TASKS:
        return TASKS[name].of(file or None)
    if not Path(word).is_file():
        raise ConfigError(
            f"{word!r} is no task and no file.{nearest(name, TASKS)} A task is {', '.join(TASKS)}; those that ask from "
            "a file are written with it, as in choices:my_questions.jsonl, or as the file alone"
        )
    return _kind_of(word).of(word)


def tasks_for(words: Sequence[str], paths: Sequence[str]) -> list[Task]:
    """The tasks of a run on these texts: those that are asked for, or without any those that suit the texts."""
    return [open_task(word) for word in words] or [kind.of(None) for kind in TASKS.values() if kind.suits(paths)]


def _kind_of(file: str) -> type[Task]:
    """The task whose questions a file's first row is one of."""
    row = next(structured_rows([file]), None)
    if row is None or row.fields is None:
        raise DataError(f"{row.place}: {row.fault}" if row else f"{file}: holds no row")
    for kind in TASKS.values():
        if kind.reads(row.fields):
            return kind
    columns = ", ".join(map(repr, list(row.fields)[:12]))
    raise DataError(f"{row.place}: has the columns {columns}, and no task reads those; `chainrule evaluate --help`")
