"""`chainrule prepare`: read and tokenize a text once, for all runs that will learn from it."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from chainrule.base import bytes_text, count_text
from chainrule.cli.flags import Flags, flag_layer
from chainrule.cli.options import AsJson, Minutes
from chainrule.cli.output import print_json, print_table, say
from chainrule.config import Layer, load_toml, resolve
from chainrule.config import preset as preset_layer
from chainrule.panel import make_watch
from chainrule.plan import check_layers
from chainrule.run import DataReport, Removal


def prepare(
    *paths: str,
    check: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    preset: str | None = None,
    minutes: Minutes = None,
    config: Path | None = None,
    on_bad: str | None = None,
    workers: int | None = None,
    executor: str | None = None,
    as_json: AsJson = False,
    flags: Flags = None,
) -> int:
    """Read and tokenize text once, for all runs that will learn from it.

    `pretrain` does this by itself and finds what is here; ten runs on one text prepare it once. It is kept in the
    user's cache folder (`--machine.cache FOLDER` for another; `chainrule cache` lists it). Examples:

    - `chainrule prepare my_texts/ --check`
    - `chainrule prepare my_texts/ --minutes 60`
    - `chainrule prepare web/ --text.filters gopher-quality --text.filters fineweb --text.languages en --text.pii mask`
    - `chainrule prepare "stories/*.jsonl.gz" --text.field story --preset gpt2-124m`

    Parameters
    ----------
    paths
        Folders, files or globs of text, as for `pretrain`.
    check
        Only look: which files are there, what would be passed over, what is wrong at the beginnings of the files.
        Nothing is written.
    preset
        A named configuration, as for `pretrain`: vocabulary and context follow from it.
    minutes
        The time that a run will have (minutes, or as 1h30), from which the size of the vocabulary follows. Default: 15.
    config
        A TOML file of settings.
    on_bad
        error, skip or replace: what to do about invalid UTF-8 and malformed rows.
    workers
        Processes, or tasks at once. Default: one for small texts, else one for each core.
    executor
        processes, or datatrove's executors local, slurm and ray (the extra `scale`).
    """
    layers: list[Layer] = [preset_layer(preset)] if preset is not None else []
    if config is not None:
        layers.append(load_toml(config))
    shortcuts = {"text.on_bad": on_bad, "machine.workers": workers, "machine.executor": executor}
    layers.append(flag_layer(flags, {"text.paths": paths or None, **shortcuts}))
    text = check_layers(layers, minutes).text
    from chainrule.data import absolute_texts, look_at_text

    layers.append(Layer(layers[-1].source, {"text": absolute_texts(text)}))
    if check:
        return _seen(look_at_text(resolve(layers).config.text), as_json=as_json)
    return _prepare(layers, minutes, as_json=as_json)


def _seen(seen: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        print_json(seen)
        return 0
    rows = [(kind, f"{row['files']:,}", bytes_text(row["bytes"])) for kind, row in seen["kinds"].items()]
    print_table("", ("kind", "files", "size"), rows)
    for reason, count in seen["skipped_by"].items():
        say(f"passed over: {count:,} × {reason}")
    for line in (*seen["left_out"], *seen["found"]):
        say(line)
    say(f"{seen['looked_at']:,} of {seen['files']:,} files were opened, {bytes_text(seen['head_bytes'])} of each")
    return 0


def _prepare(layers: list[Layer], minutes: float | None, *, as_json: bool) -> int:
    from chainrule.train import prepare_text

    with make_watch(json_mode=as_json) as watch:
        made = prepare_text(layers, minutes=minutes, watch=watch)
    if as_json:
        print_json(made.row())
        return 0
    _report(made.data)
    say(f"prepared: {made.folder}")
    return 0


def _example(removal: Removal) -> str:
    """The first document of it, at the length of a line."""
    if not removal.examples:
        return ""
    first = removal.examples[0]
    return f"{Path(first.file).name}: {first.found}"


def _report(report: DataReport) -> None:
    columns = ("source", "documents", "size", "tokens")
    rows = [
        (name, f"{one.documents:,}", bytes_text(one.bytes), count_text(one.tokens))
        for name, one in report.sources.items()
    ]
    print_table("", columns, rows)
    if report.removals:
        removed = [(rule, f"{one.documents:,}", _example(one)) for rule, one in report.removals.items()]
        print_table("", ("removed by", "documents", "such as"), removed)
    if report.masked:
        say(f"masked: {report.masked:,} addresses of e-mail and machines")
    for line in report.warnings:
        say(line)
