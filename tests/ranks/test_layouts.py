"""Layouts are only ways to compute the same: several processes come to the losses of one, and go on with each other's.

All trials of two processes are one start of them, and all of four another: loading torch takes most of the time.
"""

import json

import pytest
from several import alone, settings, together

from chainrule.data import run_dataset
from chainrule.plan import parse_layout
from chainrule.train import training_batches

# One worker starts the processes; beside other tests they may take minutes.
pytestmark = [pytest.mark.xdist_group("ranks"), pytest.mark.timeout(600)]
# Muon moves matrices and AdamW the rest with it; the layouts of two are tried with AdamW alone besides.
LAYOUTS = ("dp=4", "fsdp=4", "hsdp=2x2", "tp=2,dp=2", "fsdp=2,tp=2", "fsdp=2,pp=2")
OF_TWO = ("dp=2", "fsdp=2", "tp=2", "pp=2")
KINDS = {
    "adamw": {"optimizer": {"kind": "adamw", "lr": 1e-2}},
    "muon": {"optimizer": {"kind": "muon", "lr": 1e-2, "muon_lr": 2e-2, "weight_decay": 0.1}},
}
STEPS, FIRST = 6, 3
CLOSE = 2e-6
# A checkpoint after FIRST steps, and who goes on with it to STEPS.
SAVED = {**KINDS["muon"], "parallel": "fsdp=2", "steps": FIRST}
ON = {**KINDS["muon"], "first": FIRST, "steps": STEPS - FIRST}
# What else changes the way through a model: GPT-2's parts, computed anew, with dropout left out.
GPT2 = {
    **{"norm": "layernorm", "activation": "gelu", "position": "learned", "qk_norm": False, "n_kv_heads": 4},
    **{"bias": True, "qkv_bias": True, "tied_embeddings": False},
}
OLD = {**KINDS["adamw"], "model": GPT2, "steps": STEPS, "machine": {"activation_checkpointing": True}, "pieces": 2}
HALF = {**KINDS["muon"], "steps": STEPS, "machine": {"precision": "bfloat16"}}


@pytest.fixture(scope="module")
def two(run, tmp_path_factory):
    """What two processes saw, by name, and the checkpoint that they saved."""
    folder = tmp_path_factory.mktemp("two")
    place = folder / "checkpoints" / f"step-{FIRST:08d}"
    trials = {
        "whole": {**SAVED, "steps": STEPS},
        "saved": {**SAVED, "save": str(place.parent)},
        "again": {**ON, "parallel": "fsdp=2", "load": str(place)},
        "matrices": {**ON, "parallel": "tp=2", "load": str(place)},
        "copies": {**ON, "parallel": "dp=2", "load": str(place)},
        "stages": {**ON, "parallel": "pp=2", "load": str(place)},
        "old": {**OLD, "parallel": "tp=2"},
        "old, stages": {**OLD, "parallel": "pp=2"},
        "old, shared": {**OLD, "parallel": "fsdp=2"},
        **{f"half {layout}": {**HALF, "parallel": layout} for layout in ("fsdp=2", "tp=2")},
        **{layout: {**KINDS["adamw"], "steps": STEPS, "parallel": layout} for layout in OF_TWO},
    }
    return place, dict(zip(trials, together(folder, run, 2, list(trials.values())), strict=True))


@pytest.fixture(scope="module")
def four(run, two, tmp_path_factory):
    """What four processes saw, by layout and the step they began at, and where it is written what each read."""
    trials = {(layout, 0): {**KINDS["muon"], "parallel": layout, "steps": STEPS} for layout in LAYOUTS}
    trials |= {(layout, FIRST): {**ON, "parallel": layout, "load": str(two[0])} for layout in ("fsdp=4", "fsdp=2,tp=2")}
    folder = tmp_path_factory.mktemp("four")
    return folder, dict(zip(trials, together(folder, run, 4, list(trials.values())), strict=True))


@pytest.fixture(scope="module")
def one(run):
    """The same by one process."""
    return {kind: alone(run, {"parallel": "", "steps": STEPS, **KINDS[kind]}) for kind in KINDS}


@pytest.mark.parametrize("layout", OF_TWO)
def test_losses_and_norms_of_two_are_those_of_one_process(two, one, layout):
    held_against(two[1][layout], one["adamw"])


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_losses_and_norms_of_four_are_those_of_one_process(four, one, layout):
    held_against(four[1][layout, 0], one["muon"])


def held_against(seen, wanted):
    assert seen["losses"] == pytest.approx(wanted["losses"], rel=0, abs=CLOSE)
    assert seen["norms"] == pytest.approx(wanted["norms"], rel=1e-5)
    assert seen["squares"] == pytest.approx(wanted["squares"], rel=1e-6)
    assert wanted["losses"][-1] < wanted["losses"][0] - 0.1


def test_parts_of_gpt2_computed_anew_on_short_windows_come_to_the_same(run, two):
    wanted = alone(run, {**OLD, "parallel": ""})
    for name in ("old", "old, stages", "old, shared"):
        assert two[1][name]["losses"] == pytest.approx(wanted["losses"], rel=0, abs=CLOSE)


def test_products_in_bfloat16_come_to_nearly_the_same(run, two):
    wanted = alone(run, {**HALF, "parallel": ""})
    for name in ("half fsdp=2", "half tp=2"):
        assert two[1][name]["losses"] == pytest.approx(wanted["losses"], rel=0, abs=5e-3)


def test_two_read_the_same_samples_in_the_same_order_as_one(run, two):
    """The ids that each update saw, put together by rank; those that share matrices or stages read the same."""
    place, seen = two
    words = [("fsdp=2", 0, STEPS), ("fsdp=2", 0, FIRST), ("fsdp=2", FIRST, STEPS), ("tp=2", FIRST, STEPS)]
    words += [("dp=2", FIRST, STEPS), ("pp=2", FIRST, STEPS)]
    assert list(seen)[: len(words)] == ["whole", "saved", "again", "matrices", "copies", "stages"]
    read_as_one(run, place.parents[1], 2, words)


@pytest.mark.slow
def test_four_read_the_same_samples_in_the_same_order_as_one(run, four):
    folder, seen = four
    read_as_one(run, folder, 4, [(words, begin, STEPS) for words, begin in seen])


def read_as_one(run, folder, n, trials):
    read = [[json.loads(row) for row in (folder / f"read-{rank}.jsonl").read_text().splitlines()] for rank in range(n)]
    batches = training_batches(settings(run, {"parallel": ""}), run_dataset(run), None)
    place = 0
    for words, begin, end in trials:
        layout = parse_layout(words)
        for step in range(begin, end):
            ids = [read[rank][place]["ids"] for rank in range(n)]
            readers = ids[: n // layout.pp : layout.tp]
            assert ids == [one for one in readers for _ in range(layout.tp)] * layout.pp
            assert [row for one in readers for row in one] == batches.windows(step * 8, 8).ids.tolist()
            place += 1


def test_the_same_layout_goes_on_with_a_checkpoint_to_the_same_bits(two):
    _, seen = two
    assert seen["again"]["losses"] == seen["whole"]["losses"][FIRST:]
    assert seen["again"]["squares"] == seen["whole"]["squares"]


def test_other_layouts_and_one_process_go_on_with_it_to_the_same_losses(run, two):
    place, seen = two
    one = alone(run, {**ON, "parallel": "", "load": str(place)})
    for other in (one, seen["matrices"], seen["copies"], seen["stages"]):
        assert other["losses"] == pytest.approx(seen["whole"]["losses"][FIRST:], rel=0, abs=CLOSE)


@pytest.mark.slow
def test_four_go_on_with_what_two_saved(two, four):
    for layout in ("fsdp=4", "fsdp=2,tp=2"):
        assert four[1][layout, FIRST]["losses"] == pytest.approx(two[1]["whole"]["losses"][FIRST:], rel=0, abs=CLOSE)
