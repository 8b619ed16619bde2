"""The runs that are missing to tell a difference from noise: the same settings with other seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.base import ConfigError, RunError, require_room
from chainrule.compare.groups import Group, Member, member, same_but_seed
from chainrule.config import Config, Layer, load_toml
from chainrule.plan import checkpoint_bytes, checkpoints_to_come
from chainrule.run import RunFolder, Summary, check_free, is_running, list_runs, sealed_path, steps_of
from chainrule.train import Watch, pretrain, silent

MOST_SEEDS = 50


@dataclass(frozen=True)
class Missing:
    """A run to be trained: which seed of whom, how long that one took, and where; `begun` when it is there in part."""

    group: Group
    seed: int
    run: RunFolder
    begun: bool

    @property
    def seconds(self) -> float:
        """About how long it will take: as long as the named run."""
        return self.group.own.summary.total_seconds or self.group.own.seconds

    @property
    def config(self) -> Config:
        """The named run's, with the steps that it took."""
        own = self.group.own
        training = own.config.training.model_copy(update={"steps": own.summary.step or own.config.training.steps})
        return own.config.model_copy(update={"training": training})


def missing_seeds(groups: Sequence[Group], n_seeds: int) -> list[Missing]:
    """What has to be trained so that all groups have the same `n_seeds` seeds, those that are there first.

    Raises ConfigError for a number that is none, RunError for a run that cannot be trained again.
    """
    if not 1 <= n_seeds <= MOST_SEEDS:
        raise ConfigError(f"--seeds {n_seeds}: give how many seeds each run shall have, from 2 to {MOST_SEEDS}")
    for group in groups:
        _check(group)
    have = [set(group.finals()) for group in groups]
    counted = sorted(set().union(*have), key=lambda seed: (-sum(seed in one for one in have), seed))
    fresh = (seed for seed in range(n_seeds + len(counted)) if seed not in counted)
    wanted = [*counted, *fresh][:n_seeds]
    missing = [(group, seed) for seed in wanted for group, seeds in zip(groups, have, strict=True) if seed not in seeds]
    return [Missing(group, seed, *_place(group.own, seed)) for group, seed in missing]


def require_seeds_room(missing: Sequence[Missing]) -> None:
    """Raises DiskError unless the runs' disk has room for what stays of them, and for the next save meanwhile."""
    needed = largest = 0
    for one in missing:
        size = checkpoint_bytes(one.config)
        to_come = checkpoints_to_come(one.config.training, steps_of(one.run.checkpoints))
        # The last of them is there only while a run saves.
        needed, largest = needed + max(1, to_come - 1) * size, max(largest, size)
    if missing:
        require_room(
            missing[0].run.path,
            needed + largest,
            f"the checkpoints of {len(missing)} runs",
            "Free some, or ask for fewer --seeds; `chainrule runs prune` removes what old runs need no more",
        )


def train_seed(missing: Missing, watch: Watch = silent) -> Summary:
    """Trains it, or goes on with it; a signal saves and returns a summary with status "interrupted"."""
    if missing.begun:
        return pretrain([], missing.run.path, resume=True, watch=watch)
    return pretrain(_layers(missing.group.own, missing.seed), missing.run.path, watch=watch)


def _layers(own: Member, seed: int) -> list[Layer]:
    """The run's settings with the steps that it took, and the seed."""
    changed = {"seed": seed, "steps": own.summary.step or own.config.training.steps}
    return [
        load_toml(sealed_path(own.run, own.run.config)),
        Layer(f"{own.run.name} with another seed", {"training": changed}),
    ]


def _place(own: Member, seed: int) -> tuple[RunFolder, bool]:
    """NAME-seed-SEED beside the run, or another number after it where that name is another's; and whether it is there.

    One that was interrupted is found by its settings.
    """
    parent, word = own.run.path.parent, f"{own.run.name}-seed-{seed}"
    for run in _called(parent, word):
        found = member(run)
        if found.seed == seed and not found.is_finished and same_but_seed(own, found):
            if is_running(run):
                raise RunError(f"{run.path} is being trained at the moment; wait for it, then compare again")
            return run, True
    names = (word, *(f"{word}-{number}" for number in range(2, 1000)))
    return RunFolder(next(parent / name for name in names if _is_free(parent / name))), False


def _is_free(path: Path) -> bool:
    """Whether a run may begin there: nothing is, or a start that a kill ended before its first step."""
    try:
        check_free(path)
    except RunError:
        return False
    return True


def _called(parent: Path, word: str) -> Iterator[RunFolder]:
    return (run for run in list_runs(parent) if run.name == word or run.name.startswith(f"{word}-"))


def _check(group: Group) -> None:
    if group.own.run.tuning.is_file():
        raise RunError(f"{group.name} is a fine-tuning, and other seeds are trained of pretraining alone")
    if not group.is_finished:
        raise RunError(
            f"{group.name} has not finished ({group.own.status}), so that it is not known what other seeds are to be "
            f"trained to; go on with it: chainrule pretrain --resume {group.own.run.path}"
        )
