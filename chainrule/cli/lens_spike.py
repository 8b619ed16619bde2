"""`chainrule lens spike`: why a step of a run was out of line."""

from chainrule.cli.loading import load_torch
from chainrule.cli.options import AsJson, RunsFolder
from chainrule.cli.output import print_json, put, say
from chainrule.run import RUNS, find_run


def spike(run: str, /, *, step: int | None = None, runs_folder: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """Replay a step that spiked and say whether data, precision or the learning rate is to blame.

    The step is made again from its bundle in the run's spikes folder: in the run's own precision, in float32, and in
    float64 on the CPU, beside the batches of the steps around it. It takes about ten times as long as a step.

    For example:

    - `chainrule lens spike runs/NAME`
    - `chainrule lens spike runs/NAME --step 250 --json`

    Parameters
    ----------
    run
        A run folder, or a name in the runs folder.
    step
        Which of the steps that left a bundle. Default: the first.
    """
    found = find_run(run, runs_folder)
    load_torch()
    from chainrule.spike import explain_spike, spike_facts, spike_lines

    report = explain_spike(found, step, say=lambda phase: say(f"replaying {phase}"))
    if as_json:
        print_json(spike_facts(report))
    else:
        put("\n".join(spike_lines(report)))
