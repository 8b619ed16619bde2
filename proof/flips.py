"""One bit flipped in every byte of a checkpoint, of token shards and of what a run is told by: noticed, or harmless.

Noticed: the reader that a run uses refuses the file, or names it as one that is not as it was written. Harmless: it
reads exactly what was written (a bit of a comment). What is neither is listed.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chainrule.base import ChainruleError
from chainrule.checkpoint import load_checkpoint, newest_checkpoint
from chainrule.data import open_dataset
from chainrule.run import RunFolder, read_rows, read_start, read_summary, unused_parts
from chainrule.tokenizer import load_tokenizer
from chainrule.train.resume import check_fits, check_settings, saved_settings
from proof.bench import Bench
from proof.case import Attempt, Case, hold
from proof.tiny import copied

Read = Callable[[Path], object]
"""Reads a run as a resume does, and returns what can be compared; raises ChainruleError for what is damaged."""


@dataclass(frozen=True)
class Byte:
    """Which byte of which file."""

    path: Path
    offset: int


def flips(bench: Bench) -> Iterator[Case]:
    """Each kind of file with each of its bytes."""
    run = copied(bench.run_of("small", model__emb_dim="8", model__n_layers="1"), bench.folder / "flipped")
    shutil.rmtree(run / "checkpoints" / "step-00000009")
    folder = RunFolder(run)
    checkpoint, data = run / "checkpoints" / "step-00000012", run / "data"
    kinds: list[tuple[str, list[Path], Read, int]] = [
        ("a checkpoint", sorted(checkpoint.iterdir()), _checkpoint, 300),
        ("token shards", sorted(data.glob("*.safetensors")), _tokens, 100),
        ("the run's tokenizer.json", [run / "tokenizer.json"], _tokenizer, 30),
        ("the run's config.toml", [run / "config.toml"], _settings, 30),
        ("data/manifest.json", [data / "manifest.json"], _manifest, 30),
        ("machine.json, summary.json and SHA256SUMS", [folder.machine, folder.summary, folder.sums], _told, 30),
        ("the journals", [path for path in folder.journals if path.is_file()], _told, 60),
    ]
    for name, paths, read, quick in kinds:
        yield _case(name, run, [Byte(path, at) for path in paths for at in range(path.stat().st_size)], read, quick)


def _case(name: str, run: Path, places: list[Byte], read: Read, quick: int) -> Case:
    before = read(run)

    def attempt(attempt: Attempt) -> str:
        place = places[attempt.number]
        with flipped(place, attempt.chance) as told:
            try:
                found = read(run)
            except ChainruleError as fault:
                hold(place.path.name in str(fault) or str(run) in str(fault), f"{told}: {fault} names no file")
                return "noticed"
        hold(found == before, f"{told}: read as something else, unsaid")
        return "harmless"

    # One process: all attempts change the same files, and put them back.
    return Case(f"a bit of every byte of {name}", len(places), attempt, quick=quick, side_by_side=False)


class flipped:  # noqa: N801
    """Inside, one bit of the byte is another; it says which."""

    def __init__(self, place: Byte, chance: random.Random) -> None:
        self.place, self.bit = place, chance.randrange(8)

    def __enter__(self) -> str:
        self._turn()
        return f"{self.place.path.name} byte {self.place.offset} bit {self.bit}"

    def __exit__(self, *_: object) -> None:
        self._turn()

    def _turn(self) -> None:
        handle = os.open(self.place.path, os.O_RDWR)
        try:
            (value,) = os.pread(handle, 1, self.place.offset)
            os.pwrite(handle, bytes([value ^ 1 << self.bit]), self.place.offset)
        finally:
            os.close(handle)


def _checkpoint(run: Path) -> object:
    found = load_checkpoint(run / "checkpoints" / "step-00000012")
    return found.step, found.state, found.files


def _tokens(run: Path) -> object:
    dataset = open_dataset(run / "data")
    stores = (dataset.split("train"), dataset.split("validation"))
    return [store.read(0, store.n_tokens).tobytes() for store in stores]


def _tokenizer(run: Path) -> object:
    tokenizer = load_tokenizer(run / "tokenizer.json")
    found = newest_checkpoint(run / "checkpoints", on_reject=lambda path, reason: None)
    assert found is not None
    check_fits(found, open_dataset(run / "data"), tokenizer, None)
    return tokenizer.fingerprint


def _settings(run: Path) -> object:
    config = saved_settings(RunFolder(run), []).config
    found = newest_checkpoint(run / "checkpoints", on_reject=lambda path, reason: None)
    assert found is not None
    check_settings(found, RunFolder(run), config)
    return config


def _manifest(run: Path) -> object:
    return open_dataset(run / "data").manifest


def _told(run: Path) -> object:
    """What `report`, `runs` and `compare` say, as they read it."""
    folder = RunFolder(run)
    if unused := unused_parts(folder):
        raise ChainruleError("; ".join(unused))
    journals = [list(read_rows(path)) for path in folder.journals]
    return journals, read_start(folder), read_summary(folder)
