"""Which text is held out: whole documents by the order of their digests, and near duplicates on one side only.

The choice depends on the content alone, neither on file names nor on the order of reading, unless there are so few
documents that the end of the text is held out. What is held out has a limit in bytes as well as in share: scores get no
truer from more, and looks would take ever longer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data.clusters import Clusters, by_key, grouped, singles
from chainrule.data.document_links import DocumentLinks
from chainrule.data.table import CUT, LEFT_OUT, TRAIN, VALIDATION

# Whole documents serve when they come to within these factors of what is wanted.
ENOUGH, ALMOST, AT_MOST = 0.5, 0.95, 1.1
# Under the limit, a document beyond this share of it is too large to be held out whole: one would stand for all.
HUGE = 1 / 8
# Of documents so large so many ends are held out, spread over them by their bytes.
ENDS = 16
# A cut is moved to the end of a line within this share of what is held out behind it, and never further than that.
REACH, MOST_REACH = 1 / 2, 4096


class Cut(NamedTuple):
    """Where a document is cut: what stands behind `byte` is held out, from the next end of a line on if it is near."""

    document: int
    byte: int
    reach: int
    """How many bytes away the end of a line, a sentence or a word may be."""


@dataclass(frozen=True)
class HoldOut:
    """States of all documents, and the places where some are cut (none: only whole documents are held out)."""

    states: NDArray[np.uint8]
    cuts: tuple[Cut, ...] = ()
    limited: bool = False
    """The limit in bytes was less than the share."""
    spread: bool = False
    """The cuts are the ends of huge documents, and no last part of all text."""
    copies: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """By the state of what was removed as a copy: the first documents, each with the one that it repeats."""


def hold_out(
    states: NDArray[np.uint8],
    sizes: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    roots: DocumentLinks,
    share: float,
    most: float = np.inf,
) -> HoldOut:
    """Holds out `share` of the bytes of the documents whose state is TRAIN, no more than about `most` bytes.

    Clusters (equal `roots`) are taken whole, in the order of their smallest key. When `most` is the smaller, huge
    documents give their share of it by their ends. When neither gives half of what is wanted (a single book), the last
    part of the text in reading order is held out instead.
    """
    usable = states == TRAIN
    if not usable.any():
        return HoldOut(states)
    total = float(sizes.sum(where=usable))
    wanted, limited = min(share * total, most), most < share * total
    groups, members = grouped(usable, sizes, keys, roots)
    single = usable.copy()
    single[members.documents] = False
    limit = HUGE * wanted if limited else np.inf
    huge = Clusters.joined(groups.chosen(groups.n_bytes > limit), singles(single & (sizes > limit), sizes, keys))
    of_huge = wanted * float(huge.n_bytes.sum()) / total
    small = groups.chosen(groups.n_bytes <= limit), single & (sizes <= limit)
    chosen, taken = _whole(by_key(*small, sizes, keys), wanted - of_huge)
    cuts = _ends(huge.chosen(huge.n_documents == 1), sizes, of_huge)
    taken += sum(int(sizes[cut.document]) - cut.byte for cut in cuts)
    states = states.copy()
    if taken < ENOUGH * wanted or len(chosen) == len(groups.roots) + np.count_nonzero(single):
        return _last_part(states, np.flatnonzero(usable), sizes, roots.dense(len(states)), wanted, limited=limited)
    states[members.documents[np.isin(members.targets, chosen)]] = states[chosen[single[chosen]]] = VALIDATION
    states[[cut.document for cut in cuts]] = CUT
    return HoldOut(states, cuts, limited, spread=bool(cuts))


def _whole(clusters: Iterable[tuple[int, int]], wanted: float) -> tuple[NDArray[np.int64], float]:
    """The roots of the clusters to hold out whole, and their bytes; they come in their order, with their bytes."""
    chosen, taken = list[int](), 0.0
    for root, n_bytes in clusters:
        if taken >= ALMOST * wanted:
            break
        if taken + n_bytes <= AT_MOST * wanted:
            chosen.append(root)
            taken += n_bytes
    return np.array(chosen, np.int64), taken


def _ends(alone: Clusters, sizes: NDArray[np.uint64], wanted: float) -> tuple[Cut, ...]:
    """Ends of huge documents: evenly spaced places in all their bytes say which, so that each byte counts alike.

    Only documents that nothing else is like: the beginning of the document stays in the training text.
    """
    documents = alone.first_members[np.lexsort((alone.roots, alone.keys))]
    if not documents.size:
        return ()
    ends = np.cumsum(sizes[documents].astype(np.float64))
    hits = np.searchsorted(ends, (np.arange(ENDS) + 0.5) * ends[-1] / ENDS, side="right")
    cuts = []
    for hit, times in zip(*np.unique(hits, return_counts=True), strict=True):
        size, held = int(sizes[documents[hit]]), wanted * int(times) / ENDS
        cuts.append(_cut(int(documents[hit]), size - max(1, min(round(held), size // 2)), held))
    return tuple(sorted(cuts))


def _last_part(
    states: NDArray[np.uint8],
    usable: NDArray[np.int64],
    sizes: NDArray[np.uint64],
    roots: NDArray[np.int64],
    wanted: float,
    *,
    limited: bool,
) -> HoldOut:
    """Cuts the text in reading order; what is like held-out text is neither trained on nor held out."""
    ends = np.cumsum(sizes[usable])
    border = float(ends[-1]) - wanted
    at = int(np.searchsorted(ends, border, side="right"))
    document = usable[at]
    byte = min(round(border - float(ends[at] - sizes[document])), int(sizes[document]) - 1)
    held = usable[at:]
    states[held] = VALIDATION
    alike = usable[:at][np.isin(roots[usable[:at]], roots[held])]
    states[alike] = LEFT_OUT
    if byte <= 0:
        return HoldOut(states, (), limited)
    # Its own beginning is trained on, so no later document that is like it may judge.
    states[usable[at + 1 :][roots[usable[at + 1 :]] == roots[document]]] = LEFT_OUT
    states[document] = CUT
    return HoldOut(states, (_cut(int(document), byte, wanted),), limited)


def _cut(document: int, byte: int, held: float) -> Cut:
    return Cut(document, byte, int(min(held * REACH, MOST_REACH)))
