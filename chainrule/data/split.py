"""Which text is held out: whole documents by the order of their digests, and near duplicates on one side only.

The choice depends on the content alone: neither on file names nor on the order of reading.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule.data.table import CUT, LEFT_OUT, TRAIN, VALIDATION

# Whole documents serve when they come to within these factors of the wanted share.
ENOUGH, ALMOST, AT_MOST = 0.5, 0.95, 1.1


@dataclass(frozen=True)
class HoldOut:
    """States of all documents, and the place where one is cut (None: only whole documents are held out)."""

    states: NDArray[np.uint8]
    cut: tuple[int, int] | None
    """Document and byte from which on its next line is held out."""


def hold_out(
    states: NDArray[np.uint8],
    sizes: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    roots: NDArray[np.int64],
    share: float,
) -> HoldOut:
    """Holds out `share` of the bytes of the documents whose state is TRAIN.

    Clusters (equal `roots`) are taken whole, in the order of their smallest key. When whole documents cannot give at
    least half of the share (a single book), the last share of the text in reading order is held out instead.
    """
    usable = np.flatnonzero(states == TRAIN)
    if not usable.size:
        return HoldOut(states, None)
    wanted = share * float(sizes[usable].sum())
    chosen = _chosen_clusters(usable, sizes, keys, roots, wanted)
    states = states.copy()
    if chosen is None:
        return _last_share(states, usable, sizes, roots, wanted)
    states[usable[np.isin(roots[usable], chosen)]] = VALIDATION
    return HoldOut(states, None)


def _chosen_clusters(
    usable: NDArray[np.int64],
    sizes: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    roots: NDArray[np.int64],
    wanted: float,
) -> NDArray[np.int64] | None:
    """Roots of the clusters to hold out; None when they cannot give enough."""
    found, place = np.unique(roots[usable], return_inverse=True)
    cluster_bytes = np.bincount(place, weights=sizes[usable].astype(np.float64), minlength=len(found))
    cluster_keys = np.full(len(found), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(cluster_keys, place, keys[usable])
    chosen, taken = list[int](), 0.0
    for cluster in np.argsort(cluster_keys, kind="stable"):
        if taken + cluster_bytes[cluster] <= AT_MOST * wanted:
            chosen.append(found[cluster])
            taken += cluster_bytes[cluster]
        if taken >= ALMOST * wanted:
            break
    return np.array(chosen, np.int64) if taken >= ENOUGH * wanted and len(chosen) < len(found) else None


def _last_share(
    states: NDArray[np.uint8],
    usable: NDArray[np.int64],
    sizes: NDArray[np.uint64],
    roots: NDArray[np.int64],
    wanted: float,
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
        return HoldOut(states, None)
    # Its own beginning is trained on, so no later document that is like it may judge.
    states[usable[at + 1 :][roots[usable[at + 1 :]] == roots[document]]] = LEFT_OUT
    states[document] = CUT
    return HoldOut(states, (int(document), byte))
