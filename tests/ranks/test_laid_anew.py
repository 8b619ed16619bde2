"""A checkpoint belongs to no layout: what some processes saved, others go on with, and one alone does."""

import pytest
from several import alone, together

CLOSE = 2e-6
KIND = {"optimizer": {"kind": "muon", "lr": 1e-2, "muon_lr": 2e-2}}
# The same pieces of longer windows and the same micro-batches whatever the layout.
FIRST, MORE = 3, 3


@pytest.fixture(scope="module")
def saved(run, tmp_path_factory):
    """Six updates by two processes that share weights; the first three of them alone, saved."""
    folder = tmp_path_factory.mktemp("two")
    place = folder / "checkpoints"
    trials = [
        {"parallel": "fsdp=2", "steps": FIRST + MORE, **KIND},
        {"parallel": "fsdp=2", "steps": FIRST, "save": str(place), **KIND},
        {"parallel": "fsdp=2", "first": FIRST, "steps": MORE, "load": str(place / "step-00000003"), **KIND},
        {"parallel": "tp=2", "first": FIRST, "steps": MORE, "load": str(place / "step-00000003"), **KIND},
        {"parallel": "dp=2", "first": FIRST, "steps": MORE, "load": str(place / "step-00000003"), **KIND},
    ]
    return place / "step-00000003", together(folder, run, 2, trials)


def test_the_same_layout_goes_on_with_the_same_bits(saved):
    _, (whole, _, again, *_) = saved
    assert again["losses"] == whole["losses"][FIRST:]
    assert again["squares"] == whole["squares"]


def test_other_layouts_and_one_process_go_on_with_the_same_losses(saved, run):
    place, (whole, _, _, matrices, copies) = saved
    one = alone(run, {"parallel": "", "first": FIRST, "steps": MORE, "load": str(place), **KIND})
    for other in (one, matrices, copies):
        assert other["losses"] == pytest.approx(whole["losses"][FIRST:], rel=0, abs=CLOSE)


def test_four_processes_go_on_with_what_two_saved(saved, run, tmp_path):
    place, (whole, *_) = saved
    trials = [
        {"parallel": layout, "first": FIRST, "steps": MORE, "load": str(place), **KIND}
        for layout in ("fsdp=4", "fsdp=2,tp=2")
    ]
    for found in together(tmp_path, run, 4, trials):
        assert found["losses"] == pytest.approx(whole["losses"][FIRST:], rel=0, abs=CLOSE)
