"""Small changes to a finished run, as people, copies and disks make them: named by who looks, never used unsaid.

After each change the verbs that read a run are called. None may show a traceback or wait for ever, `verify` must name
the file, and so must one of the others, unless the change is one of the harmless, or none of them reads that file.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from proof.bench import Bench
from proof.case import Attempt, Case, hold
from proof.child import command
from proof.tiny import copied, no_traceback

MOST_SECONDS = 60.0


@dataclass(frozen=True)
class Change:
    """What is done to a run (`other` is a second one, of other numbers), to which file, and whether it is harmless."""

    path: str
    make: Callable[[Path, Path], object]
    harmless: bool = False
    read: bool = True
    """Whether another verb than `verify` reads it, when the run is finished and another checkpoint is its best."""


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path, Path], object]:
    return lambda path, other: path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], object]:
    return lambda path, other: path.write_bytes(change(path.read_bytes()))


def _instead(make: Callable[[Path], object]) -> Callable[[Path, Path], object]:
    def change(path: Path, other: Path) -> None:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        make(path)

    return change


def _of_the_other(path: Path, other: Path) -> None:
    shutil.copyfile(other, path)


FIFO, LOOP, FOLDER = _instead(os.mkfifo), _instead(lambda path: path.symlink_to(path.name)), _instead(Path.mkdir)
GONE, EMPTY, CRLF = _instead(lambda path: None), _bytes(lambda c: b""), _bytes(lambda c: c.replace(b"\n", b"\r\n"))
HALF, BOM = _bytes(lambda content: content[: len(content) // 2]), _bytes(lambda content: b"\xef\xbb\xbf" + content)
UTF16, UNREADABLE = _bytes(lambda c: c.decode().encode("utf-16")), lambda path, other: path.chmod(0)
LOCKED, TURNED = lambda path, other: path.chmod(0o444), _bytes(lambda content: content[::-1])
TEXT_FOR_NUMBERS = _bytes(lambda content: content.replace(b'"step": 12', b'"step": "12"', 1))
CHECKPOINT = "checkpoints/step-00000012"
SHARD = "data/train-00000.safetensors"
SMALL = ("config.toml", "machine.json", "summary.json", "tokenizer.json", "data/manifest.json", "SHA256SUMS")
JOURNALS = ("metrics.jsonl", "health.jsonl", "samples.jsonl", "events.jsonl", "phases.jsonl", "surprise.jsonl")
INSTEAD = (FIFO, LOOP, FOLDER, GONE, EMPTY, HALF, BOM)
# What two runs on one text have in common: these are equal, and a list of other files' checksums accuses those.
COMMON = ("tokenizer.json", "data/manifest.json", "SHA256SUMS")
IN_A_CHECKPOINT = ("model.safetensors", "state.json", "checkpoint.json")
NO_FOLDER = (FIFO, LOOP, _instead(Path.touch))
CHANGES = (
    *(Change(name, make) for name in SMALL for make in (*INSTEAD, UTF16, CRLF)),
    *(Change(name, make) for name in JOURNALS for make in INSTEAD),
    *(Change(name, _of_the_other) for name in (*SMALL, *JOURNALS) if name not in COMMON),
    *(Change(f"{CHECKPOINT}/{name}", _of_the_other, read=False) for name in IN_A_CHECKPOINT),
    # A row is what stands in its line, whichever way that ends.
    *(Change(name, make, harmless=True) for name in JOURNALS for make in (CRLF, LOCKED)),
    *(Change("metrics.jsonl", make) for make in (TURNED, TEXT_FOR_NUMBERS)),
    Change("metrics.jsonl", _lines(lambda rows: rows[1:])),
    Change("metrics.jsonl", _lines(lambda rows: [*rows[:3], *rows[4:]])),
    Change("metrics.jsonl", _lines(lambda rows: rows[:-1])),
    Change("metrics.jsonl", _lines(lambda rows: [*rows, *rows])),
    Change("metrics.jsonl", _lines(lambda rows: [rows[1], rows[0], *rows[2:]])),
    Change("metrics.jsonl", _lines(sorted)),
    Change("metrics.jsonl", _lines(lambda rows: [*rows, b"\n", b"\n"]), harmless=True),
    Change("metrics.jsonl", _lines(lambda rows: [*rows, b'{"kind": "train", "step": 13, "loss": 0.1}\n'])),
    *(Change(SHARD, make, read=False) for make in INSTEAD),
    *(Change(f"{CHECKPOINT}/{name}", make, read=False) for name in IN_A_CHECKPOINT for make in INSTEAD),
    *(Change(CHECKPOINT, make, read=False) for make in NO_FOLDER),
    *(Change(name, make) for name in ("checkpoints", "data") for make in NO_FOLDER),
    *(Change(name, LOCKED, harmless=True) for name in SMALL),
)


def spoiled(bench: Bench) -> Iterator[Case]:
    """One case: every change."""
    yield Case("small changes to a finished run", len(CHANGES), lambda one: _attempt(bench, one), quick=3)


def _attempt(bench: Bench, attempt: Attempt) -> str:
    # In a quick proof not the first ones, which are much alike.
    number = attempt.number * 23 % len(CHANGES) if bench.quick else attempt.number
    change = CHANGES[number]
    run = copied(bench.straight, attempt.folder / "run")
    change.make(run / change.path, _other(bench) / change.path)
    what = f"change {number} of {change.path}"
    name = Path(change.path).name
    told = ""
    for words in (
        ["verify", str(run), "--seconds", "0"],
        ["runs", "--runs-folder", str(attempt.folder)],
        ["runs", "show", str(run)],
        ["report", str(run)],
        ["generate", str(run), "the", "--max-new-tokens", "2"],
        ["pretrain", "--resume", str(run)],
    ):
        ended = command(words, attempt.folder, seconds=MOST_SECONDS)
        no_traceback(ended)
        hold(ended.code in (0, 1, 2, 3), f"{what}: {words[0]}: {ended.last()}")
        if words[0] == "verify":
            hold(change.harmless or ended.code, f"{what}: verify found nothing")
            # A list of checksums that is another run's accuses the files beside it.
            named = name in ended.said or (name == "checkpoint.json" and CHECKPOINT in ended.said)
            hold(change.harmless or named, f"{what}: verify does not name it: {ended.last()}")
        told += ended.said if words[0] != "verify" else ""
    page = run / "report.html"
    told += page.read_text(errors="replace") if page.is_file() else ""
    hold(change.harmless or not change.read or name in told, f"{what}: nobody names it but verify")
    shutil.rmtree(attempt.folder, ignore_errors=True)
    return "harmless" if change.harmless else "named"


def _other(bench: Bench) -> Path:
    place = bench.folder / "other" / "run"
    return place if place.exists() else bench.run_of("other", training__seed="5", optimizer__lr="0.002")
