"""One of several processes that make the updates of trials together (see several.py): rank.py PLAN.json."""

import json
import sys
from pathlib import Path

import several

from chainrule.base import World
from chainrule.data import Batches
from chainrule.ranks import follow, leading
from chainrule.run import RunFolder


def noting(log: Path) -> None:
    """Lets each call of Batches.windows be written down, and does it."""
    own = Batches.windows

    def windows(self, first_sample: int, count: int, n_pieces: int = 1):
        found = own(self, first_sample, count, n_pieces)
        with log.open("a") as file:
            file.write(json.dumps({"first": first_sample, "ids": found.ids.tolist()}) + "\n")
        return found

    Batches.windows = windows


if __name__ == "__main__":
    path, world = Path(sys.argv[1]), World.of()
    plan = json.loads(path.read_text())
    noting(path.with_name(f"read-{world.rank}.jsonl"))
    if not world.leads:
        follow(world)
        sys.exit(0)
    with leading(world) as team:
        found = [several.led(team, RunFolder(Path(plan["run"])), trial) for trial in plan["trials"]]
    path.with_name("found.json").write_text(json.dumps(found))
