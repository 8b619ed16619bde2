"""Ours beside a peer, in one process: the same weights, windows and losses."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chainrule.base import ConfigError, UserError
from chainrule.bench.nanogpt import built, checked_folder, model_code, take_weights
from chainrule.bench.process import last_line, read_side, surroundings
from chainrule.bench.sizes import SIZES, Size, drawn_windows, same_architecture, text_ids
from chainrule.bench.steps import nanogpt_steps, our_steps, request
from chainrule.bench.training import AGREES, NANOGPT, OURS, agreement
from chainrule.config import MachineConfig
from chainrule.device import look_at_machine
from chainrule.kernels.fused import InUse
from chainrule.model import GPT

TINY = Size(2, 2, 16, 8, 4, 12, 2, (2, 4, 1), lr=3e-3)


@pytest.fixture
def told(text):
    return request(TINY, text, short=False)


def ours(told, **more):
    return our_steps({**told, "recipe": "same", "precision": "float32", **more})


def test_a_peer_with_our_weights_makes_our_losses_and_one_that_differs_does_not(told, peer):
    mine, theirs = ours(told), nanogpt_steps({**told, "peer": str(peer)})
    assert len(mine.losses) == TINY.steps and mine.losses[-1] < mine.losses[0] - 0.1
    (said,) = agreement({NANOGPT: [theirs], OURS: [mine]})
    assert said.startswith("float32 losses agree")
    code = (peer / "model.py").read_text()
    for planted in (
        code.replace("lr=learning_rate", "lr=1.05 * learning_rate"),
        code.replace("self.mlp(self.ln_2(x))", "1.02 * self.mlp(self.ln_2(x))"),
        code.replace("is_causal=True", "is_causal=False"),
    ):
        assert planted != code
        (peer / "model.py").write_text(planted)
        (said,) = agreement({NANOGPT: [nanogpt_steps({**told, "peer": str(peer)})], OURS: [mine]})
        assert said.startswith("float32 losses DO NOT AGREE")


def test_rates_are_counted_behind_the_warm_steps(told):
    found = ours(told)
    assert found.figure > 0 and found.by_cpu and found.wall_seconds > 0
    again = ours(told)
    assert again.losses == found.losses  # the same windows and weights each time


def test_our_side_computes_with_the_kernels_that_a_run_has(told):
    ours(told)
    taken = InUse.library is not None
    assert taken == look_at_machine(MachineConfig(device="cpu")).kernels.startswith("own")


def test_the_modern_recipe_trains_as_well(told):
    found = ours(told, recipe="modern")
    assert found.losses[-1] < found.losses[0] - 0.1


def test_weights_that_have_no_match_are_named(peer):
    config = same_architecture(TINY, 20).model
    model = built(peer, TINY, 20)
    take_weights(model, config, GPT(config).state_dict())
    other = same_architecture(replace(TINY, emb_dim=32), 20).model
    with pytest.raises(UserError, match=r"nanoGPT's transformer.wte.weight \(20, 16\) has no match .*\(20, 32\)"):
        take_weights(model, other, GPT(other).state_dict())
    model.more = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(UserError, match=r"nanoGPT's more .* nothing"):
        take_weights(model, config, GPT(config).state_dict())


def test_a_folder_without_nanogpt_is_refused_by_what_it_lacks(peer, tmp_path):
    assert checked_folder(peer) == peer
    (peer / "train.py").unlink()
    for folder, lacks in ((peer, "train.py"), (tmp_path / "none", "model.py")):
        with pytest.raises(ConfigError, match=f"{lacks} is not there; give a checkout"):
            checked_folder(folder)


def test_windows_follow_each_other_in_the_text_and_a_short_one_is_refused(text):
    ids, n_letters = text_ids(text)
    assert n_letters == len(set(text.read_text())) and ids.max() == n_letters - 1
    windows = drawn_windows(ids, TINY)
    assert windows.shape == (TINY.steps, TINY.batch, TINY.context_length + 1)
    whole = ids.tobytes()
    assert all(row.tobytes() in whole for row in windows[0])
    with pytest.raises(ConfigError, match="give a longer one"):
        drawn_windows(ids[:9], TINY)


def test_a_trial_has_smaller_batches_and_fewer_steps(text):
    short = request(SIZES["10.8M"], text, short=True)["size"]
    assert (short["batch"], short["steps"], short["warm"]) == SIZES["10.8M"].short
    assert request(SIZES["10.8M"], text, short=False)["size"]["batch"] == 16


def test_a_side_is_a_process_whose_last_line_is_its_reading(told, peer):
    small = {**told, "size": {**told["size"], "steps": 4}}
    found = read_side("nanogpt-steps", {**small, "peer": str(peer)}, 1, peer=True)
    assert len(found.losses) == 4 and found.figure > 0
    assert not list(peer.rglob("__pycache__"))
    with pytest.raises(UserError, match="ended with code 1 and said: RuntimeError: not today"):
        last_line([sys.executable, "-c", "raise RuntimeError('not today')"], 1)


def test_a_peer_has_none_of_our_settings_and_keeps_those_of_the_user(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")
    assert "GOMP_SPINCOUNT" not in surroundings(2, peer=True) and surroundings(2)["GOMP_SPINCOUNT"] == "10000"
    assert surroundings(2)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("GOMP_SPINCOUNT", "77")
    assert surroundings(2, peer=True)["GOMP_SPINCOUNT"] == "77"


def test_nanogpt_itself_makes_our_losses(told):
    """With NANOGPT=PATH in the environment; its GELU is exact, so that its losses are ours but for a little."""
    if "NANOGPT" not in os.environ:
        pytest.skip("no checkout of nanoGPT is named in NANOGPT")
    place = checked_folder(Path(os.environ["NANOGPT"]))
    assert model_code(place).GPT
    theirs = nanogpt_steps({**told, "peer": str(place)})
    assert max(abs(one - other) for one, other in zip(theirs.losses, ours(told).losses, strict=True)) < AGREES
