"""`chainrule cache`: what is kept of prepared text, how much it is, and how to be rid of it."""

import time
from typing import Annotated

from cyclopts import App, Parameter

from chainrule.base import bytes_text, duration_text
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json, print_table, say
from chainrule.show import one_line

app = App(name="cache")
CacheFolder = Annotated[str, Parameter(help="The folder, when machine.cache names another than the user's own.")]


@app.default
def cache(*, folder: CacheFolder = "auto", as_json: AsJson = False) -> None:
    """List prepared text: for which text, how large, when it was last used, and by which runs.

    Runs have links to what they use, so nothing here is needed by a run that is there already. For example:
    - `chainrule cache`
    - `chainrule cache prune --days 30`
    """
    from chainrule.data import open_cache

    kept = open_cache(folder)
    place, entries = str(kept.folder), kept.entries()
    if as_json:
        print_json({"folder": place, "entries": [entry.row() for entry in entries]})
        return
    if not entries:
        say(f"nothing is kept in {place}; `chainrule prepare my_texts/` and large runs put prepared text there")
        return
    lines = [
        (
            entry.path.name[:18],
            one_line(", ".join(entry.text), 40),
            bytes_text(entry.n_bytes),
            bytes_text(entry.freed_bytes),
            duration_text(max(0.0, time.time() - entry.used)) + " ago",
            str(len(entry.runs)),
        )
        for entry in entries
    ]
    print_table("", ("name", "text", "size", "freed by removal", "used", "runs"), lines, left=2)
    say(f"{bytes_text(sum(entry.n_bytes for entry in entries))} in {place}; `chainrule cache prune` removes all of it")


@app.command
def prune(*names: str, days: float = 0.0, folder: CacheFolder = "auto", as_json: AsJson = False) -> None:
    """Remove prepared text from the cache. Runs keep theirs.

    What another process works with at the moment is left alone. Examples:
    - `chainrule cache prune`
    - `chainrule cache prune --days 30`
    - `chainrule cache prune shards-3f2a`

    Parameters
    ----------
    names
        Only these, by the beginning of their names in `chainrule cache`. Default: all.
    days
        Only what was not used for so many days.
    """
    from chainrule.data import open_cache

    kept = open_cache(folder)
    entries = kept.entries()
    removed, busy = kept.prune(names, days)
    freed = sum(entry.freed_bytes for entry in removed)
    if as_json:
        left = [entry.path.name for entry in busy]
        print_json({"removed": [entry.row() for entry in removed], "in_use": left, "freed_bytes": freed})
        return
    for entry in busy:
        say(f"{entry.path.name} is in use and was left")
    say(f"removed {len(removed)} of {len(entries)}, {bytes_text(freed)} freed (what runs link to stays on the disk)")
