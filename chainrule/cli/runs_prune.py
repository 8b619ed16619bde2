"""`chainrule runs prune`: the space that runs take and nobody needs."""

from typing import Annotated

from cyclopts import Parameter

from chainrule.base import bytes_text
from chainrule.cli.asking import agreed
from chainrule.cli.loading import load_torch
from chainrule.cli.options import AsJson, RunsFolder
from chainrule.cli.output import print_json, say
from chainrule.run import RUNS, find_run, list_runs

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def prune(
    *names: str, optimizer: Flag = False, yes: Flag = False, runs_folder: RunsFolder = RUNS, as_json: AsJson = False
) -> int:
    """Free the space that runs do not need, after saying what goes and asking.

    Of each run the best and the newest checkpoint stay; a run that saved no step goes wholly. Examples:
    - `chainrule runs prune`
    - `chainrule runs prune my_texts-1 --optimizer --yes`

    Parameters
    ----------
    names
        Run folders, or names in the runs folder. Default: all.
    optimizer
        Of finished runs remove the optimizer's state too, about two thirds of a checkpoint: the model writes, is
        exported and learns anew (`--from`), but training does not go on where it ended.
    yes
        Do not ask.
    """
    runs = [find_run(name, runs_folder) for name in names] if names else list_runs(runs_folder)
    load_torch()
    from chainrule.checkpoint import remove_spare, spare_of

    found = [spare for run in runs if (spare := spare_of(run, optimizer=optimizer)).n_bytes]
    freed = sum(spare.n_bytes for spare in found)
    lines = [f"{spare.run.path}, {bytes_text(spare.n_bytes)}: {spare.words}" for spare in found]
    if found and not yes and not agreed(lines):
        say("nothing was removed")
        return 1
    for spare in found:
        remove_spare(spare)
    if as_json:
        rows = [{"run": str(spare.run.path), "what": spare.words, "bytes": spare.n_bytes} for spare in found]
        print_json({"removed": rows, "freed_bytes": freed})
    else:
        say(f"{bytes_text(freed)} freed" if found else f"nothing to free in {len(runs)} runs")
    return 0
