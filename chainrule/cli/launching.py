"""`--launch`: a run on several processes of this machine, or one of those that torchrun has started."""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from cyclopts import Parameter

from chainrule.base import ChainruleError, ConfigError, Interrupted, RankError, World
from chainrule.cli.output import say
from chainrule.config import Layer, load_toml, resolve
from chainrule.run import RunFolder, is_begun

LOCAL = re.compile(r"local:([1-9][0-9]{0,4})")
MOST_RESTARTS = 3
AUTOMATIC = "automatic"  # as the choice by text and machine is called among sources

LaunchOption = Annotated[
    str | None,
    Parameter(help="local:4 trains on four processes of this machine (docs/many.md); machine.parallel says how."),
]
Restarts = Annotated[
    int,
    Parameter(name="--max-restarts", help="With --launch: how often all go on from a checkpoint when one is gone."),
]


@dataclass(frozen=True)
class Job:
    """What `train_run` is called with, in every process."""

    layers: Sequence[Layer]
    run: RunFolder
    minutes: float | None
    as_json: bool
    log_to: tuple[str, ...]
    resume: bool = False


def processes(launch: str) -> int:
    """How many `--launch` asks for; raises ConfigError for what it is not."""
    found = LOCAL.fullmatch(launch)
    if found is None:
        raise ConfigError(
            f"--launch {launch} is none: local:N starts N processes on this machine, as local:4. On several machines "
            "start torchrun on each (docs/many.md has the command)"
        )
    return int(found[1])


def started(job: Job, launch: str | None, restarts: int) -> int:
    """Does the job in this process, or in those that `launch` asks for; returns the exit code."""
    if launch is None:
        return _trained(job)
    n = processes(launch)
    if restarts < 0:
        raise ConfigError(f"--max-restarts {restarts} is no number of times; give 0 or more")
    if World.of().size > 1:
        raise ConfigError("--launch starts processes, and this is one of several already; leave it out")
    check_job(job, n)
    from chainrule.ranks import launch as in_processes

    return in_processes(n, restarts, run_rank, job)


def check_job(job: Job, n: int) -> None:
    """Raises ConfigError, before anything is started, for what cannot lie on so many processes."""
    from chainrule.plan import check_trained, draft, layout_of

    layers = [load_toml(job.run.config), *job.layers] if job.resume else job.layers
    drafted = resolve(layers) if job.resume else draft(layers, job.minutes)
    layout = layout_of(drafted.config.machine.parallel, n)
    # What is chosen by text and machine is not known yet; it is looked at when it is.
    chosen = (drafted.sources.get(name, AUTOMATIC) for name in ("model.emb_dim", "training.batch_tokens"))
    if not any(source.startswith(AUTOMATIC) for source in chosen):
        check_trained(drafted.config, layout)


def _trained(job: Job) -> int:
    from chainrule.cli.start import train_run

    return train_run(
        job.layers, job.run, minutes=job.minutes, resume=job.resume, as_json=job.as_json, log_to=job.log_to
    )


def run_rank(job: Job) -> int:
    """The job as one of several processes; another exit than by returning lets all be begun again."""
    from chainrule.cli.command import told

    world = World.of()
    if not world.leads:
        return followed(world)
    if world.restarts > 0 and is_begun(job.run):
        say(f"a rank was lost: all go on from the last checkpoint (restart {world.restarts})")
        job = replace(job, layers=[], minutes=None, resume=True)
    code = told(lambda: _trained(job))
    if code == RankError.exit_code:
        raise SystemExit(code)
    return code


def followed(world: World) -> int:
    """What a process does that does not lead: as it is told, without a word; its exit code.

    A signal that comes before it listens ends it, and is the end: it is not begun again.
    """
    from chainrule.cli.command import signals_raise

    try:
        with signals_raise():
            from chainrule.ranks import follow

            follow(world)
    except RankError as fault:
        raise SystemExit(fault.exit_code) from None
    except ChainruleError as fault:  # the leader has it, and tells it
        return fault.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Interrupted as fault:
        return 128 + fault.signal_number
    return 0
