"""Whatever stands in the files of a run folder, a verb answers, or refuses with one message; never a traceback."""

import contextlib
import io
import json
import math
import os
import platform
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from heard import by_word

from chainrule.cli import main
from chainrule.config import Layer
from chainrule.train import pretrain

SETTINGS: dict[str, dict[str, Any]] = {
    "model": {"vocab_size": 257, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 1},
    "vocabulary": {"kind": "bytes"},
    "training": {
        **{"steps": 4, "batch_tokens": 64, "eval_every": 2, "eval_tokens": 64, "sample_every": 2, "sample_tokens": 2},
        **{"save_every": 2, "log_every": 1, "prompts": ["the "]},
    },
    "machine": {"device": "cpu", "precision": "float32", "threads": 1, "cache": "off", "compile": "off"},
}
JOURNALS = ("metrics.jsonl", "health.jsonl", "samples.jsonl", "events.jsonl")
RECORDS = ("summary.json", "machine.json", "data/manifest.json", "tokenizer.json", "lock.json")
HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**70, 10**400, 1.5, 1e308, math.inf, math.nan),
    *("", "<b>", "9", "\ud800", "\x1b[31m", "../../x", [], [1], [[]], [None], {}, {"a": 1}, {"step": "x"}),
)
WHOLE = (b"", b"null", b"[]", b"{}", b"7", b'"x"', b"\xff\x00", b"[" * 100_000, b"{", b'{"step": 1e999}', b"\n\n")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a finished run, and one that was killed at step 3; both sound."""
    texts, folder = tmp_path_factory.mktemp("texts"), tmp_path_factory.mktemp("hostile") / "runs"
    for number in range(20):
        (texts / str(number % 2)).mkdir(exist_ok=True)
        (texts / str(number % 2) / f"{number}.txt").write_text(
            f"the old man {number} said that we were going home before the storm\n" * 9
        )
    layers = [Layer("tiny", SETTINGS), Layer("text", {"text": {"paths": [str(texts)], "near_duplicates": "keep"}})]
    pretrain(layers, folder / "finished")

    def die(kind, row):
        if kind == "train" and row["step"] == 3:
            raise KeyError

    with contextlib.suppress(KeyError):
        pretrain(layers, folder / "killed", watch=by_word(die))
    # What only other runs have: those that go on from a model, and those on Python's library.
    summary = json.loads((folder / "finished" / "summary.json").read_text())
    pair, task = {"before": 3.0, "after": 2.0}, {"task": "choices:a", "n": 8, "right": 2, "of_n": 9, "guess": 0.25}
    summary |= {"new": pair, "old": pair, "tasks": [task | {"figures": {"by_bytes": 0.5}}]}
    (folder / "finished" / "summary.json").write_text(json.dumps(summary))
    (folder / "finished" / "lock.json").write_text('{"pid": 1, "host": "elsewhere", "since": "today"}')
    return folder


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every place inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, inside in items:
        yield (*path, key)
        yield from places(inside, (*path, key))


def changed(content: bytes, chance: random.Random) -> bytes:
    """One JSON value with something hostile at one place, or a key less, or nothing but rubbish."""
    value = json.loads(content)
    spots = list(places(value))
    if not spots or chance.random() < 0.05:
        return chance.choice(WHOLE)
    *way, last = chance.choice(spots)
    inside = value
    for key in way:
        inside = inside[key]
    if isinstance(inside, dict) and chance.random() < 0.1:
        del inside[last]
    else:
        inside[last] = chance.choice(HOSTILE)
    return json.dumps(value).encode()


def damage(run: Path, chance: random.Random) -> str:
    """Changes one file of the run; returns what, so that a failure can be made again."""
    name = chance.choice([*RECORDS, *JOURNALS, *JOURNALS, "config.toml"])
    path = run / name
    if not path.is_file():
        return "nothing"
    if chance.random() < 0.03:
        path.unlink()
        path.mkdir()
        return f"{name} is a folder"
    content = path.read_bytes()
    if name in JOURNALS:
        lines = content.splitlines()
        # Most rows are alike: the first of each kind is as likely as the rest.
        at = chance.randrange(len(lines))
        lines[at] = changed(lines[at], chance)
        path.write_bytes(b"\n".join(lines) + b"\n")
        return f"{name} line {at}: {lines[at][:300]!r}"
    if name == "config.toml":
        lines = content.splitlines()
        at = chance.choice([place for place, line in enumerate(lines) if b" = " in line])
        value = chance.choice([b"1", b"[1]", b'"x"', b"true", b"1e999", b"2020-01-01", b"{a = 1}", b"9" * 5000, b"["])
        lines[at] = re.sub(rb" = .*", lambda match: b" = " + value, lines[at])
        path.write_bytes(b"\n".join(lines) + b"\n")
        return f"{name}: {lines[at][:100]!r}"
    path.write_bytes(changed(content, chance))
    return f"{name}: {path.read_bytes()[:2000]!r}"


def check(words: list[str], what: str) -> tuple[int, str]:
    """Calls the command line; whatever it raises is a traceback for the user."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = main(words)
        except BaseException as fault:
            raise AssertionError(f"{words} with {what}") from fault
    return code, out.getvalue()


def verbs(folder: Path, run: Path, chance: random.Random, *, heavy: bool) -> list[list[str]]:
    """Commands over the damaged run, and over the folder that holds it beside a sound one."""
    light = [
        ["runs", "--runs-folder", str(folder)],
        ["runs", "--runs-folder", str(folder), "--json"],
        ["runs", "diff", str(run), str(folder / "sound")],
        ["runs", "diff", str(run), str(folder / "sound"), "--json"],
        ["report", str(run)],
    ]
    slow = [
        ["pretrain", "--resume", str(run)],
        ["generate", str(run), "the", "--max-new-tokens", "2"],
        ["evaluate", str(run)],
    ]
    return light + ([chance.choice(slow)] if heavy else [])


def attack(runs: Path, tmp_path: Path, seed: int, *, heavy: bool) -> None:
    chance = random.Random(seed)
    folder = tmp_path / "runs"
    shutil.copytree(runs / "finished", folder / "sound", dirs_exist_ok=True)
    run = folder / "bad"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(runs / chance.choice(["finished", "killed"]), run)
    what = f"seed {seed}: " + "; ".join(damage(run, chance) for _ in range(chance.choice([1, 1, 2])))
    for words in verbs(folder, run, chance, heavy=heavy):
        code, shown = check(words, what)
        if words[0] == "runs" and words[1] != "diff":
            assert code == 0 and "sound" in shown, what


# What once gave a traceback: file, line of a journal or None, place, value (... removes the key).
KNOWN = [
    ("machine.json", None, ("data", "sources"), {"a": 1.5, "b": {"bytes": "x"}}),
    ("machine.json", None, ("data", "tokens"), {"train": None, "validation": "x"}),
    ("summary.json", None, ("new",), {"before": 1.0}),
    ("summary.json", None, ("completions",), ["x", None]),
    ("summary.json", None, ("by_source",), {"0": 1, "1": {"bits_per_byte": "x"}}),
    ("metrics.jsonl", 0, ("step",), ...),
    ("metrics.jsonl", 1, ("loss",), 10**350),
    ("health.jsonl", 1, ("kind",), {}),
    ("health.jsonl", 2, ("gradient", 0), 1e308),
    ("health.jsonl", 2, ("ratio", 0), math.inf),
    ("lock.json", None, ("pid",), 10**30),
    ("lock.json", None, ("host",), [1]),
]


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: f"{case[0]} {case[2]}")
def test_what_once_gave_a_traceback_gives_none(runs, tmp_path, case):
    name, line, (*way, last), value = case
    folder = tmp_path / "runs"
    for copy in ("sound", "bad"):
        shutil.copytree(runs / "finished", folder / copy)
    path = folder / "bad" / name
    content = path.read_bytes()
    if name == "lock.json":
        content = json.dumps({"pid": 1, "host": platform.node(), "since": "today"}).encode()
    lines = [content] if line is None else content.splitlines()
    row = json.loads(lines[line or 0])
    inside = row
    for key in way:
        inside = inside[key]
    if value is ...:
        del inside[last]
    else:
        inside[last] = value
    lines[line or 0] = json.dumps(row).encode()
    path.write_bytes(b"\n".join(lines) + b"\n")
    for words in verbs(folder, folder / "bad", random.Random(0), heavy=False):
        assert check(words, str(case))[0] == 0


@pytest.mark.parametrize(
    ("place", "value"),
    [(("tokens", "train"), None), (("documents",), "9"), (("split_bytes",), []), (("split_bytes", "validation"), "x")],
)
def test_a_resume_with_a_damaged_report_of_the_text_takes_the_copy_and_says_so(runs, tmp_path, place, value):
    run = tmp_path / "bad"
    shutil.copytree(runs / "killed", run)
    record = json.loads((run / "data" / "manifest.json").read_text())
    *way, last = ("report", *place)
    inside = record
    for key in way:
        inside = inside[key]
    inside[last] = value
    (run / "data" / "manifest.json").write_text(json.dumps(record))
    code, _ = check(["pretrain", "--resume", str(run)], str(place))
    told = "manifest.json was edited or damaged: it is put back as step-"
    assert code == 0 and told in (run / "events.jsonl").read_text()


def test_a_setting_of_thousands_of_digits_is_no_setting(runs, tmp_path):
    folder = tmp_path / "runs"
    shutil.copytree(runs / "finished", folder / "bad")
    path = folder / "bad" / "config.toml"
    path.write_text(path.read_text().replace("save_every = 2", f"save_every = {'9' * 5000}"))
    assert check(["report", str(folder / "bad")], "digits")[0] == 0
    code, shown = check(["runs", "--runs-folder", str(folder)], "digits")
    assert code == 0 and "bad" in shown


def test_a_folder_with_hostile_values_is_answered_by_all_who_look(runs, tmp_path):
    for seed in range(30):
        attack(runs, tmp_path, seed, heavy=False)


def test_a_folder_with_hostile_values_is_resumed_or_refused(runs, tmp_path):
    for seed in range(1000, 1006):
        attack(runs, tmp_path, seed, heavy=True)


@pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_run_that_may_not_be_read_hides_no_other(runs):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for copy in ("sound", "bad"):
            shutil.copytree(runs / "finished", folder / copy)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        (folder / "bad" / "summary.json").chmod(0)
        os.seteuid(65534)
        try:
            code, shown = check(["runs", "--runs-folder", place], "no permission")
        finally:
            os.seteuid(0)
    assert code == 0 and "sound" in shown and re.search(r"bad +unreadable", shown)


def test_what_the_cache_says_of_its_entries_may_be_anything(tmp_path):
    chance = random.Random(0)
    about = {"text": ["a", "b"], "used": 1e9, "runs": ["/tmp/a"], "sha256": "0"}
    entry = tmp_path / f"shards-{'0' * 24}"
    entry.mkdir()
    for _ in range(60):
        (entry / "about.json").write_bytes(changed(json.dumps(about).encode(), chance))
        code, shown = check(["cache", "--folder", str(tmp_path)], (entry / "about.json").read_text("latin-1"))
        assert code == 0 and "shards" in shown


@pytest.mark.slow
@pytest.mark.parametrize("block", range(8))
def test_hostile_values_at_length(runs, tmp_path, block):
    for seed in range(10_000 + 100 * block, 10_100 + 100 * block):
        attack(runs, tmp_path, seed, heavy=True)
