"""The journal of finished shards: an interrupted preparation goes on after the last one and ends with equal bytes."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chainrule.base import DataError, disk_faults, write_bytes
from chainrule.data.jobs import Split
from chainrule.data.manifest import FILE_NAME, ShardEntry
from chainrule.data.shards import read_layout, sha256_of
from chainrule.run import append_row, rows_before_damage, sealed_lines

OURS = re.compile(r"(train|validation)-\d{5,}\.safetensors")
STUMP = re.compile(r"\..+\.tmp-\d+")


@dataclass(frozen=True)
class TextPlace:
    """A place in one side of the text: after `part` parts of it in the unit of reading with this number."""

    unit: int = 0
    part: int = 0


@dataclass(frozen=True)
class FinishedShard:
    """A shard on the disk, where the text goes on after it, and what was counted while it was filled."""

    entry: ShardEntry
    place: TextPlace
    n_bytes: int
    """Bytes of text in it."""
    source_tokens: dict[str, int]
    """Tokens of each source, by its number; JSON's keys are text."""
    mtime_ns: int
    """When its file was written."""

    def is_whole(self, folder: Path) -> bool:
        """Whether the file is what was written: by its time and checksums, or by all its bytes when it was touched."""
        path = folder / self.entry.file
        try:
            known = read_layout(path).root == self.entry.root
            return known and (path.stat().st_mtime_ns == self.mtime_ns or sha256_of(path) == self.entry.sha256)
        except DataError:
            return False


class ShardJournal:
    """Finished shards in the order in which they were written; what does not belong to `key` is removed."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._path = folder / "survey" / "shards.jsonl"
        self.finished: list[FinishedShard] = []
        self.n_bytes = 0
        """Bytes of text in all finished shards."""
        self._final: list[str] = []
        # Behind a damaged line nothing is believed: the shard that it told of would be missing in the text.
        rows = list(rows_before_damage(self._path))
        if rows and rows[0].get("key") == key:
            self._take(rows[1:])
        self._clean()
        kept = [{"key": key}, *self._rows()]
        write_bytes(self._path, sealed_lines(kept))

    def of(self, split: Split) -> list[FinishedShard]:
        """The finished shards of one side."""
        return [shard for shard in self.finished if shard.entry.split == split]

    def next_place(self, split: Split) -> TextPlace:
        """Where the next shard of this side begins."""
        finished = self.of(split)
        return finished[-1].place if finished else TextPlace()

    def is_final(self, split: Split) -> bool:
        """True when all shards of this side are finished."""
        return split in self._final

    def add(self, shard: FinishedShard) -> None:
        """Records a shard that is on the disk."""
        append_row(self._path, asdict(shard))
        self._keep(shard)

    def finish(self, split: Split) -> None:
        """Records that no shard of this side is missing."""
        append_row(self._path, {"final": split})
        self._final.append(split)

    def _take(self, rows: list[dict[str, Any]]) -> None:
        """Believes the journal up to the first shard whose file is not what was written."""
        for row in rows:
            if "final" in row:
                self._final.append(row["final"])
                continue
            shard = FinishedShard(**{**row, "entry": ShardEntry(**row["entry"]), "place": TextPlace(**row["place"])})
            if not shard.is_whole(self._folder):
                return
            self._keep(shard)

    def _keep(self, shard: FinishedShard) -> None:
        self.finished.append(shard)
        self.n_bytes += shard.n_bytes

    def _rows(self) -> Iterator[dict[str, Any]]:
        for split in ("validation", "train"):
            yield from (asdict(shard) for shard in self.finished if shard.entry.split == split)
            if split in self._final:
                yield {"final": split}

    def _clean(self) -> None:
        """Removes shards of other preparations, stumps of interrupted ones, and a manifest that is not complete."""
        ours = {shard.entry.file for shard in self.finished}
        with disk_faults(self._folder, "cleaning"):
            for path in (*self._folder.iterdir(), *self._path.parent.iterdir()):
                if STUMP.fullmatch(path.name) or (OURS.fullmatch(path.name) and path.name not in ours):
                    path.unlink()
            if len(self._final) < 2:
                (self._folder / FILE_NAME).unlink(missing_ok=True)
