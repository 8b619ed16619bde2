"""What lies in the folder of a search: everything that going on with it needs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.base import RunError, disk_faults, write_bytes, write_json
from chainrule.config import Config, Layer, load_toml, resolve, to_toml
from chainrule.run import Record, RunFolder, append_row, read_rows
from chainrule.tune.trials import Bounds, Setting, Trial


@dataclass(frozen=True)
class TuneFolder:
    """The folder of a search: what was asked for, the settings that all trials share, their log, and their runs."""

    path: Path

    @property
    def state(self) -> Path:
        """What was asked for and what the search has settled, JSON."""
        return self.path / "tune.json"

    @property
    def base(self) -> Path:
        """The default: all settings of a run, but for what a trial changes."""
        return self.path / "base.toml"

    @property
    def log(self) -> Path:
        """Each trial that was made, JSON lines."""
        return self.path / "trials.jsonl"

    @property
    def tuned(self) -> Path:
        """What pretrain --config takes."""
        return self.path / "tuned.toml"

    @property
    def page(self) -> Path:
        """The pictures and the tables."""
        return self.path / "tune.html"

    @property
    def range_test(self) -> RunFolder:
        """The run of the range test."""
        return self.run("range-test")

    def run(self, name: str) -> RunFolder:
        """The run of a trial."""
        return RunFolder(self.path / "trials" / name)

    def trials(self) -> list[Trial]:
        """Those that are done, in their order."""
        found = (Trial.of(row) for row in read_rows(self.log))
        return [one for one in found if one is not None]

    def keep(self, trial: Trial) -> None:
        """Adds a trial that is done."""
        append_row(self.log, trial.row())

    def default_config(self) -> Config:
        """The settings of the default."""
        return resolve([load_toml(self.base)]).config


@dataclass(frozen=True)
class NoiseFigures(Record):
    """The noise scale in tokens with the ends of its interval, where they are known."""

    tokens: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class State(Record):
    """tune.json: what was asked for, and what was settled on the way; what is not known yet is None."""

    minutes: float
    target_minutes: float
    layers: tuple[Mapping[str, Any], ...] = ()
    scored_tokens: int | None = None
    """Held-out tokens that each trial is scored on; None for all."""
    steps: int | None = None
    """Of a trial with the default's batch."""
    spent_seconds: float = 0.0
    trial_seconds: float | None = None
    """What one takes, about."""
    bounds: Bounds | None = None
    noise: NoiseFigures | None = None
    noise_is_known: bool = False

    def given(self) -> list[Layer]:
        """The layers of settings that were asked for."""
        return [Layer(str(one.get("source", "")), one.get("values", {})) for one in self.layers]


def write_state(folder: TuneFolder, state: State) -> State:
    """Writes it down and gives it back."""
    write_json(folder.state, state.row())
    return state


def read_state(folder: TuneFolder) -> State:
    """What is written; raises RunError where that is no search."""
    if not folder.state.is_file():
        raise RunError(f"{folder.path} holds no search to go on with: it has no {folder.state.name}")
    with disk_faults(folder.state, "reading"):
        content = folder.state.read_bytes()
    try:
        state = State.of(json.loads(content))
    except ValueError:
        state = None
    if state is None:
        raise RunError(f"{folder.state} is damaged; begin again under another name: chainrule tune TEXT --name NAME")
    return state


def asked(layers: Sequence[Layer], minutes: float, target_minutes: float) -> State:
    """The state at the beginning."""
    plain = json.loads(json.dumps([{"source": one.source, "values": one.values} for one in layers]))
    return State(minutes, target_minutes, tuple(plain))


def default_of(config: Config) -> Setting:
    """The default as a setting."""
    return Setting(1.0, config.batch_windows * config.model.context_length)


def values_of(config: Config, setting: Setting) -> dict[str, dict[str, Any]]:
    """What a setting changes of the default's, as a layer has it; rates to four digits."""
    rates = {name: float(f"{rate * setting.rate:.4g}") for name, rate in config.optimizer.peak_rates.items()}
    return {"optimizer": rates, "training": {"batch_tokens": setting.batch_tokens}}


def write_tuned(folder: TuneFolder, setting: Setting, said: Sequence[str]) -> Path:
    """Writes the configuration that pretrain takes: the model, the optimizer and how text is read; returns its path."""
    config = folder.default_config()
    config = resolve([load_toml(folder.base), Layer("measured", values_of(config, setting))]).config
    lines = [*(f"# {line}" for line in said), *_kept_lines(config)]
    write_bytes(folder.tuned, ("\n".join(lines) + "\n").encode())
    return folder.tuned


# What was measured belongs to these; how long a run is, what it reads and where it runs is for who begins it to say.
WHOLE = ("model", "vocabulary", "optimizer", "schedule")
TRAINING = ("batch_tokens", "first_weights")


def _kept_lines(config: Config) -> Iterator[str]:
    usual = Config().text.model_dump()
    text = {key for key, value in config.text.model_dump().items() if value != usual[key] and key != "paths"}
    section = ""
    for line in to_toml(config).splitlines():
        key = line.partition(" ")[0]
        if line.startswith("["):
            section = line.strip("[]")
            if section in (*WHOLE, "training") or (section == "text" and text):
                yield from ("", line)
        elif line and (section in WHOLE or key in {"training": TRAINING, "text": text}.get(section, ())):
            yield line
