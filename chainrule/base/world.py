"""Which of many processes this one is, by the variables that torchrun and its like set."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from chainrule.base.errors import ConfigError

# What torch's env:// reads as well; a process that has none of them is alone.
RANK, SIZE, LOCAL_RANK, LOCAL_SIZE = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"
NEEDED = (RANK, SIZE, "MASTER_ADDR", "MASTER_PORT")
RESTARTS = "TORCHELASTIC_RESTART_COUNT"


@dataclass(frozen=True)
class World:
    """A process among `size`: its number among all and among those of its machine; how often all were begun again."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    restarts: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process decides, looks and writes; the others compute what it asks for."""
        return self.rank == 0

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """As the variables say it; raises ConfigError where some of them are missing or no sensible numbers."""
        if not environment.get(SIZE) and not environment.get(RANK):
            return cls()
        if missing := [name for name in NEEDED if not environment.get(name)]:
            raise ConfigError(
                f"{', '.join(missing)} not set, and {RANK} or {SIZE} is: these say which of many processes this is. "
                f"Start all of them with torchrun, or alone with: env -u {RANK} -u {SIZE} chainrule …"
            )
        rank, size = _number(environment, RANK), _number(environment, SIZE)
        # A launcher that says nothing of machines has one process on each, or all on one: then threads are its matter.
        local_rank, local_size = (
            _number(environment, name, given) for name, given in ((LOCAL_RANK, 0), (LOCAL_SIZE, 1))
        )
        if not (rank < size and local_rank < local_size <= size):
            raise ConfigError(
                f"{RANK}={rank} of {SIZE}={size}, {LOCAL_RANK}={local_rank} of {LOCAL_SIZE}={local_size} are no "
                "numbers of a process: ranks count from 0, and a machine has at most all; start with torchrun"
            )
        return cls(rank, size, local_rank, local_size, _number(environment, RESTARTS, 0))


def _number(environment: Mapping[str, str], name: str, missing: int = 0) -> int:
    word = environment.get(name) or str(missing)
    if not word.isdecimal():
        raise ConfigError(f"{name}={word!r} is no whole number from 0 on; torchrun sets it, or unset it")
    return int(word)
