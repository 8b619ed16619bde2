"""One of two processes of which the other than the leader goes wrong: faulty.py PLAN.json (see several.py).

At the second update its loss is no number, at the fourth its text cannot be read; with the word `weights` one of its
weights is no number after the second. The leader writes what it saw.
"""

import json
import sys
from pathlib import Path

import several

from chainrule.base import DataError, TrainingError, World
from chainrule.data import Batches
from chainrule.optim import Optimizer
from chainrule.ranks import follow, leading, worker
from chainrule.run import RunFolder
from chainrule.train import Portion


def losing_a_weight() -> None:
    step = Optimizer.step

    def stepped(self, *given):
        step(self, *given)
        steps.append(given)
        if len(steps) == 2:
            self.parameters["final_norm.weight"].detach().to_local()[0] = float("nan")

    steps: list[object] = []
    Optimizer.step = stepped


def going_wrong() -> None:
    own, loss_of = Batches.windows, worker.loss_of

    def windows(self, first_sample: int, count: int, n_pieces: int = 1):
        if first_sample >= 3 * 8:
            raise DataError("the disk with the text is gone")
        return own(self, first_sample, count, n_pieces)

    def no_number(learner, batch):
        calls.append(batch)
        return loss_of(learner, batch) * (float("nan") if len(calls) == 3 else 1.0)

    calls: list[object] = []
    Batches.windows, worker.loss_of = windows, no_number


if __name__ == "__main__":
    path, world = Path(sys.argv[1]), World.of()
    plan = json.loads(path.read_text())
    if not world.leads:
        losing_a_weight() if plan["trials"][0].get("weights") else going_wrong()
        follow(world)
    seen: list[object] = []
    with leading(world) as team:
        update = several.led_update(team, RunFolder(Path(plan["run"])), plan["trials"][0])
        try:
            for step in range(5):
                result = update(Portion(step, step * 8, 8, 1, 2, 0.8)).result
                seen.append([result.applied, list(result.ranks)])
        except TrainingError as fault:
            seen.append(str(fault))
    path.with_name("found.json").write_text(json.dumps(seen))
