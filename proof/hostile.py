"""Whatever stands in the files of a run or a model, a verb answers or refuses with one message, and nothing runs."""

import json
import math
import random
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chainrule.base import SUMS
from proof.bench import Bench
from proof.case import Attempt, Case, hold
from proof.child import command
from proof.tiny import copied, no_traceback

JOURNALS = ("metrics.jsonl", "health.jsonl", "samples.jsonl", "events.jsonl", "surprise.jsonl", "phases.jsonl")
RECORDS = ("summary.json", "machine.json", "data/manifest.json", "tokenizer.json", "data/survey/survey.json")
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**70, 10**400, 1.5, 1e308, math.inf, math.nan),
    *("", "<b>", "9", "\ud800", "\x1b[31m", "../../x", "__import__('os').system('touch ran')", "{{ 7 * 7 }}"),
    *([], [1], [[]], [None], {}, {"a": 1}, {"step": "x"}, {"__class__": "x"}),
)
CRC, SEAL = "crc", "seal"
WHOLE = (b"", b"null", b"[]", b"{}", b"7", b'"x"', b"\xff\x00", b"[" * 100_000, b"{", b'{"step": 1e999}', b"\n\n")
TOML_VALUES = ("1", "[1]", '"x"', "true", "1e999", "nan", "2020-01-01", "{a = 1}", "9" * 5000, "[", '"\\u0000"')


def hostile(bench: Bench) -> Iterator[Case]:
    """Runs, models, and headers of tensors."""
    yield Case("hostile values in a run's files", 300, lambda one: _run(bench, one), quick=1)
    yield Case("hostile values in a model's files", 200, lambda one: _model(bench, one), quick=0)
    yield Case("hostile headers of tensors (.safetensors, .npy)", 200, lambda one: _header(bench, one), quick=3)


def _run(bench: Bench, attempt: Attempt) -> str:
    run, chance = copied(bench.straight, attempt.folder / "run"), attempt.chance
    what = _damaged(run, chance)
    light = [
        ["runs", "--runs-folder", str(attempt.folder)],
        ["runs", "diff", str(run), str(bench.straight)],
        ["runs", "show", str(run)],
        ["report", str(run)],
        ["compare", str(run), str(bench.straight)],
    ]
    heavy = [
        ["pretrain", "--resume", str(run)],
        ["pretrain", "--fork", f"{run}@9", "--name", str(attempt.folder / "fork")],
        ["generate", str(run), "the", "--max-new-tokens", "2"],
        ["evaluate", str(run)],
        ["export", "hf", str(run), str(attempt.folder / "out")],
        ["runs", "prune", str(run), "--yes"],
    ]
    return _answered([chance.choice(light), chance.choice(light), chance.choice(heavy)], attempt.folder, what)


def _model(bench: Bench, attempt: Attempt) -> str:
    source = bench.folder / "hostile model"
    if not source.exists():
        hold(command(["export", "hf", str(bench.straight), str(source)], bench.folder).code == 0, "no model")
    model, chance = copied(source, attempt.folder / "model"), attempt.chance
    _unsealed(model, chance)
    names = [path.name for path in model.iterdir() if path.suffix == ".json"]
    path = model / chance.choice(sorted(names))
    path.write_bytes(_changed(path.read_bytes(), chance))
    what = f"{path.name}: {path.read_bytes()[:1000]!r}"
    words = [
        ["generate", str(model), "the", "--max-new-tokens", "2"],
        ["evaluate", str(model), str(bench.texts / "00.txt")],
        ["lens", "graph", str(model)],
    ]
    return _answered([chance.choice(words)], attempt.folder, what)


def _header(bench: Bench, attempt: Attempt) -> str:
    chance, folder = attempt.chance, attempt.folder
    source = bench.straight / "checkpoints" / "step-00000012" / "model.safetensors"
    content = source.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = _changed(content[8 : 8 + size], chance)
    length = chance.choice([len(header), len(header), 0, 2**63, size - 1])
    path = folder / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + header + content[8 + size :])
    if chance.random() < 0.4:
        path = folder / "a.npy"
        descr = chance.choice(["<f8", "|O", "<f999", "", "<U99999999", "<m8", [["a", "<f8"]], 7, None])
        shape = chance.choice([(2,), (-1,), (2**62, 8), (10**30,), "x", (1.5,), (0,), None])
        text = chance.choice([repr({"descr": descr, "fortran_order": False, "shape": shape}), "[" * 5000, "os.abort()"])
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(text), 65535)) + text.encode() + b"\0" * 16)
    return _answered([["lens", "tensor", str(path)]], folder, f"{path.name}: {path.read_bytes()[:600]!r}")


def _answered(commands: Sequence[list[str]], folder: Path, what: str) -> str:
    codes = []
    for words in commands:
        ended = command(words, folder)
        no_traceback(ended)
        # 1: compare and prune say that nothing was to be done.
        hold(ended.code in (0, 1, 2), f"{words} with {what}: {ended.last()}")
        hold("\x1b[31m" not in ended.said, f"{words} with {what}: an escape reached the terminal")
        codes.append(ended.code)
    hold(not list(folder.rglob("ran")), f"{what}: something ran")
    return "refused" if 2 in codes else "answered"


def _unsealed(folder: Path, chance: random.Random) -> None:
    """Of every other folder the checksums go, as those of an old run: then what stands there is believed."""
    if chance.random() < 0.5:
        (folder / SUMS).unlink(missing_ok=True)


def _damaged(run: Path, chance: random.Random) -> str:
    """Changes one file of the run, and says which and how."""
    _unsealed(run, chance)
    name = chance.choice([*RECORDS, *JOURNALS, "config.toml"])
    path = run / name
    if chance.random() < 0.03:
        path.unlink()
        path.mkdir()
        return f"{name} is a folder"
    content = path.read_bytes()
    if name == "config.toml":
        lines = content.decode().splitlines()
        at = chance.choice([place for place, line in enumerate(lines) if " = " in line])
        value = chance.choice(TOML_VALUES)
        lines[at] = re.sub(r" = .*", lambda match: f" = {value}", lines[at])
        path.write_text("\n".join(lines) + "\n")
        return f"{name}: {lines[at][:100]!r}"
    if name in JOURNALS:
        rows = content.splitlines()
        at = chance.randrange(len(rows))
        rows[at] = _changed(rows[at], chance)
        path.write_bytes(b"\n".join(rows) + b"\n")
        return f"{name} line {at}: {rows[at][:300]!r}"
    path.write_bytes(_changed(content, chance))
    return f"{name}: {path.read_bytes()[:1500]!r}"


def _changed(content: bytes, chance: random.Random) -> bytes:
    """The JSON with something hostile at one place, or a key less, or rubbish instead of it."""
    value = json.loads(content)
    if isinstance(value, dict) and chance.random() < 0.5:
        # Without its own checksum a row or a record is taken as it stands.
        value = {key: inside for key, inside in value.items() if key not in (CRC, SEAL)}
    spots = list(_places(value))
    if not spots or chance.random() < 0.05:
        return chance.choice(WHOLE)
    *way, last = chance.choice(spots)
    inside = value
    for key in way:
        inside = inside[key]
    if isinstance(inside, dict) and chance.random() < 0.1:
        del inside[last]
    else:
        inside[last] = chance.choice(VALUES)
    return json.dumps(value).encode()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place inside a JSON value, of lists the first three."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, inside in items:
        yield (*path, key)
        yield from _places(inside, (*path, key))
