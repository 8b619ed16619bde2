"""What the files of a run say of each other: checksums, fingerprints, and whom it goes on from."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from chainrule.base import ChainruleError, read_sums
from chainrule.checkpoint import Checkpoint, base_of, load_checkpoint, step_folder, steps_of
from chainrule.config import check_resume, load_toml, resolve
from chainrule.data import load_manifest, open_dataset
from chainrule.run import RunFolder, journal_lines, lost_ends, read_start, read_summary, unsealed_files
from chainrule.tokenizer import load_tokenizer

State = Literal["held", "wrong", "not proved"]


@dataclass(frozen=True)
class Check:
    """What was tried how often, how often it held, and what to say; `not proved` is what could not be tried."""

    what: str
    tried: int
    held: int
    note: str = ""
    unproved: bool = False

    @property
    def state(self) -> State:
        """Wrong where a try failed."""
        if self.held < self.tried:
            return "wrong"
        return "not proved" if self.unproved or not self.tried else "held"


def verify_files(run: RunFolder, say: Callable[[str], object]) -> Iterator[Check]:
    """Every checksum of the run, one kind of file after the other; `say` hears what is looked at."""
    say("small files")
    yield _record(run)
    say("journals")
    yield _journals(run)
    for name, folder in (("checkpoints", run.checkpoints), ("bundles of spikes", run.spikes)):
        if folders := _step_folders(folder):
            say(name)
            yield _whole(name, folders)
    for name, folder in (("token shards", run.data), ("old text's shards", run.old)):
        if folder.is_dir() or name == "token shards":
            say(name)
            yield _shards(name, folder)
    yield _together(run)
    if (lineage := read_start(run).lineage) or _has_adapter(run):
        say("lineage")
        ancestors = [(Path(one.run), one.step) for one in lineage]
        yield _lineage(run, ancestors)


def _record(run: RunFolder) -> Check:
    known, found = read_sums(run.path), unsealed_files(run)
    if known == {} and not found:
        return Check("small files", 0, 0, "the run is from before there were checksums of them", unproved=True)
    n = max(1, len(known or {}))
    return Check("small files", n, n - min(n, len(found)), "; ".join(found))


def _journals(run: RunFolder) -> Check:
    found = [journal_lines(path) for path in run.journals]
    told = [one.wrong for one in found if one.wrong]
    ends = _lost_ends(run)
    rows, wrong = sum(one.n_rows for one in found), sum(one.n_wrong for one in found) + len(ends)
    tried = max(rows + sum(len(one.damaged) for one in found), wrong)
    without, alone = sum(one.n_unsealed for one in found), sum(one.n_unlinked for one in found)
    if without:
        told.append(f"{without:,} rows have no checksum: they are from before there were any")
    if alone > without:
        told.append(f"{alone - without:,} rows have no number: one of them that was removed is not known")
    return Check("rows of journals", tried, tried - wrong, "; ".join([*told, *ends]), unproved=alone > 0)


def _lost_ends(run: RunFolder) -> list[str]:
    """What the summary and the newest checkpoint were written behind, and is no longer there."""
    told = lost_ends(run, read_summary(run).row()["journals"], run.summary.name)
    for step in steps_of(run.checkpoints)[-1:]:
        with suppress(ChainruleError):  # one that is not whole is named among the checkpoints
            newest = load_checkpoint(step_folder(run.checkpoints, step), verify=False)
            told += lost_ends(run, newest.state.get("journals"), newest.path.name)
    return told


def _step_folders(parent: Path) -> list[Path]:
    """What is called as a step's folder is, or the parent itself where it is none; nothing where none is there."""
    if not parent.is_dir():
        return [parent] if os.path.lexists(parent) else []
    return sorted(entry for entry in parent.iterdir() if entry.name.startswith("step-"))


def _whole(name: str, folders: list[Path]) -> Check:
    return _counted(name, [partial(_load, folder) for folder in folders])


def _load(folder: Path) -> None:
    if not folder.is_dir():
        raise ChainruleError(f"{folder} is no folder")
    load_checkpoint(folder)


def _shards(name: str, folder: Path) -> Check:
    try:
        n = len(load_manifest(folder).shards)
        open_dataset(folder, verify=True)
    except ChainruleError as fault:
        gone = not (folder / "manifest.json").is_file()
        return Check(name, 0 if gone else 1, 0, str(fault), unproved=gone)
    return Check(name, n, n)


def _together(run: RunFolder) -> Check:
    """Settings, tokenizer and text are those that every checkpoint learnt with."""
    tries = [partial(_belongs, run, step) for step in steps_of(run.checkpoints)]
    return _counted("settings, tokenizer and text belong to each checkpoint", tries)


def _belongs(run: RunFolder, step: int) -> None:
    checkpoint = load_checkpoint(step_folder(run.checkpoints, step), verify=False)
    check_resume(
        resolve([load_toml(checkpoint.path / run.config.name)]).config, resolve([load_toml(run.config)]).config
    )
    _same(checkpoint, "tokenizer", load_tokenizer(run.tokenizer).fingerprint, run.tokenizer)
    if run.manifest.is_file():
        _same(checkpoint, "data", load_manifest(run.data).fingerprint, run.manifest)


def _same(checkpoint: Checkpoint, key: str, found: str, path: Path) -> None:
    if checkpoint.state.get(key) != found:
        raise ChainruleError(f"{path} is not the one that {checkpoint.path.name} learnt with")


def _has_adapter(run: RunFolder) -> bool:
    return run.adapter_config.is_file() and bool(steps_of(run.checkpoints))


def _lineage(run: RunFolder, ancestors: list[tuple[Path, int]]) -> Check:
    """The checkpoints that it was forked from, and the model that its adapter stands on, as far as they are there."""
    there = [(path, step) for path, step in ancestors if step in steps_of(RunFolder(path).checkpoints)]
    tries: list[Callable[[], object]] = [
        partial(load_checkpoint, step_folder(RunFolder(path).checkpoints, step)) for path, step in there
    ]
    if _has_adapter(run):
        newest = step_folder(run.checkpoints, steps_of(run.checkpoints)[-1])
        tries.append(lambda: base_of(load_checkpoint(newest)))
    gone = [f"{path}@{step} is no longer there" for path, step in ancestors if (path, step) not in there]
    found = _counted("lineage", tries)
    return Check("lineage", found.tried, found.held, "; ".join(filter(None, [found.note, *gone])), bool(gone))


def _counted(what: str, tries: Sequence[Callable[[], object]]) -> Check:
    """How many of them raise nothing of ours, and what the others say."""
    faults = []
    for attempt in tries:
        try:
            attempt()
        except ChainruleError as fault:
            faults.append(str(fault))
    return Check(what, len(tries), len(tries) - len(faults), "; ".join(dict.fromkeys(faults)))
