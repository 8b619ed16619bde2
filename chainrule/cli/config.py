"""`chainrule config show`: all settings, where each value came from and what it does, as a file that can be used."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from chainrule.base import ConfigError, count_text, nearest
from chainrule.cli.flags import Flags, flag_layer
from chainrule.cli.options import AsJson, find_run
from chainrule.cli.output import console, print_json
from chainrule.config import PRESETS, Layer, Resolved, load_toml, preset, resolve, section_type, to_toml
from chainrule.plan import flops_per_token, parameters

WIDTH = 116
app = App(name="config")


@app.command
def show(
    source: str | None = None,
    *,
    preset: str | None = None,
    explain: Annotated[bool, Parameter(negative="--no-explain")] = True,
    as_json: AsJson = False,
    flags: Flags = None,
) -> None:
    """Print every setting with its value, where the value came from and what it does, and the model's parameters.

    What is printed is a configuration file: `chainrule config show --preset cpu-small > my.toml`, change it, and
    `chainrule pretrain my_texts/ --config my.toml`.

    For example:

    - `chainrule config show --preset gpt2-124m`
    - `chainrule config show runs/NAME`
    - `chainrule config show --preset cpu-small --model.n-layers 12`

    Parameters
    ----------
    source
        A run folder, a configuration file, or a preset's name.
    preset
        Start from a named configuration: gpt2-124m, gpt2-355m, gpt2-774m, gpt2-1558m, cpu-tiny, cpu-small, cpu-medium,
        gpu-small.
    explain
        A sentence above each setting.
    """
    resolved = resolve([*given_layers(source, preset), flag_layer(flags)])
    count = parameters(resolved.config.model)
    if as_json:
        print_json(
            {
                "config": resolved.config.model_dump(mode="json"),
                "sources": dict(resolved.sources),
                "parameters": {**count.components(), "total": count.total},
                "flops_per_token": flops_per_token(resolved.config.model),
            }
        )
        return
    lines = [*_model_lines(resolved), "", *_explained(resolved, explain)]
    console().print("\n".join(lines), soft_wrap=True)


def given_layers(source: str | None, preset_name: str | None, file: Path | None = None) -> list[Layer]:
    """The layers that a preset, a run, a file or a word that may be any of these stand for."""
    layers = [preset(preset_name)] if preset_name is not None else []
    if file is not None:
        layers.append(load_toml(file))
    if source is None:
        return layers
    if source in PRESETS:
        if preset_name is not None:
            raise ConfigError(f"two presets were given, {preset_name} and {source}; give one")
        return [preset(source), *layers]
    path = Path(source)
    if path.is_file():
        return [*layers, load_toml(path)]
    if not path.exists() and "/" not in source and not Path("runs", source).exists():
        known = [*PRESETS, *(str(run) for run in Path("runs").glob("*"))]
        raise ConfigError(
            f"{source!r} is no run, file or preset.{nearest(source, known)} Presets: {', '.join(PRESETS)}."
        )
    return [*layers, load_toml(find_run(source).config)]


def parameter_rows(resolved: Resolved) -> list[tuple[str, int, float]]:
    """Component, count and share of the whole, the total last."""
    count = parameters(resolved.config.model)
    parts = [*count.components().items(), ("total", count.total)]
    return [(name.replace("_", "-"), value, value / count.total) for name, value in parts]


def _model_lines(resolved: Resolved) -> Iterator[str]:
    model = resolved.config.model
    for name, value, share in parameter_rows(resolved):
        note = "  (reuses the embedding)" if name == "head" and model.tied_embeddings else ""
        yield f"# {name:<13}{value:>15,} parameters {share:>7.1%}{note}"
    yield f"# {count_text(flops_per_token(model))} operations to learn from one token; exports as {model.architecture}"


def _explained(resolved: Resolved, explain: bool) -> Iterator[str]:
    section, sources = "", _sources(resolved)
    for line in to_toml(resolved.config, sources).splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            yield from _sentence(section_type(section).__doc__) if explain else ()
        elif line and explain:
            key = line.removeprefix("# ").split(" ")[0]
            yield from _sentence(section_type(section).model_fields[key].description)
        # A default stands as a comment: in a file that is made of this, the automatic choice may still decide it.
        key = line.split(" ")[0]
        yield f"# {line}" if sources.get(f"{section}.{key}") == "default" else line
    if explain:
        yield from ("", "# Not set:", *_unset(resolved))


def _unset(resolved: Resolved) -> Iterator[str]:
    for section in type(resolved.config).model_fields:
        for key, value in getattr(resolved.config, section):
            if value is None:
                yield f"# {section}.{key}"
                yield from _sentence(section_type(section).model_fields[key].description)


def _sources(resolved: Resolved) -> dict[str, str]:
    keys = [
        f"{section}.{key}"
        for section in type(resolved.config).model_fields
        for key in section_type(section).model_fields
    ]
    return dict.fromkeys(keys, "default") | dict(resolved.sources)


def _sentence(text: str | None) -> Sequence[Any]:
    return [f"# {line}" for line in textwrap.wrap(" ".join((text or "").split()), WIDTH)]
