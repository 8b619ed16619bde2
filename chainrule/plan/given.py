"""Settings by a word: a preset, a run, a file."""

from pathlib import Path

from chainrule.base import ConfigError, nearest
from chainrule.config import PRESETS, Layer, load_toml, preset
from chainrule.run import RUNS, find_run, list_runs, sealed_path


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
    if not path.exists() and "/" not in source and not (RUNS / source).exists():
        known = [*PRESETS, *(str(run.path) for run in list_runs(RUNS))]
        raise ConfigError(
            f"{source!r} is no run, file or preset.{nearest(source, known)} Presets: {', '.join(PRESETS)}."
        )
    run = find_run(source)
    return [*layers, load_toml(sealed_path(run, run.config))]
