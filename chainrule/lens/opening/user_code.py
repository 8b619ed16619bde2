"""A subject from the user's own code: a function in a file or a module, and what goes wrong in it."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from chainrule.base import ChainruleError, LensError, nearest
from chainrule.lens.tape import Subject

Say = Callable[[str], None]


def quiet(_message: str) -> None:
    """Says nothing."""


def of_user(what: str) -> Subject:
    """What the user's function returns, as a subject."""
    place, _, name = what.rpartition(":")
    with _beside(Path(place).parent if place.endswith(".py") else Path()):
        return _made_by(what, _import(place), name)


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """What is imported is looked for in `folder` first, as Python does for a script; afterwards there last.

    Left in front, a file called random.py would stand for Python's own in all that is imported later.
    """
    where = str(folder.resolve())
    sys.path.insert(0, where)
    try:
        yield
    finally:
        sys.path.remove(where)
        if where not in sys.path:
            sys.path.append(where)


def _made_by(what: str, module: ModuleType, name: str) -> Subject:
    """What the function of that name in the module returns, as a subject."""
    place = what.rpartition(":")[0]
    if not hasattr(module, name):
        own = [key for key, one in vars(module).items() if not key.startswith("_") and callable(one)]
        raise LensError(f"{place} has no {name!r}.{nearest(name, own)}")
    found = getattr(module, name)
    if isinstance(found, Subject):
        return found
    if not callable(found):
        raise LensError(f"{what} is not a function but one {type(found).__name__}; {RETURNS}")
    with running(f"{what} failed"):
        made = found()
    return as_subject(made, what)


RETURNS = "it should return (model, inputs), (model, inputs, loss) or a chainrule.lens.Subject"


def as_subject(made: Any, what: str) -> Subject:
    """A subject from what a function made; raises LensError saying what it should be."""
    if isinstance(made, Subject):
        return made
    if not isinstance(made, tuple) or len(made) not in (2, 3) or not callable(made[0]):
        given = f"a tuple of {len(made)}" if isinstance(made, tuple) else f"one {type(made).__name__}"
        raise LensError(f"{what} returned {given}; {RETURNS}")
    target, inputs, *loss = made
    if loss and not callable(loss[0]):
        raise LensError(f"{what} returned a loss that is a {type(loss[0]).__name__}, not a function of the output")
    if isinstance(inputs, dict):
        return Subject(what, target, (), loss[0] if loss else None, inputs)
    return Subject(what, target, tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,), *loss)


def _import(place: str) -> ModuleType:
    """The module at a path or of a dotted name; raises LensError with the module's own error and its line."""
    if not place.endswith(".py"):
        with running(f"{place} does not import"):
            return importlib.import_module(place)
    path = Path(place)
    if not path.is_file():
        beside = [one.name for one in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise LensError(f"{place} is not a file.{nearest(path.name, beside)}")
    name = f"chainrule_subject_{path.stem}"  # a file called random.py must not stand for Python's own
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with running(f"{place} does not import"):
            spec.loader.exec_module(module)
    except LensError:
        del sys.modules[name]
        raise
    return module


@contextmanager
def running(failing: str) -> Iterator[None]:
    """Inside, the user's code runs: whatever goes wrong in it becomes a LensError with its line."""
    try:
        yield
    except ChainruleError:
        raise
    except Exception as fault:
        frames = traceback.extract_tb(fault.__traceback__)
        skipped = ("importlib", "site-packages", str(Path(__file__).parents[2]))
        own = [frame for frame in frames if not any(part in frame.filename for part in skipped)]
        place = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
        cuda = any(word in str(fault) for word in ("CUDA", "cuda"))
        advice = "; the lens works on the CPU: make model and inputs without .cuda() or device='cuda'" if cuda else ""
        raise LensError(f"{failing}: {type(fault).__name__}: {fault}{place}{advice}") from fault
