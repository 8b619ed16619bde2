"""From the table of all documents to the ones that are kept, their side of the split, and the figures of it all."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError, whole_file
from chainrule.config import TextConfig
from chainrule.data.document_links import DocumentLinks, clusters
from chainrule.data.files import Listing, TextFile
from chainrule.data.folders import shown
from chainrule.data.neighbours import exact_links, near_duplicates, near_links
from chainrule.data.policy import refuse_flaw
from chainrule.data.recording import EXAMPLES
from chainrule.data.scan import Counts
from chainrule.data.split import HoldOut, hold_out
from chainrule.data.table import (
    BAD,
    CUT,
    DUPLICATE,
    EMPTY,
    FILTERED,
    LEFT_OUT,
    MENDED,
    NEAR_DUPLICATE,
    TRAIN,
    VALIDATION,
    TableFiles,
)

CHUNK_ROWS = 1 << 17
COPIES = {"duplicates": DUPLICATE, "near duplicates": NEAR_DUPLICATE}
DECIDING = ("duplicates", "near_duplicates", "near_threshold", "on_bad", "validation_share", "validation_bytes")
"""Settings that say what is done with documents; all others of the text say what documents there are."""


def decide(tables: TableFiles, config: TextConfig) -> HoldOut:
    """Marks duplicates and near duplicates, then holds out whole documents (or the last share of the text)."""
    table = tables.read()
    states = table["state"].copy()
    states[states == MENDED] = BAD if config.on_bad == "skip" else TRAIN
    candidates = states == TRAIN
    exact = exact_links(table["digest"], candidates, tables.folder)
    candidates[exact.documents] = False
    candidates &= table["signed"]
    near = near_links(tables, candidates, config.near_threshold)
    if config.duplicates == "remove":
        states[exact.documents] = DUPLICATE
    if config.near_duplicates == "remove":
        states[near_duplicates(tables, near, config.near_threshold)] = NEAR_DUPLICATE
        # A copy of a removed near duplicate is one as well, should exact copies be kept.
        copies = exact.documents[states[exact.targets] == NEAR_DUPLICATE]
        states[copies[states[copies] == TRAIN]] = NEAR_DUPLICATE
    pairs = [(links.documents, links.targets) for links in (exact, near)]
    roots = clusters(DocumentLinks.joined(len(states), pairs))
    held = hold_out(
        states, table["bytes"], table["digest"][:, 0], roots, config.validation_share, config.validation_bytes
    )
    return replace(held, copies=_copies(held.states, exact, near))


def _copies(states: NDArray[np.uint8], exact: DocumentLinks, near: DocumentLinks) -> dict[int, list[tuple[int, int]]]:
    """The first documents that were removed as copies, each with the one that it is linked to."""
    found = dict[int, list[tuple[int, int]]]()
    for state, links in ((DUPLICATE, exact), (NEAR_DUPLICATE, near)):
        places = np.flatnonzero(states[links.documents] == state)[:EXAMPLES]
        found[state] = list(zip(links.documents[places].tolist(), links.targets[places].tolist(), strict=True))
    return found


def refuse_flawed(tables: TableFiles, config: TextConfig) -> None:
    """With on_bad = error, DataError for the first document that was mended or is bad."""
    if config.on_bad == "error":
        for flaw in _flaws(tables):
            if flaw["kind"] != "binary":
                refuse_flaw(flaw["kind"], flaw["reason"])


def list_left_out(path: Path, listing: Listing, tables: TableFiles, config: TextConfig) -> None:
    """Writes the reasons for what is left out, one to a line."""
    with whole_file(path) as stream:
        wanted = (flaw for flaw in _flaws(tables) if flaw["kind"] != "mended" or config.on_bad == "skip")
        for reason in chain(listing.left_out, (flaw["reason"] for flaw in wanted)):
            stream.write(json.dumps({"reason": reason}).encode() + b"\n")


def _flaws(tables: TableFiles) -> Iterator[dict[str, str]]:
    with tables.flaws.path.open(encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def refuse_empty(states: NDArray[np.uint8], counts: Counts, config: TextConfig) -> None:
    """Raises DataError when no document is left."""
    if np.isin(states, (TRAIN, VALIDATION, CUT)).any():
        return
    found = f"{counts.documents} documents were read: {int((states == EMPTY).sum())} empty, "
    passed = "".join(f"; {count} {what}" for what, count in counts.passed_over.items())
    filtered = "".join(f", {count} by {rule}" for rule, count in counts.removed.items())
    found += f"{int((states == BAD).sum())} left out as bad{filtered}{passed}"
    raise DataError(f"{', '.join(map(shown, config.paths))}: no text there ({found})")


def figures(
    listing: Listing, counts: Counts, table: NDArray[Any], held: HoldOut, sources: Sequence[str]
) -> dict[str, Any]:
    """What the data report says before there are tokens; sizes are bytes of UTF-8."""
    states = held.states
    kept = _Kept.of(listing.files, table, states, sources)
    ignored = Counter(listing.ignored) + Counter(counts.passed_over)
    return {
        "files": len(listing.files),
        "skipped": sum(ignored.values()),
        "skipped_by": dict(sorted(ignored.items())),
        "unread": sum(counts.passed_over.values()),
        "read_documents": counts.documents,
        "documents": kept.n_documents,
        "bytes": kept.n_bytes,
        "duplicates": int((states == DUPLICATE).sum()),
        "near_duplicates": int((states == NEAR_DUPLICATE).sum()),
        "empty": int((states == EMPTY).sum()),
        "bad": int((states == BAD).sum()),
        "encoding_errors": counts.places,
        "unreadable": len(listing.left_out),
        "left_out": int((states == LEFT_OUT).sum()),
        "filtered": int((states == FILTERED).sum()),
        "masked": counts.masked,
        "removals": _removals(counts, held, table, listing.files),
        "longest": _extreme(listing.files, table, kept.longest),
        "shortest": _extreme(listing.files, table, kept.shortest),
        "held_out": _how(held),
        "sources": kept.by_source,
        "warnings": _warnings(held),
    }


def _removals(
    counts: Counts, held: HoldOut, table: NDArray[Any], files: Sequence[TextFile]
) -> dict[str, dict[str, Any]]:
    """What each step left out, with the first documents of it; the most first."""
    most_first = sorted(counts.removed.items(), key=lambda item: (-item[1], item[0]))
    found = {rule: {"documents": n, "examples": counts.examples[rule]} for rule, n in most_first}
    for words, state in COPIES.items():
        names = [[shown(files[int(table["file"][one])].path) for one in pair] for pair in held.copies.get(state, ())]
        if n := int((held.states == state).sum()):
            examples = [{"file": name, "found": f"as {first}"} for name, first in names]
            found[words] = {"documents": n, "examples": examples}
    return found


@dataclass(frozen=True)
class _Kept:
    """Sums over the documents that are kept, and the first of the longest and of the shortest."""

    by_source: dict[str, dict[str, int]]
    longest: int
    shortest: int

    @property
    def n_documents(self) -> int:
        return sum(figures["documents"] for figures in self.by_source.values())

    @property
    def n_bytes(self) -> int:
        return sum(figures["bytes"] for figures in self.by_source.values())

    @classmethod
    def of(
        cls, files: Sequence[TextFile], table: NDArray[Any], states: NDArray[np.uint8], sources: Sequence[str]
    ) -> "_Kept":
        """Looks through the table in stretches: arrays over all documents would be most of a preparation's memory."""
        number = {name: index for index, name in enumerate(sources)}
        source_of = np.array([number[file.source] for file in files])
        documents, n_bytes = np.zeros((2, len(sources)), np.int64)
        extremes = list[tuple[int, int]]()
        for start in range(0, len(table), CHUNK_ROWS):
            kept = np.flatnonzero(np.isin(states[start : start + CHUNK_ROWS], (TRAIN, VALIDATION, CUT)))
            if not kept.size:
                continue
            rows = table[start : start + CHUNK_ROWS][kept]
            source = source_of[rows["file"]]
            documents += np.bincount(source, minlength=len(sources))
            # A stretch has less than 2^53 bytes, so that these sums are exact.
            n_bytes += np.bincount(source, rows["bytes"].astype(np.float64), len(sources)).astype(np.int64)
            for place in (int(np.argmax(rows["bytes"])), int(np.argmin(rows["bytes"]))):
                extremes.append((int(rows["bytes"][place]), start + int(kept[place])))
        # Of equal sizes the first document, as it was read.
        longest = max(extremes, key=lambda extreme: (extreme[0], -extreme[1]))[1]
        by_source = {
            name: {"documents": int(documents[index]), "bytes": int(n_bytes[index])}
            for index, name in enumerate(sources)
        }
        return cls(by_source, longest, min(extremes)[1])


def _extreme(files: Sequence[TextFile], table: NDArray[Any], document: int) -> dict[str, Any]:
    row = table[document]
    return {"bytes": int(row["bytes"]), "file": shown(files[int(row["file"])].path)}


def _how(held: HoldOut) -> str:
    if not held.cuts:
        return "documents"
    return "last share" if len(held.cuts) == 1 and not held.spread else "documents and ends of huge ones"


def _warnings(held: HoldOut) -> list[str]:
    warnings = []
    if held.cuts and not held.spread:
        warnings.append(
            "Too few documents to hold some out whole: the last share of the text is held out, cut at a line's end "
            "where one is near."
        )
    left_out = int((held.states == LEFT_OUT).sum())
    if left_out:
        warnings.append(f"{left_out} documents are near duplicates of held-out text and are not trained on.")
    return warnings
