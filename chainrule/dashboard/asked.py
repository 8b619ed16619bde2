"""What a page asks for and what it gets, as values: the same from a server and in a page that is saved."""

import time
from collections.abc import Sequence
from typing import Any

from chainrule import __version__
from chainrule.base import ChainruleError
from chainrule.dashboard.differences import settings_apart
from chainrule.dashboard.journals import TRAIN
from chainrule.dashboard.library import Library
from chainrule.dashboard.thinning import Curve
from chainrule.run import TrainRow, read_rows

MOST_RUNS = 64
# What has not been read by then comes with the next answer: a page of fifty runs draws what it has meanwhile.
NEWS_SECONDS = 0.7


def listed(library: Library) -> dict[str, Any]:
    """The runs that are there."""
    return {"version": __version__, "runs": library.listing()}


def news(library: Library, whole: Sequence[tuple[str, str]], beside: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """By run what is new since its cursor: of the `whole` ones everything, of those `beside` the curves of the loss.

    A run that is not there (any more) is None; `more` says that some could not be looked at in time.
    """
    found: dict[str, Any] = {}
    end = time.monotonic() + NEWS_SECONDS
    for name, cursor, is_whole in [*((*one, True) for one in whole), *((*one, False) for one in beside)]:
        if found and time.monotonic() > end:
            return {"runs": found, "more": True}
        if len(found) < MOST_RUNS and name not in found:
            followed = library.followed(name)
            try:
                found[name] = followed.news(cursor, whole=is_whole) if followed else None
            except FileNotFoundError:
                found[name] = None  # it went while it was read
            except (ChainruleError, OSError) as fault:
                # A folder of another user, a broken disk: it must not hide the others.
                found[name] = {"fault": str(fault)}
    return {"runs": found, "more": False}


def closer(library: Library, name: str, after: int, until: int) -> dict[str, Any] | None:
    """The curves of the steps after `after` up to `until` of a run, read again, so that a part has finer buckets.

    None for a run that is not there.
    """
    run = library.runs().get(name)
    if run is None:
        return None
    curve = Curve(TRAIN)
    for found in read_rows(run.metrics, TrainRow.KIND):
        row = TrainRow.of(found)
        if row is not None and row.step > until:
            break
        if row is not None and row.step > after:
            curve.add(row)
    return curve.since(0)


def apart(library: Library, names: Sequence[str]) -> dict[str, Any]:
    """The settings in which those of the runs differ that are there."""
    there = library.runs()
    known = [name for name in names[:MOST_RUNS] if name in there]
    return {"runs": known, "settings": settings_apart([there[name] for name in known])}


def everything(library: Library) -> dict[str, Any]:
    """All of it at once, read to the end."""
    names = list(library.runs())
    for name in names:
        while (followed := library.followed(name)) and followed.news("", whole=True)["more"]:
            pass
    told = {name: one.news("", whole=True) for name in names if (one := library.followed(name))}
    return {"listed": listed(library), "news": {"runs": told, "more": False}, "apart": apart(library, names)}
