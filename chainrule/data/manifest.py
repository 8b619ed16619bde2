"""The description of a prepared text: shards with their checksums, one fingerprint over all, and the data report."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from chainrule.base import DataError, open_file, unsealed, write_sealed
from chainrule.data.shards import system_fault
from chainrule.run import DataReport

VERSION = 1
FILE_NAME = "manifest.json"


@dataclass(frozen=True)
class ShardEntry:
    """One shard file."""

    file: str
    split: str
    tokens: int
    documents: int
    """Documents that end in it."""
    sha256: str
    root: str = ""
    """SHA-256 of its header and of the checksums of its blocks; empty in shards from before there were any."""


@dataclass(frozen=True)
class Manifest:
    """What manifest.json holds."""

    version: int
    fingerprint: str
    """SHA-256 over everything here but the report."""
    tokenizer: str
    """Fingerprint of the tokenizer."""
    vocab_size: int
    end_of_text: int
    dtype: str
    sources: tuple[str, ...]
    shards: tuple[ShardEntry, ...]
    report: DataReport = field(repr=False)
    """Files, documents, bytes, duplicates, tokens and so on; sizes in bytes of UTF-8."""

    def tokens(self, split: str) -> int:
        """Tokens of one side, end-of-text tokens included."""
        return sum(shard.tokens for shard in self.shards if shard.split == split)


def sealed(manifest: Manifest) -> Manifest:
    """The manifest with its fingerprint."""
    return replace(manifest, fingerprint=fingerprint(manifest))


def fingerprint(manifest: Manifest) -> str:
    """What checkpoints remember: equal fingerprints mean equal tokens in equal order."""
    content = _content(manifest)
    del content["fingerprint"], content["report"]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _content(manifest: Manifest) -> dict[str, Any]:
    content = asdict(manifest)
    # A shard without checksums of its blocks says nothing of them: the fingerprints of older manifests stay true.
    shards = ({key: value for key, value in shard.items() if key != "root" or value} for shard in content["shards"])
    return {**content, "shards": tuple(shards), "report": manifest.report.row()}


def save_manifest(manifest: Manifest, folder: Path) -> None:
    """Writes `folder`/manifest.json with its checksum, whole or not at all."""
    write_sealed(folder / FILE_NAME, _content(manifest))


def is_prepared(folder: Path) -> bool:
    """Whether a text lies there whole: the manifest comes last, and what a kill left half made has none."""
    return (folder / FILE_NAME).is_file()


def load_manifest(folder: Path) -> Manifest:
    """Reads `folder`/manifest.json; raises DataError when it is absent, damaged, edited or of another version."""
    path = folder / FILE_NAME
    try:
        with open_file(path) as stream:
            content = json.loads(stream.read())
    except FileNotFoundError as fault:
        raise DataError(f"{folder}: holds no prepared text (no {FILE_NAME}); prepare it first") from fault
    except OSError as fault:
        raise system_fault(path, fault) from fault
    except (ValueError, RecursionError) as fault:
        raise DataError(f"{path}: is damaged ({fault}); prepare the text again") from fault
    return _checked(content, path)


def _checked(content: Any, path: Path) -> Manifest:
    version = content.get("version") if isinstance(content, Mapping) else None
    if version != VERSION:
        raise DataError(f"{path}: is of version {version}, this chainrule reads {VERSION}; prepare the text again")
    # The fingerprint is of what is learnt from; the seal is of the report as well, whose sizes figures are told by.
    content = unsealed(content)
    if content is None:
        raise DataError(f"{path}: was edited or damaged (its seal does not fit); prepare the text again")
    try:
        shards = tuple(ShardEntry(**entry) for entry in content["shards"])
        report = DataReport.of(content["report"]) or DataReport()
        manifest = Manifest(**{**content, "shards": shards, "sources": tuple(content["sources"]), "report": report})
        whole = fingerprint(manifest) == manifest.fingerprint
    except (TypeError, KeyError, ValueError, AttributeError, RecursionError) as fault:
        raise DataError(f"{path}: is damaged ({fault}); prepare the text again") from fault
    if not whole or any(Path(shard.file).name != shard.file for shard in shards):
        raise DataError(f"{path}: was edited (its fingerprint does not fit); prepare the text again")
    # Of a manifest without a seal (before December 2026) the sizes are looked at, by which losses are told.
    if any(report.split_bytes.get(side, -1) < 0 for side in ("train", "validation")):
        raise DataError(f"{path}: is damaged (its report does not tell the sizes); prepare the text again")
    return manifest
