"""A run proves itself; whatever is flipped in it is named."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chainrule.checkpoint import load_checkpoint, save_checkpoint, step_folder
from chainrule.config import Layer
from chainrule.run import RunFolder, append_row, read_rows
from chainrule.train import pretrain
from chainrule.verify import verify_run

SETTINGS = {
    "model": {"vocab_size": 257, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 1, "drop_rate": 0.1},
    "vocabulary": {"kind": "bytes"},
    "text": {"near_duplicates": "keep"},
    "training": {"batch_tokens": 64, "eval_tokens": 64, "sample_tokens": 4, "prompts": ["the "]},
    "machine": {"device": "cpu", "precision": "float32", "threads": 1},
}
STEPS = {"steps": 8, "save_every": 4, "eval_every": 4, "sample_every": 8, "log_every": 1, "keep_last": 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    chance = random.Random(0)
    for number in range(30):
        words = " ".join(chance.choice(("sea", "old", "man", "storm", "home", "before")) for _ in range(60))
        (folder / f"{number:02}.txt").write_text(words + "\n")
    layers = [Layer("tiny", SETTINGS), Layer("text", {"text": {"paths": [str(folder)]}, "training": STEPS})]
    pretrain(layers, folder / "run")
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(trained, tmp_path / "run")))


def of(run: RunFolder, what: str, **more):
    return next(one for one in verify_run(run, **more).checks if one.what.startswith(what))


def everything(run: RunFolder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(run.path.rglob("*")) if path.is_file()}


def test_a_sound_run_holds_and_is_left_as_it_is(run):
    before, seen = everything(run), []
    found = verify_run(run, on_step=lambda done, total: seen.append((done, total)))
    assert [one.state for one in found.checks] == ["held"] * len(found.checks), found
    assert found.verdict == "held" and everything(run) == before
    assert seen == [(done, 4) for done in (1, 2, 3, 4)]
    again = found.checks[-1]
    assert again.what == "steps made again" and again.tried > 4 + 10  # four losses and every tensor
    assert "to the last bit of all" in again.note


def test_the_list_is_one_that_sha256sum_checks(run):
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=run.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "config.toml: OK" in done.stdout and "data/manifest.json: OK" in done.stdout


def lie(run: RunFolder) -> None:
    """A journal whose rows follow each other and say another loss of step 7: not what the checkpoint noted."""
    rows = list(read_rows(run.metrics))
    run.metrics.unlink()
    for row in rows:
        lies = row["kind"] == "train" and row["step"] == 7
        append_row(run.metrics, {**row, "loss": row["loss"] + 1e-9} if lies else row)


def save_again(run: RunFolder, step: int, change) -> None:
    """A checkpoint that is well sealed and not of this training."""
    there = load_checkpoint(step_folder(run.checkpoints, step))
    tensors, state = {stem: there.tensors(stem) for stem in there.stems}, dict(there.state)
    change(tensors, state)
    copies = [there.path / one for one in there.files if one != "state.json" and not one.endswith(".safetensors")]
    place = run.path.parent / "copies"
    place.mkdir(exist_ok=True)
    kept = [Path(shutil.copy(path, place)) for path in copies]
    save_checkpoint(run.checkpoints, step, tensors, state, kept)


def test_a_loss_that_was_another_one_is_found_by_making_the_step_again(run):
    lie(run)
    assert "metrics.jsonl lacks row" in of(run, "rows", seconds=0).note
    again = of(run, "steps made again")
    assert again.state == "wrong" and again.tried - again.held == 1 and "step 7: loss" in again.note


def other_weights(tensors, state):
    tensors["model"]["token_embedding.weight"][0, 0] += 1e-6


def without(run: RunFolder, path: Path, gone: slice) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[gone]
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("gone", "told"), [(slice(2, 4), "2 rows are missing before line 3"), (slice(-1, None), "lacks")]
)
def test_rows_that_were_removed_are_missed(run, gone, told):
    for path in (run.metrics, run.health, run.samples, run.events):
        n = len(path.read_bytes().splitlines())
        if n > 4 or gone.start < 0:
            before = path.read_bytes()
            without(run, path, gone)
            rows = of(run, "rows", seconds=0)
            assert rows.state == "wrong" and path.name in rows.note and told in rows.note
            path.write_bytes(before)
    assert of(run, "rows", seconds=0).state == "held"


def test_weights_that_another_training_made_are_found_by_making_the_steps_again(run):
    save_again(run, 8, other_weights)
    assert of(run, "checkpoints", seconds=0).state == "held"
    again = of(run, "steps made again")
    assert again.state == "wrong" and "model token_embedding.weight differs" in again.note


def test_another_machine_proves_nothing_and_is_named(run):
    def change(tensors, state):
        state["environment"] = {**state["environment"], "torch": "9.9"}

    save_again(run, 4, change)
    assert of(run, "steps made again").state == "held", "equal bits are equal wherever they were made"
    save_again(run, 8, other_weights)
    again = of(run, "steps made again")
    assert again.state == "not proved" and "torch was 9.9" in again.note
    assert verify_run(run).verdict == "not proved"


def test_what_is_not_there_to_try_is_not_proved(run):
    shutil.rmtree(run.data)
    found = {one.what: one.state for one in verify_run(run).checks}
    assert found["token shards"] == found["steps made again"] == "not proved"
    assert verify_run(run, seconds=0).verdict == "not proved"


def test_a_list_of_checksums_that_was_removed_is_missed_and_one_that_never_was_is_not(run):
    run.sums.unlink()
    for change in (lambda: None, lambda: run.machine.write_text("{}"), run.machine.unlink):
        change()
        small = of(run, "small files", seconds=0)
        assert small.state == "wrong" and "SHA256SUMS, the list of checksums, is gone" in small.note
    old = RunFolder(Path(__file__).parents[1] / "run" / "run_of_november_2026")
    small = of(old, "small files", seconds=0)
    assert small.state == "not proved" and "from before there were checksums" in small.note


# Written anew whenever the run is looked at, or only while a process has the run.
DERIVED = {"report.html", "lock", "lock.json"}


def test_every_flipped_bit_is_named_or_changes_nothing_that_is_read(run):
    """Of each file some bits; a bit in the white space of a sealed file is named, too."""
    chance, silent = random.Random(1), []
    files = [path for path in run.path.rglob("*") if path.is_file() and path.name not in DERIVED]
    survey = run.data / "survey"
    for path in sorted(files):
        if survey in path.parents:
            continue  # of use to an unfinished preparation alone: tests/data/test_damaged_preparation.py
        content = path.read_bytes()
        for place in sorted(chance.sample(range(8 * len(content)), 4)):
            flipped = bytearray(content)
            flipped[place // 8] ^= 1 << place % 8
            path.write_bytes(flipped)
            if verify_run(run, seconds=0).verdict == "held":
                silent.append((path.name, place))
        path.write_bytes(content)
    # The name of a checksum in a journal, without which its row is one of an older run: not proved, not silent.
    assert not silent
    assert verify_run(run, seconds=0).verdict == "held"


def test_the_verb_tells_in_a_table_and_by_its_exit_code(run):
    def called(*words):
        command = [sys.executable, "-m", "chainrule", "verify", str(run.path), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = called("--json")
    assert done.returncode == 0 and '"verdict": "held"' in done.stdout, done.stderr
    run.machine.write_bytes(run.machine.read_bytes().replace(b"1", b"2", 1))
    done = called("--seconds", "0")
    assert done.returncode == 1 and "machine.json was edited or damaged" in done.stdout, done.stderr
