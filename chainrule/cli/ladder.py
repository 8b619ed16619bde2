"""`chainrule ladder`: small models on a text, what they say of a larger one, and whether that comes true."""

import shlex
import signal
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chainrule.base import Interrupted
from chainrule.cli.flags import Flags, flag_layer
from chainrule.cli.options import AsJson, Device, Minutes, RunsFolder
from chainrule.cli.output import print_json, print_table, put, say
from chainrule.cli.tune import Flag, Lines, to_resume
from chainrule.config import Layer, load_toml
from chainrule.config import preset as preset_layer
from chainrule.plan import check_layers
from chainrule.run import RUNS, new_run

if TYPE_CHECKING:
    from chainrule.ladder import Climbed

SHORT_MINUTES, SHORT_TIMES, SHORT_RUNGS = 4.0, 8.0, 4


def ladder(
    *paths: str,
    minutes: Minutes = None,
    times: float | None = None,
    rungs: int | None = None,
    short: Flag = False,
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
    """Train small models on your text, foretell a larger one with an interval, train it, and compare.

    A law of one's own: loss by size and tokens, fitted to the small ones. Examples:

    - `chainrule ladder my_texts/ --short`
    - `chainrule ladder my_texts/ --minutes 2h --times 50`
    - `chainrule ladder --resume runs/my_texts-ladder-1`

    Parameters
    ----------
    paths
        Folders, files or globs of text, as for `pretrain`. With --resume: the ladder's folder.
    minutes
        The time of all of it, about, in minutes or as 90s, 1h30; seven tenths are the large model's. Default: 60.
    times
        How many times the computation of the largest small model the large one has. Default: 20.
    rungs
        Small models of different size; the smallest three are trained a second time, longer. Default: 5.
    short
        Four minutes, four small models, eight times the computation: enough to see how it goes, not to trust it.
    preset
        A named configuration: the large model's.
    config
        A TOML file of settings: the large model's.
    name
        The ladder's name in the runs folder. Default: after the text, with -ladder and a number.
    resume
        Go on with a ladder: models that are trained are kept.
    show_page
        Open the page in the browser.
    """
    if resume:
        length = {"minutes": minutes, "times": times, "rungs": rungs, "short": short or None}
        given = {**length, "preset": preset, "config": config, "name": name}
        place = to_resume("ladder", "ladder", paths, runs_folder, given, flags)
        from chainrule.ladder import resume_climb

        return _shown(lambda: resume_climb(place, watch=Lines(), tell=say), place, show_page=show_page, as_json=as_json)
    layers: list[Layer] = [preset_layer(preset)] if preset is not None else []
    if config is not None:
        layers.append(load_toml(config))
    layers.append(flag_layer(flags, {"text.paths": paths or None, "machine.device": device}))
    text = check_layers(layers, minutes).text
    from chainrule.data import absolute_texts
    from chainrule.ladder import DEFAULT_MINUTES, DEFAULT_RUNGS, DEFAULT_TIMES, climb

    layers.append(Layer(layers[-1].source, {"text": absolute_texts(text)}))
    usual = (SHORT_MINUTES, SHORT_TIMES, SHORT_RUNGS) if short else (DEFAULT_MINUTES, DEFAULT_TIMES, DEFAULT_RUNGS)
    place = new_run(name, runs_folder, text.paths, suffix="-ladder").path
    return _shown(
        lambda: climb(
            layers,
            place,
            minutes=usual[0] if minutes is None else minutes,
            times=usual[1] if times is None else times,
            n_rungs=usual[2] if rungs is None else rungs,
            watch=Lines(),
            tell=say,
        ),
        place,
        show_page=show_page,
        as_json=as_json,
    )


def _shown(climbed: Callable[[], "Climbed"], place: Path, *, show_page: bool, as_json: bool) -> int:
    again = f"to go on: chainrule ladder --resume {shlex.quote(str(place))}"
    try:
        found = climbed()
    except (Interrupted, KeyboardInterrupt):
        say(again if place.is_dir() else "nothing was trained yet, and nothing is left")
        raise
    from chainrule.ladder import ladder_tables, row_of, write_ladder_page

    page, told = write_ladder_page(found), row_of(found)
    if as_json:
        print_json({**told, "page": str(page)})
    else:
        for title, heads, rows, note in ladder_tables(found):
            print_table(title, heads, rows)
            put(note)
        put()
        put(told["said"])
    say(f"page: {page}")
    if show_page:
        webbrowser.open(page.resolve().as_uri())
    if found.status == "interrupted":
        say(again)
        return 128 + (found.signal or signal.SIGINT)
    return 0
