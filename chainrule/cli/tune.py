"""`chainrule tune`: a learning rate and a batch for a text, by short trainings in a given time."""

import shlex
import signal
import time
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chainrule.base import ConfigError, Interrupted
from chainrule.cli.flags import Flags, flag_layer
from chainrule.cli.options import AsJson, Device, Minutes, RunsFolder
from chainrule.cli.output import print_json, print_table, put, say
from chainrule.cli.start import STARTED_SECONDS
from chainrule.config import Layer, load_toml
from chainrule.config import preset as preset_layer
from chainrule.plan import check_layers
from chainrule.run import RUNS, Event, Progress, Record, TrainRow, new_run

if TYPE_CHECKING:
    from chainrule.tune import Tuned

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
# Between two lines of a trial that takes long.
EVERY_SECONDS = 20.0


def tune(
    *paths: str,
    minutes: Minutes = None,
    target: Annotated[Minutes, Parameter(name="--for")] = None,
    preset: str | None = None,
    config: Path | None = None,
    device: Device = None,
    name: str | None = None,
    runs_folder: RunsFolder = RUNS,
    resume: Flag = False,
    show_page: Annotated[bool, Parameter(name="--open", negative=(), show_default=False)] = False,
    as_json: AsJson = False,
    flags: Flags = None,
) -> int:
    """Look for a better learning rate and batch by short trainings, and write the configuration.

    A range test shows what rates the model bears, the gradient noise scale which batch is worth its tokens, and short
    trainings with the real schedule measure them. Only what is better than the default by more than noise, in seeds
    that had no part in finding it, is recommended. Examples:

    - `chainrule tune my_texts/ --minutes 20`
    - `chainrule pretrain my_texts/ --config runs/my_texts-tune-1/tuned.toml`
    - `chainrule tune my_texts/ --for 2h --minutes 60 --preset gpt2-124m`
    - `chainrule tune --resume runs/my_texts-tune-1 --minutes 10`

    Parameters
    ----------
    paths
        Folders, files or globs of text, as for `pretrain`. With --resume: the search's folder.
    minutes
        The time that the search may take, in minutes or as 90s, 1h30. Default: 20; with --resume: what is left of it.
    target
        The time of the run that the settings are for, from which model and batch follow. Default: 15.
    preset
        A named configuration, as for `pretrain`.
    config
        A TOML file of settings: what is tuned begins from them.
    name
        The search's name in the runs folder. Default: after the text, with -tune and a number.
    resume
        Go on with a search: trials that are done are kept.
    show_page
        Open the page in the browser.
    """
    begun = time.perf_counter() - min(time.process_time(), STARTED_SECONDS)
    if resume:
        given = {"for": target, "preset": preset, "config": config, "name": name}
        place = to_resume("search", "tune", paths, runs_folder, given, flags)
        from chainrule.tune import resume_tune

        return _shown(
            lambda: resume_tune(place, minutes=minutes, watch=Lines(), tell=say, begun=begun),
            place,
            show_page=show_page,
            as_json=as_json,
        )
    layers: list[Layer] = [preset_layer(preset)] if preset is not None else []
    if config is not None:
        layers.append(load_toml(config))
    layers.append(flag_layer(flags, {"text.paths": paths or None, "machine.device": device}))
    text = check_layers(layers, target).text
    from chainrule.data import absolute_texts
    from chainrule.tune import tune as search

    layers.append(Layer(layers[-1].source, {"text": absolute_texts(text)}))
    place = new_run(name, runs_folder, text.paths, suffix="-tune").path
    allowed = 20.0 if minutes is None else minutes
    return _shown(
        lambda: search(layers, place, minutes=allowed, target_minutes=target, watch=Lines(), tell=say, begun=begun),
        place,
        show_page=show_page,
        as_json=as_json,
    )


def to_resume(
    what: str, verb: str, paths: tuple[str, ...], runs_folder: Path, given: Mapping[str, object], flags: Flags
) -> Path:
    """The folder of what is resumed; ConfigError where settings are given, which are its own, or no one folder is."""
    extra = [key for key, value in given.items() if value is not None]
    extra += [f"{section}.{key}" for section, values in flag_layer(flags).values.items() for key in values]
    if extra:
        raise ConfigError(f"--resume goes on with the {what}'s own settings; leave out --{', --'.join(extra)}")
    if len(paths) != 1:
        raise ConfigError(f"name the {what} to go on with: `chainrule {verb} --resume runs/my_texts-{verb}-1`")
    below = runs_folder / paths[0]
    return below if "/" not in paths[0] and below.is_dir() else Path(paths[0])


def _shown(search: Callable[[], "Tuned"], place: Path, *, show_page: bool, as_json: bool) -> int:
    again = f"to go on: chainrule tune --resume {shlex.quote(str(place))}"
    try:
        found = search()
    except (Interrupted, KeyboardInterrupt):
        say(again if place.is_dir() else "nothing was measured yet, and nothing is left")
        raise
    from chainrule.tune import row_of, tuning_tables, write_tuned_page

    page = write_tuned_page(found)
    if as_json:
        print_json({**row_of(found), "page": str(page)})
    else:
        for title, heads, rows, note in tuning_tables(found):
            print_table(title, heads, rows, left=2)
            put(note)
        put()
        put(found.verdict.text)
    say(f"page: {page}")
    if show_page:
        webbrowser.open(page.resolve().as_uri())
    if found.status == "interrupted":
        say(again)
        return 128 + (found.signal or signal.SIGINT)
    texts = " ".join(map(shlex.quote, found.folder.default_config().text.paths))
    say(f"next: chainrule pretrain {texts} --config {shlex.quote(str(found.folder.tuned))}")
    return 0


class Lines:
    """What is worth a line of a search's trainings: a full disk, the preparation, and that a long trial goes on."""

    def __init__(self) -> None:
        self.spoke = time.monotonic()
        self.phase = ""

    def __call__(self, record: Record) -> None:
        """Hears one record."""
        match record:
            case Progress() if record.phase != self.phase:
                self.phase = record.phase
                self._say(f"  {record.phase} …")
            case Event(time=""):  # not written into a trial's journal, above all: that the disk is full and waited for
                self._say(f"  {record.message}")
            case TrainRow() if time.monotonic() - self.spoke > EVERY_SECONDS:
                self._say(f"  step {record.step}, loss {record.loss or 0:.3f}")

    def _say(self, message: str) -> None:
        self.spoke = time.monotonic()
        say(message)
