"""`chainrule report`: a run as one HTML page."""

import webbrowser
from typing import Annotated

from cyclopts import Parameter

from chainrule.cli.options import AsJson, RunsFolder
from chainrule.cli.output import print_json, put, say
from chainrule.run import RUNS, find_run


def report(
    run: str,
    /,
    *,
    open_it: Annotated[bool, Parameter(name="--open", negative=())] = False,
    runs_folder: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Write report.html into the run's folder: verdict, samples, curves, baselines, text, settings on one page.

    It needs no network, and can be written while the run goes on; then it reloads itself until the run is over.

    Example: `chainrule report runs/NAME --open`

    Parameters
    ----------
    run
        A run folder, or a name in the runs folder.
    open_it
        Open the page in the browser.
    """
    found = find_run(run, runs_folder)
    from chainrule.report import write_report

    page = write_report(found)
    link = page.resolve().as_uri()
    if as_json:
        print_json({"report": str(page), "link": link})
    else:
        put(page)
        say(link)
    if open_it and not webbrowser.open(link):
        say("no browser could be opened here; open that link where there is one")
