"""A whole search on a tiny model: in its time, interrupted and gone on with, and its file is taken by pretrain."""

import json
import random
import signal
import tomllib

import pytest
import short_texts  # noqa: F401
from small_disk import SmallDisk

from chainrule.base import FLOOR_BYTES, ConfigError, DiskError, RunError
from chainrule.cli import main
from chainrule.cli.tune import Lines
from chainrule.config import Layer, load_toml, resolve
from chainrule.run import Event, RunFolder, TrainRow, read_rows
from chainrule.train import pretrain
from chainrule.tune import planning, resume_tune, trials, tune
from chainrule.tune.trainings import Search

pytestmark = pytest.mark.xdist_group("tuned")

AFFORDABLE = planning._affordable
TINY = {
    "model": {"vocab_size": 257, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 1, "drop_rate": 0.0},
    "vocabulary": {"kind": "bytes"},
    "optimizer": {"kind": "adamw", "lr": 1e-4},
    "training": {"batch_tokens": 128},
    "machine": {"device": "cpu", "precision": "float32", "threads": 1},
}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder, chance = tmp_path_factory.mktemp("texts") / "words", random.Random(0)
    folder.mkdir()
    for number in range(40):
        words = " ".join(chance.choice(("the", "sea", "old", "man", "said", "home")) for _ in range(60))
        (folder / f"{number}.txt").write_text(f"{words}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def layers(text):
    return [Layer("tiny", TINY), Layer("text", {"text": {"paths": [str(text)], "near_duplicates": "keep"}})]


@pytest.fixture(scope="module", autouse=True)
def short():
    """Few and short trials, however slow the machine is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(planning, "_affordable", lambda *_: (12, (1, 0, 2)))
        patched.setattr(trials, "MOST_PAIRS", 2)
        patched.setattr(planning, "STEPS", 16)
        yield patched


@pytest.fixture(scope="module")
def straight(layers, short, tmp_path_factory):
    """A search from its beginning to its end, and what it said."""
    said = []
    return tune(layers, tmp_path_factory.mktemp("straight") / "search", minutes=5, tell=said.append), said


def test_a_search_finds_a_better_rate_writes_it_down_and_pretrain_takes_it(straight, text, tmp_path):
    found, said = straight
    assert found.status == "finished"
    assert [(one.setting.rate, one.seed) for one in found.trials] == [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (2, 2)]
    # 1e-4 is far too low for twelve steps, so that twice the rate is better in every seed.
    assert found.difference.mean < 0 and found.difference.n == 2
    lr = tomllib.loads(found.folder.tuned.read_text())["optimizer"]["lr"]
    assert lr == (2e-4 if found.difference.outcome == "better" else 1e-4)
    assert list(read_rows(found.folder.log)) == [one.row() for one in found.trials]
    assert any(sentence.startswith("noise scale: ") for sentence in said)

    more = Layer("flag", {"text": {"paths": [str(text)]}, "training": {"steps": 2}, "machine": TINY["machine"]})
    pretrain([load_toml(found.folder.tuned), more], tmp_path / "run")
    config = resolve([load_toml(RunFolder(tmp_path / "run").config)]).config
    assert (config.optimizer.lr, config.model.emb_dim, config.batch_windows) == (lr, 16, 8)


def test_what_is_within_noise_is_not_recommended(layers, tmp_path, monkeypatch):
    monkeypatch.setattr("chainrule.tune.trials.FACTOR", 1.000001)
    found = tune(layers, tmp_path / "search", minutes=5)
    assert found.chosen == found.default and "The default stays" in found.verdict.text
    assert tomllib.loads(found.folder.tuned.read_text())["optimizer"]["lr"] == 1e-4


def test_an_interrupted_search_goes_on_with_what_is_done_to_the_same_figures(layers, straight, tmp_path):
    told = []

    def interrupting(record):
        if isinstance(record, TrainRow) and len(told) == 4 and record.step == 6:
            signal.raise_signal(signal.SIGTERM)

    def tell(sentence):
        told.extend([sentence] if sentence.startswith("trial ") else [])

    stopped = tune(layers, tmp_path / "stopped", minutes=5, watch=interrupting, tell=tell)
    assert (stopped.status, stopped.signal, len(stopped.trials)) == ("interrupted", signal.SIGTERM, 3)
    assert not stopped.folder.tuned.exists()
    went_on = resume_tune(tmp_path / "stopped")
    assert went_on.status == "finished"
    assert [(one.name, one.bits) for one in went_on.trials] == [(one.name, one.bits) for one in straight[0].trials]
    assert went_on.verdict == straight[0].verdict


def test_the_time_is_kept_a_trial_that_would_go_beyond_it_is_dropped(layers, tmp_path, monkeypatch):
    monkeypatch.setattr(Search, "left", property(lambda search: 100.0 if len(search.folder.trials()) < 2 else 0.0))
    found = tune(layers, tmp_path / "search", minutes=5)
    assert (found.status, len(found.trials)) == ("finished", 2)
    assert "no time for fresh ones" in found.verdict.text and found.chosen == found.default


@pytest.mark.parametrize(
    ("over", "minutes", "told"),
    [
        ({"training": {"steps": 5}}, 1, "training.steps is chosen by the search"),
        ({"origin": {"start_from": "x"}}, 1, "runs from nothing"),
        ({}, -1, "no time to look in"),
    ],
)
def test_what_leaves_nothing_to_look_for_is_refused(layers, tmp_path, over, minutes, told):
    with pytest.raises(ConfigError, match=told):
        tune([*layers, Layer("flag", over)], tmp_path / "search", minutes=minutes)
    assert not (tmp_path / "search").exists()
    with pytest.raises(RunError, match="holds no search"):
        resume_tune(tmp_path)


def test_too_little_time_is_said_with_what_is_enough_and_leaves_nothing(layers, tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_affordable", AFFORDABLE)
    # So many trials that no machine has the time, and time enough for the first steps of a slow one.
    monkeypatch.setattr(planning, "PLANS", ((10**4, 0, 0),))
    with pytest.raises(ConfigError, match=r"too little for 10001 trials .* give the search about \d+ --minutes"):
        tune(layers, tmp_path / "search", minutes=1)
    assert not (tmp_path / "search").exists()


def test_the_command_shows_the_trials_and_what_to_type(text, tmp_path, capsys):
    flags = [f"--{section}.{key.replace('_', '-')}={value}" for section in TINY for key, value in TINY[section].items()]
    asked = ["tune", str(text), "--runs-folder", str(tmp_path), "--minutes", "5", "--text.near-duplicates", "keep"]
    assert main([*asked, *flags]) == 0
    out, err = capsys.readouterr()
    folder = tmp_path / "words-tune-1"
    assert "2 times the rates" in out and "bits per byte" in out and "Each figure is of one run" in out
    assert f"next: chainrule pretrain {text} --config {folder / 'tuned.toml'}" in err
    assert "<svg role" in (folder / "tune.html").read_text(encoding="utf-8")
    assert main(["tune", "--resume", "words-tune-1", "--runs-folder", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["trials"]) == 6 and told["config"] == str(folder / "tuned.toml")
    assert main(["tune", "--resume", "words-tune-1", "--preset", "cpu-tiny", "--runs-folder", str(tmp_path)]) == 2
    assert "leave out --preset" in capsys.readouterr().err


def test_a_search_without_room_for_its_trials_is_refused_before_the_first_and_leaves_nothing(layers, tmp_path):
    disk, told = SmallDisk(tmp_path / "disk", 8 << 20), []
    try:
        kept = [*layers, Layer("cache", {"machine": {"cache": str(tmp_path / "cache")}})]
        disk.leave(FLOOR_BYTES)
        with pytest.raises(DiskError, match=r" are needed for 6 checkpoints of its trials at once, .* --runs-folder"):
            tune(kept, disk.folder / "search", minutes=5, tell=told.append)
        assert told == ["preparing the text"] and not (disk.folder / "search").exists()
    finally:
        disk.close()


def test_the_command_says_that_a_trial_waits_for_room_and_not_each_event_of_its_journal(capsys):
    heard = Lines()
    heard(Event("the disk is full; the run waits"))
    heard(Event("started: 12 steps", time="2026-01-01T00:00:00"))
    assert capsys.readouterr().err == "  the disk is full; the run waits\n"
