"""A run goes on from what its folder holds, also when that was edited or damaged, and on another machine."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from heard import by_word

from chainrule.base import ConfigError, RunError
from chainrule.checkpoint import newest_checkpoint
from chainrule.checkpoint.open import best_checkpoint
from chainrule.config import Layer, load_toml, resolve
from chainrule.kernels.build import COMPILERS
from chainrule.run import RunFolder, is_sealed_file, read_rows, unsealed_files, write_run_file
from chainrule.train import pretrain

SHORT = {"training": {"steps": 6, "save_every": 4, "eval_every": 4, "sample_every": 6}}


class DiedError(Exception):
    """Like a kill: nothing is tidied up."""


def bits(run: Path) -> dict[str, bytes]:
    found = newest_checkpoint(run / "checkpoints", on_reject=lambda path, reason: pytest.fail(reason))
    tensors = {**found.tensors("model"), **found.tensors("optimizer")}
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def said(run: Path) -> str:
    return "\n".join(row["message"] for row in read_rows(run / "events.jsonl"))


@pytest.fixture(scope="module")
def made_once(layers, tmp_path_factory):
    """Runs of `make`, by the step at which they died."""
    known: dict[int | None, Path] = {}

    def run(died: int | None) -> Path:
        def watch(kind, row):
            if kind == "train" and row["step"] == died:
                raise DiedError

        if died not in known:
            folder = tmp_path_factory.mktemp("made") / "run"
            try:
                pretrain(layers(**SHORT), folder, watch=by_word(watch))
            except DiedError:
                assert died
            known[died] = folder
        return known[died]

    return run


@pytest.fixture
def make(made_once, tmp_path):
    """A run that died at step 5, its checkpoint at step 4, in a folder of that name; None takes it to the end.

    Each is a copy of one that was trained once.
    """

    def run(name: str, died: int | None = 5) -> Path:
        return Path(shutil.copytree(made_once(died), tmp_path / name))

    return run


def test_an_edited_config_is_held_against_the_checkpoints_copy(make):
    run, straight = make("run"), make("straight", None)
    whole = (run / "config.toml").read_text()
    for old, new, told in (
        ("momentum = 0.8", "momentum = 0.9", r"optimizer\.momentum from 0\.8 to 0\.9"),
        ("seed = 0", "seed = 1", r"training\.seed from 0 to 1"),
    ):
        assert old in whole
        (run / "config.toml").write_text(whole.replace(old, new))
        with pytest.raises(ConfigError, match=told) as caught:
            pretrain([], run, resume=True)
    copy = Path(str(caught.value).rpartition("cp ")[2].split()[0])
    shutil.copy(copy, run / "config.toml")
    pretrain([], run, resume=True)
    assert bits(run) == bits(straight)


@pytest.mark.parametrize("content", [b"\xff\x00", b"[1]", b'{"plan": 3, "tokenizer": "x", "before": [1]}', None])
def test_a_damaged_machine_json_of_a_run_without_checksums_is_worked_out_again(make, content):
    run, straight = make("run"), make("straight", None)
    (run / "summary.json").write_bytes(content or b"{")
    (run / "SHA256SUMS").unlink()  # as a run from before there were any
    (run / "machine.json").unlink() if content is None else (run / "machine.json").write_bytes(content)
    pretrain([], run, resume=True)
    assert bits(run) == bits(straight)
    record = json.loads((run / "machine.json").read_text())
    assert record["plan"]["steps"] == 6 and record["tokenizer"]["vocab_size"] == 257
    assert "machine.json was missing or damaged" in said(run)


def test_damaged_lines_of_the_journals_are_counted_and_said(make):
    run, straight = make("run"), make("straight", None)
    for name, places in (
        ("metrics.jsonl", (1, 2)),
        ("health.jsonl", (1,)),
        ("samples.jsonl", (0,)),
        ("events.jsonl", (0,)),
    ):
        lines = (run / name).read_bytes().splitlines(keepends=True)
        for place in places:
            lines[place] = lines[place].replace(b'"', b"'", 1)
        (run / name).write_bytes(b"".join(lines) + b'{"torn')  # half a line is what any kill may leave
    heard = []
    pretrain([], run, resume=True, watch=by_word(lambda kind, row: heard.append(row.get("message", ""))))
    (told,) = [message for message in heard if message.startswith("not as they were written: ")]
    for part in ("lines 2, 3 of metrics", "line 2 of health", "line 1 of samples"):
        assert f"{part}.jsonl {'are' if 'lines' in part else 'is'} damaged" in told
    assert "of events.jsonl" in told
    assert told in said(run) and bits(run) == bits(straight)


def test_a_list_of_checksums_that_was_removed_and_rows_that_were_cut_off_are_said(make):
    run, straight = make("run"), make("straight", None)
    (run / "SHA256SUMS").unlink()
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run / "metrics.jsonl").write_bytes(b"".join([lines[0], *lines[2:]]))
    (run / "health.jsonl").write_bytes(b"")
    pretrain([], run, resume=True)
    told = said(run)
    assert "SHA256SUMS was gone: the run's small files are taken as they stand, and sealed again" in told
    assert "a row is missing before line 2 of metrics.jsonl" in told and "health.jsonl lacks row" in told
    assert bits(run) == bits(straight)


def test_sound_journals_give_no_word_of_damage(make):
    run = make("run")
    pretrain([], run, resume=True)
    assert "damaged" not in said(run) and "as they were written" not in said(run) and "gone" not in said(run)


def test_a_flipped_digit_in_the_journal_chooses_no_other_model(make):
    run = make("run", None)
    best = best_checkpoint(RunFolder(run)).step
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        if row["kind"] == "eval":
            row["val_loss"] = 9.0 if row["step"] == best else 0.1
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert best_checkpoint(RunFolder(run)).step == best


@pytest.mark.parametrize("log_every", [3, 5])
def test_a_row_of_figures_over_several_steps_is_the_same_when_a_save_lies_between_them(layers, tmp_path, log_every):
    over = {"steps": 11, "save_every": 4, "eval_every": 11, "sample_every": 11, "log_every": log_every}

    def die(kind, row):
        if kind == "saved" and row["step"] == 8:
            raise DiedError

    pretrain(layers(training=over), tmp_path / "straight")
    with pytest.raises(DiedError):
        pretrain(layers(training=over), tmp_path / "run", watch=by_word(die))
    pretrain([], tmp_path / "run", resume=True)
    ours, theirs = (
        [(row["step"], row["loss"], row["grad_norm"]) for row in read_rows(tmp_path / name / "metrics.jsonl", "train")]
        for name in ("run", "straight")
    )
    assert ours == theirs and [step for step, *_ in ours] == [1, *range(log_every, 11, log_every), 11]


def test_a_start_without_a_step_whose_record_is_damaged_says_how_to_begin_again(make, layers, tmp_path):
    def die(kind, row):
        if kind == "data":
            raise DiedError

    with pytest.raises(DiedError):
        pretrain(layers(**SHORT), tmp_path / "run", watch=by_word(die))
    (tmp_path / "run" / "machine.json").write_text("{")
    with pytest.raises(RunError, match="the name is free"):
        pretrain([], tmp_path / "run", resume=True)
    assert pretrain(layers(**SHORT), tmp_path / "run").status == "finished"


def test_another_machine_goes_on_and_says_which_bits_may_differ(make):
    run, straight = make("run"), make("straight", None)
    changes = [Layer("flag", {"machine": {"micro_batch": 1, "activation_checkpointing": True}})]
    assert pretrain(changes, run, resume=True).status == "finished"
    told = said(run)
    assert (
        "its bits may differ: machine.micro_batch was 4, is 1; machine.activation_checkpointing was False, is True"
        in told
    )
    assert resolve([load_toml(run / "config.toml")]).config.machine.micro_batch == 1
    one, other = bits(run), bits(straight)
    for name, content in one.items():
        a, b = (torch.frombuffer(bytearray(x), dtype=torch.float32) for x in (content, other[name]))
        assert torch.allclose(a, b, atol=1e-1)


@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="no C++ compiler is here")
def test_a_machine_without_a_compiler_goes_on_with_torchs_kernels_and_says_so(make, monkeypatch):
    run = make("run")
    monkeypatch.setenv("CXX", "/no/such/compiler")
    assert pretrain([], run, resume=True).status == "finished"
    assert re.search(r"its bits may differ: kernels was own \(.+\), is torch", said(run))


def rates(run: Path) -> dict[int, float]:
    return {row["step"]: row["lr"] for row in read_rows(run / "metrics.jsonl") if row["kind"] == "train"}


def test_a_finished_run_that_is_given_more_steps_begins_its_schedule_again(make, tmp_path):
    run = make("run", None)
    more = [Layer("flag", {"training": {"steps": 12}})]
    summary = pretrain(more, run, resume=True)
    assert (summary.status, summary.step) == ("finished", 12)
    assert "12 steps instead of 6: the schedule begins again at step 6" in said(run)
    found = rates(run)
    assert sorted(found) == list(range(1, 13))
    for step in range(1, 7):  # the same shape over as many steps
        assert found[step + 6] == found[step]
    assert pretrain([], run, resume=True).step == 12


def test_a_killed_longer_run_goes_on_to_the_same_bits(make, tmp_path):
    more = [Layer("flag", {"training": {"steps": 12}})]
    straight, run = make("straight", None), make("run", None)
    pretrain(more, straight, resume=True)

    for layers, step in ((more, 7), ([], 11)):

        def die(kind, row, step=step):
            if kind == "train" and row["step"] == step:
                raise DiedError

        with pytest.raises(DiedError):
            pretrain(layers, run, resume=True, watch=by_word(die))
        assert json.loads((run / "summary.json").read_text())["status"] == "interrupted"
    pretrain([], run, resume=True)
    assert bits(run) == bits(straight) and rates(run) == rates(straight)


def test_a_stable_rate_just_goes_on_when_there_are_other_steps(layers, tmp_path):
    def die(kind, row):
        if kind == "train" and row["step"] == 5:
            raise DiedError

    schedule = {"kind": "wsd", "warmup_share": 0.0, "decay_share": 0.2, "floor": 0.0}
    straight, run = tmp_path / "straight", tmp_path / "run"
    longer = {"steps": 20, "save_every": 4, "eval_every": 20, "sample_every": 20}
    pretrain(layers(training=longer, schedule=schedule), straight)
    with pytest.raises(DiedError):
        pretrain(layers(training={**longer, "steps": 10}, schedule=schedule), run, watch=by_word(die))
    pretrain([Layer("flag", {"training": {"steps": 20}})], run, resume=True)
    assert rates(run) == rates(straight) and bits(run) == bits(straight)


def test_steps_that_are_done_already_are_refused(make):
    with pytest.raises(ConfigError, match="the run is at step 6"):
        pretrain([Layer("flag", {"training": {"steps": 5}})], make("run", None), resume=True)


def test_more_minutes_are_more_steps(make):
    run = make("run", None)
    summary = pretrain([], run, minutes=0.01, resume=True)
    assert summary.status == "finished" and summary.step == summary.steps > 6


def flipped(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) >= 1
    path.write_bytes(content.replace(old, new, 1))


def test_a_record_that_was_edited_is_put_back_as_the_newest_checkpoint_keeps_it(make):
    run, straight = make("run"), make("straight", None)
    before = (run / "machine.json").read_bytes()
    flipped(run / "machine.json", b'"threads": 1', b'"threads": 3')
    flipped(run / "data" / "manifest.json", b'"documents": 40', b'"documents": 41')
    flipped(run / "tokenizer.json", b"BPE", b"BPF")
    pretrain([], run, resume=True)
    for name in ("machine.json", "manifest.json", "tokenizer.json"):
        assert f"{name} was edited or damaged: it is put back as step-00000004 keeps it" in said(run)
    assert json.loads(before)["machine"] == json.loads((run / "machine.json").read_bytes())["machine"]
    assert bits(run) == bits(straight) and not unsealed_files(RunFolder(run))


def test_a_person_who_edits_the_settings_is_told_which_flags_do_it(make):
    run = make("run", None)
    flipped(run / "config.toml", b"\nsteps = 6", b"\nsteps = 9")
    with pytest.raises(ConfigError, match=r"training\.steps from 6 to 9") as caught:
        pretrain([], run, resume=True)
    assert f"`chainrule pretrain --resume {run} --training.steps 9`" in str(caught.value)
    shutil.copy(run / "checkpoints" / "step-00000006" / "config.toml", run / "config.toml")
    assert pretrain([Layer("flag", {"training": {"steps": 9}})], run, resume=True).step == 9


def test_settings_put_back_by_hand_from_an_older_checkpoint_are_taken(make):
    run = make("run")
    with pytest.raises(DiedError):
        pretrain([Layer("flag", {"training": {"log_every": 2}})], run, resume=True, watch=by_word(die_at_once))
    (run / "config.toml").write_bytes(b"\0")
    with pytest.raises(ConfigError, match="it changes no value"):
        pretrain([], run, resume=True)
    shutil.copy(run / "checkpoints" / "step-00000004" / "config.toml", run / "config.toml")
    assert pretrain([], run, resume=True).status == "finished"


def die_at_once(kind, row):
    if "resumed at step" in row.get("message", ""):
        raise DiedError


def test_a_damaged_list_of_checksums_is_said_and_made_again(make):
    run, straight = make("run"), make("straight", None)
    flipped(run / "SHA256SUMS", b"config.toml", b"config.tomm")
    assert "SHA256SUMS" in unsealed_files(RunFolder(run))[0]
    pretrain([], run, resume=True)
    assert "SHA256SUMS was damaged" in said(run) and not unsealed_files(RunFolder(run))
    assert bits(run) == bits(straight)


def test_a_kill_at_any_write_of_a_sealed_file_leaves_one_that_fits(tmp_path, monkeypatch):
    run, written = RunFolder(tmp_path), []
    write_run_file(run, run.machine, b"old")
    real = Path.replace

    def replace(self, target):
        if len(written) == stop:
            raise DiedError
        written.append(target)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    for stop in range(3):
        written.clear()
        with pytest.raises(DiedError):
            write_run_file(run, run.machine, b"new %d" % stop)
        assert is_sealed_file(run, run.machine), stop
        assert not unsealed_files(run)
    stop = 9
    write_run_file(run, run.machine, b"last")
    run.machine.write_bytes(b"old")
    assert not is_sealed_file(run, run.machine)


def test_a_resume_removes_what_a_kill_behind_the_last_save_left(layers, tmp_path):
    settings = layers(training={"steps": 4, "save_every": 2, "keep_last": 1, "eval_every": 2})
    run = tmp_path / "run"

    def die(kind, row):
        if kind == "saved" and row["step"] == 4:
            raise KeyError

    with pytest.raises(KeyError):
        pretrain(settings, run, watch=by_word(die))
    # As if the kill had come before the older ones went.
    for step in (1, 2):
        shutil.copytree(
            run / "checkpoints" / "step-00000004", run / "checkpoints" / f"step-0000000{step}", dirs_exist_ok=True
        )
    assert pretrain([], run, resume=True).status == "finished"
    left = {path.name for path in (run / "checkpoints").iterdir()}
    best = json.loads((run / "summary.json").read_text())["best"]["step"]
    assert left == {"step-00000004", f"step-{best:08d}"}
