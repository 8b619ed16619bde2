"""The model that a person names, looked at before torch is loaded: a mistyped name is answered at once."""

from pathlib import Path

from chainrule.base import RunError, nearest
from chainrule.config import MODEL_WORDS
from chainrule.run import RUNS, check_source, list_runs, model_source


def named(source: str, folder: Path = RUNS) -> str:
    """`source`, or the path of the run that it names; raises RunError, with the nearest name, where it is nothing.

    A word is a run in `folder`, `last`, or a model that is known by a word; what has a slash may be on the hub.
    """
    found = model_source(source, folder)
    if found != source or Path(found).exists() or source in MODEL_WORDS:
        return found
    if "/" in source or "\\" in source:
        check_source(source)
        return source
    near = nearest(source, [*(run.name for run in list_runs(folder)), *MODEL_WORDS])
    raise RunError(f"no model is called {source!r}.{near} `chainrule runs` lists those in {folder}/")


def check_subject(what: str) -> None:
    """Raises RunError for a run to be looked at that is mistyped; the lens knows what else a word may be."""
    if ".py" not in what:
        # One tensor of a file is named behind a colon.
        check_source(what if Path(what).exists() else what.rpartition(":")[0] or what)
