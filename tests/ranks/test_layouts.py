"""Layouts are only ways to compute the same: several processes come to the losses of one."""

import json

import pytest
from several import alone, settings, together

from chainrule.data import run_dataset
from chainrule.plan import parse_layout
from chainrule.train import training_batches

LAYOUTS = ("dp=4", "fsdp=4", "hsdp=2x2", "tp=2,dp=2", "fsdp=2,tp=2")
KINDS = {
    "adamw": {"optimizer": {"kind": "adamw", "lr": 1e-2}},
    "muon": {"optimizer": {"kind": "muon", "lr": 1e-2, "muon_lr": 2e-2, "weight_decay": 0.1}},
}
STEPS = 6
CLOSE = 2e-6


@pytest.fixture(scope="module")
def found(run, tmp_path_factory):
    """Of one process and of four, by layout and optimizer."""
    trials = [{"parallel": layout, "steps": STEPS, **KINDS[kind]} for kind in KINDS for layout in LAYOUTS]
    folder = tmp_path_factory.mktemp("four")
    names = [(layout, kind) for kind in KINDS for layout in LAYOUTS]
    seen = dict(zip(names, together(folder, run, 4, trials), strict=True))
    return folder, seen, {kind: alone(run, {"parallel": "", "steps": STEPS, **KINDS[kind]}) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_losses_and_norms_are_those_of_one_process(found, layout, kind):
    _, seen, one = found
    assert seen[layout, kind]["losses"] == pytest.approx(one[kind]["losses"], rel=0, abs=CLOSE)
    assert seen[layout, kind]["norms"] == pytest.approx(one[kind]["norms"], rel=1e-5)
    assert seen[layout, kind]["squares"] == pytest.approx(one[kind]["squares"], rel=1e-6)
    assert one[kind]["losses"][-1] < one[kind]["losses"][0] - 0.1


def test_all_read_the_same_samples_in_the_same_order_as_one(run, found):
    """The ids that each update saw, put together by rank: rows of a tensor-parallel group are read by both."""
    folder, seen, _ = found
    read = [
        [json.loads(line) for line in (folder / f"read-{rank}.jsonl").read_text().splitlines()] for rank in range(4)
    ]
    batches = training_batches(settings(run, {"parallel": ""}), run_dataset(run), None)
    per_trial = STEPS
    for number, (layout, _) in enumerate(seen):
        tp = parse_layout(layout).tp
        for step in range(per_trial):
            rows = [read[rank][number * per_trial + step] for rank in range(4)]
            assert all(rows[rank] == rows[rank - rank % tp] for rank in range(4))
            ids = [row for rank in range(0, 4, tp) for row in rows[rank]["ids"]]
            assert ids == batches.windows(step * 8, 8).ids.tolist()
