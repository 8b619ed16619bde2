"""Tasks: what a model is asked and gets right or not, one file each."""

from chainrule.evaluate.tasks.python_functions import PythonShare, python_share
from chainrule.evaluate.tasks.table import open_task, tasks_for
from chainrule.evaluate.tasks.task import Candidate, Task

__all__ = ["Candidate", "PythonShare", "Task", "open_task", "python_share", "tasks_for"]
