"""`chainrule report`: a run as one HTML page."""

from chainrule.cli.options import AsJson, RunsFolder
from chainrule.cli.output import print_json
from chainrule.run import RUNS, find_run


def report(run: str, /, *, runs_folder: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """Write report.html into the run's folder: curves, samples, baselines, data, settings and machine on one page.

    It needs no network, and can be written while the run goes on.

    Example: `chainrule report runs/NAME`

    Parameters
    ----------
    run
        A run folder, or a name in the runs folder.
    """
    found = find_run(run, runs_folder)
    from chainrule.report import write_report

    page = write_report(found)
    if as_json:
        print_json({"report": str(page)})
    else:
        print(page)
