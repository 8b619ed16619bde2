"""A run and those beside it that are the same but for the seed: together they tell what is noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from chainrule.base import ChainruleError, ConfigError, RunError
from chainrule.compare.curves import Axis, Line, Look, line_of, looks_of
from chainrule.config import ROUNDED_ON_RESUME, SAFE_ON_RESUME, Config, differences, load_toml, resolve
from chainrule.plan import flops_per_token
from chainrule.run import (
    RunFolder,
    Summary,
    TrainRow,
    is_running,
    last_record,
    list_runs,
    read_manifest,
    read_summary,
    sealed_path,
)

SEED = "training.seed"


@dataclass(frozen=True)
class Member:
    """One run: its seed, how it ended, and its looks at held-out text."""

    run: RunFolder
    config: Config
    summary: Summary
    looks: tuple[Look, ...]
    status: str

    @property
    def seed(self) -> int:
        """What its weights and the order of its text began from."""
        return self.config.training.seed

    @property
    def is_finished(self) -> bool:
        """Whether it came to its last step and was scored there."""
        return self.summary.status == "finished" and self.summary.val_bits_per_byte is not None

    @property
    def tokens(self) -> int:
        """Tokens learnt from."""
        return self.summary.tokens or (last_record(self.run.metrics, TrainRow) or TrainRow(0)).tokens

    @property
    def seconds(self) -> float:
        """Seconds of training."""
        return self.summary.seconds or (last_record(self.run.metrics, TrainRow) or TrainRow(0)).seconds


@dataclass(frozen=True)
class Group:
    """The run that was named, first, and its siblings; `name` is the run's."""

    name: str
    members: tuple[Member, ...]

    @property
    def own(self) -> Member:
        """The run that was named."""
        return self.members[0]

    @property
    def config(self) -> Config:
        """Its settings."""
        return self.own.config

    @property
    def is_finished(self) -> bool:
        """Whether the named run is; siblings always are."""
        return self.own.is_finished

    @cached_property
    def flops_per_token(self) -> int:
        """Operations of one token, forward and backward, with whole windows."""
        return flops_per_token(self.config.model)

    def lines(self, axis: Axis) -> dict[int, Line]:
        """The held-out curve of each seed over that axis."""
        return {one.seed: line_of(one.looks, axis, self.flops_per_token) for one in self.members}

    def finals(self) -> dict[int, float]:
        """Final bits per byte by seed."""
        known = ((one.seed, one.summary.val_bits_per_byte) for one in self.members)
        return {seed: bits for seed, bits in known if bits is not None}


def groups_of(runs: Sequence[RunFolder]) -> list[Group]:
    """Each run with its siblings out of the folder in which it lies, in the order given.

    Names are the folders', with the folder above where two are called alike. Raises RunError for fewer than two
    different runs, ConfigError for one whose settings cannot be read.
    """
    places = [run.path.resolve() for run in runs]
    if len(set(places)) < max(2, len(places)):
        raise RunError("a comparison needs two or more different runs: `chainrule compare runs/a runs/b`")
    taken = set(places)
    groups = []
    for run in runs:
        own = member(run)
        siblings = (one for one in _siblings(own) if one.run.path.resolve() not in taken)
        groups.append(Group(run.name, (own, *siblings)))
    names = [group.name for group in groups]
    return [replace(group, name=str(group.own.run.path)) if names.count(group.name) > 1 else group for group in groups]


def member(run: RunFolder) -> Member:
    """What the run's files say of it."""
    config, summary = resolve([load_toml(sealed_path(run, run.config))]).config, read_summary(run)
    status = "running" if is_running(run) else summary.status or "interrupted"
    return Member(run, config, summary, looks_of(run), status)


def same_but_seed(a: Member, b: Member) -> bool:
    """Whether they learn alike, but for luck: the same settings, but for the seed and what moves no weight."""
    changed = differences(_as_taken(a), _as_taken(b)).keys()
    return changed <= {SEED, *SAFE_ON_RESUME, *ROUNDED_ON_RESUME}


def _siblings(own: Member) -> Iterator[Member]:
    """The finished runs beside it that are the same but for the seed, on the same text; of each seed the first."""
    text, seeds = read_manifest(own.run).fingerprint, {own.seed}
    for run in list_runs(own.run.path.parent):
        if run.path.resolve() == own.run.path.resolve() or read_summary(run).status != "finished":
            continue
        try:
            other = member(run)
        except (ChainruleError, OSError):  # another's run that cannot be read
            continue
        same_text = text is None or read_manifest(run).fingerprint == text
        if other.seed not in seeds and other.is_finished and same_text and same_but_seed(own, other):
            seeds.add(other.seed)
            yield other


def _as_taken(one: Member) -> Config:
    """The settings with the steps that were taken: a run that was given a time has planned them on the way."""
    taken = one.summary.step if one.summary.status == "finished" else None
    training = one.config.training.model_copy(update={"steps": taken or one.config.training.steps})
    return one.config.model_copy(update={"training": training})


def check_comparable(groups: Sequence[Group]) -> None:
    """Raises ConfigError for a fine-tuning beside a pretraining: they are looked at in different ways."""
    tuned = [group.name for group in groups if group.own.run.tuning.is_file()]
    if tuned and len(tuned) < len(groups):
        raise ConfigError(f"{', '.join(tuned)} is a fine-tuning and the others are not; compare like with like")
