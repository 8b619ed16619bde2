"""`chainrule pretrain`: from a folder of text, or from an interrupted run, to a trained model."""

import math
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.base import ConfigError, World
from chainrule.cli.flags import Flags, flag_layer
from chainrule.cli.launching import MOST_RESTARTS, Job, LaunchOption, Restarts, followed, started
from chainrule.cli.loading import shown_while
from chainrule.cli.options import AsJson, Device, LogTo, Minutes, RunsFolder
from chainrule.cli.output import say
from chainrule.config import Layer, changes_on_resume, fork_of, load_toml
from chainrule.config import preset as preset_layer
from chainrule.run import RUNS, RunFolder, as_sealed, find_run, find_step, is_begun, last_begun, new_run


def pretrain(
    *paths: str,
    preset: str | None = None,
    minutes: Minutes = None,
    device: Device = None,
    name: Annotated[str | None, Parameter(alias="--run")] = None,
    runs_folder: RunsFolder = RUNS,
    config: Path | None = None,
    resume: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    start_from: Annotated[str | None, Parameter(name="--from")] = None,
    fork: str | None = None,
    old_share: float | None = None,
    on_bad: str | None = None,
    launch: LaunchOption = None,
    max_restarts: Restarts = MOST_RESTARTS,
    log_to: LogTo = (),
    as_json: AsJson = False,
    flags: Flags = None,
) -> int:
    """Train a language model on folders, files or globs of text.

    Model, batch and steps are chosen to fit the machine and the time. What is set in several places: the automatic
    choice wins over the preset, the file over both, and what is typed over all. Examples:

    - `chainrule pretrain my_texts/`
    - `chainrule pretrain my_texts/ --preset gpt2-124m --device cuda`
    - `chainrule pretrain "stories/*.jsonl.gz" --text.field story --minutes 60`
    - `chainrule pretrain --resume runs/NAME`
    - `chainrule pretrain --resume runs/NAME --minutes 30`
    - `chainrule pretrain --from runs/NAME new_texts/ --old-share 0.2`
    - `chainrule pretrain --fork runs/NAME --minutes 10`
    - `chainrule pretrain --fork runs/NAME@250 --optimizer.lr 0.001`
    - `chainrule pretrain my_texts/ --launch local:4 --machine.parallel fsdp=2,tp=2`

    Parameters
    ----------
    paths
        Folders, files or globs of text; python: Python's own library, king-james: that Bible. With --resume: the run.
    preset
        A named configuration: gpt2-124m, gpt2-355m, gpt2-774m, gpt2-1558m, cpu-tiny, cpu-small, cpu-medium, gpu-small.
    minutes
        The time that the whole run may take, in minutes or as 90s, 1h30. Default: 15. With --resume: the time it gets
        from now on, also when it had finished.
    name
        The run's name in the runs folder. Default: after the text, with a number. Nothing is overwritten.
    config
        A TOML file of settings, such as the config.toml of another run.
    resume
        Go on with an interrupted run: the one that is named, or the newest.
    start_from
        Go on from a trained model (a run, a Hugging Face folder or name): its weights, shape and tokenizer. Optimizer
        and schedule begin anew, at a gentler rate, on the text that is named.
    fork
        Begin a new run at a checkpoint of another, RUN@STEP or RUN for its last: weights, optimizer, order of its text
        and schedule go on as if nothing had happened, but for the settings that are typed. A finished run gets longer
        by --minutes.
    old_share
        With --from a run: the share of its old text that is mixed in.
    on_bad
        error, skip or replace: what to do about invalid UTF-8 and malformed rows.
    """
    world = World.of()
    if not world.leads:
        return followed(world)
    shortcuts = {
        "machine.device": device,
        "origin.start_from": start_from,
        "origin.old_share": old_share,
        "text.on_bad": on_bad,
    }
    if resume:
        _refuse_beside_resume(preset=preset, name=name, config=config, fork=fork)
        if len(paths) > 1:
            raise ConfigError(f"--resume goes on with one run, and {len(paths)} were named")
        if minutes is not None and not (0 < minutes < math.inf):
            raise ConfigError(f"minutes={minutes:g} is no time to train in; give a positive number such as 5")
        run = find_run(paths[0], runs_folder) if paths else last_begun(runs_folder)
        changes = flag_layer(flags, shortcuts)
        for key, (old, new) in changes_on_resume(load_toml(as_sealed(run, run.config) or run.config), changes).items():
            say(f"changed: {key} from {old!r} to {new!r}")
        return started(Job([changes], run, minutes, as_json, log_to, resume=True), launch, max_restarts)
    layers: list[Layer] = [preset_layer(preset)] if preset is not None else []
    if config is not None:
        layers.append(load_toml(config))
    source = None if fork is None else find_step(fork, runs_folder)
    if source is not None:
        _refuse_beside_fork(paths, preset=preset, start_from=start_from)
        shortcuts["origin.fork"] = str(source[0].path) if source[1] is None else f"{source[0].path}@{source[1]}"
    layers.append(flag_layer(flags, {"text.paths": paths or None, **shortcuts}))
    if origin := fork_of(layers):
        run = new_run(name, runs_folder, [str(find_step(origin)[0].path)], suffix="-fork")
        return started(Job(layers, run, minutes, as_json, log_to), launch, max_restarts)
    if world.restarts and name is not None and is_begun(known := RunFolder(runs_folder / name)):
        # torchrun calls the same command again where a rank was lost.
        return started(Job([], known, None, as_json, log_to, resume=True), launch, max_restarts)
    # With numpy, which --help does not need.
    from chainrule.plan import check_layers

    text = check_layers(layers, minutes).text
    with shown_while("looking at the text …"):
        from chainrule.data import absolute_texts

        named = absolute_texts(text)
    # So that a run's config.toml makes the same run from any folder.
    layers.append(Layer(layers[-1].source, {"text": named}))
    run = new_run(name, runs_folder, text.paths)
    return started(Job(layers, run, minutes, as_json, log_to), launch, max_restarts)


def _refuse_beside_fork(paths: tuple[str, ...], **given: object) -> None:
    if paths:
        raise ConfigError(f"--fork goes on with the text of its run; leave out {', '.join(paths)}, or use --from")
    extra = [f"--{name.removeprefix('start_')}" for name, value in given.items() if value is not None]
    if extra:
        raise ConfigError(f"--fork takes weights and settings from its run; leave out {', '.join(extra)}")


def _refuse_beside_resume(**given: object) -> None:
    extra = [f"--{option}" for option, value in given.items() if value is not None]
    if extra:
        raise ConfigError(f"--resume goes on with the run's own settings; leave out {', '.join(extra)}")
