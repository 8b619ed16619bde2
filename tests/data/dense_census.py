"""What is kept and held out, decided with an array over all documents for each step: slow, large and plain.

The reference that test_census.py holds the census against.
"""

import numpy as np

from chainrule.data.neighbours import ROUNDS, band_shape
from chainrule.data.split import ALMOST, AT_MOST, ENDS, ENOUGH, HUGE, HoldOut, _cut, _last_part
from chainrule.data.table import BAD, CUT, DUPLICATE, MENDED, NEAR_DUPLICATE, TRAIN, VALIDATION


def decide(tables, config):
    table = tables.read()
    states = table["state"].copy()
    states[states == MENDED] = BAD if config.on_bad == "skip" else TRAIN
    exact = exact_links(table["digest"], states == TRAIN)
    repeated = exact != np.arange(len(table))
    candidates = np.flatnonzero(~repeated & table["signed"] & (states == TRAIN))
    near = near_links(tables, candidates, len(table), config.near_threshold)
    if config.duplicates == "remove":
        states[repeated] = DUPLICATE
    if config.near_duplicates == "remove":
        states[near_duplicates(tables, near, config.near_threshold)] = NEAR_DUPLICATE
        states[(states[exact] == NEAR_DUPLICATE) & (states == TRAIN)] = NEAR_DUPLICATE
    roots = clusters(np.where(repeated, exact, near))
    return hold_out(
        states, table["bytes"], table["digest"][:, 0], roots, config.validation_share, config.validation_bytes
    )


def exact_links(digests, usable):
    links, seen = np.arange(len(digests)), {}
    for document in np.flatnonzero(usable).tolist():
        links[document] = seen.setdefault(tuple(digests[document].tolist()), document)
    return links


def near_links(tables, candidates, n, threshold):
    links = np.arange(n)
    bands, rows = band_shape(threshold)
    (_, signatures), *_ = tables.signature_chunks(n) if n else [(0, np.empty((0, 128), np.uint16))]
    for band in range(bands):
        buckets = {}
        for document in candidates.tolist():
            key = signatures[document, band * rows : (band + 1) * rows].tobytes()
            buckets.setdefault(key, []).append(document)
        for bucket in buckets.values():
            for _ in range(ROUNDS):
                members = [document for document in bucket[1:] if links[document] == document]
                if not members:
                    break
                alike = tables.agreement(np.full(len(members), bucket[0]), np.array(members)) >= threshold
                links[np.array(members)[alike]] = bucket[0]
                bucket = np.array(members)[~alike].tolist()
                if not bucket:
                    break
    return links


def clusters(links):
    while not np.array_equal(links[links], links):
        links = links[links]
    return links


def near_duplicates(tables, links, threshold):
    removed = np.zeros(len(links), bool)
    for document in np.flatnonzero(links != np.arange(len(links))):
        kept = links[document]
        while removed[kept]:
            kept = links[kept]
        pair = np.array([kept]), np.array([document])
        removed[document] = kept == links[document] or tables.agreement(*pair)[0] >= threshold
    return removed


def hold_out(states, sizes, keys, roots, share, most=np.inf):
    usable = np.flatnonzero(states == TRAIN)
    total = float(sizes[usable].sum())
    wanted, limited = min(share * total, most), most < share * total
    if not usable.size:
        return HoldOut(states)
    found, place = np.unique(roots[usable], return_inverse=True)
    cluster_bytes = np.bincount(place, sizes[usable].astype(np.float64), len(found)).astype(np.float64)
    cluster_keys = np.full(len(found), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(cluster_keys, place, keys[usable])
    order = np.argsort(cluster_keys, kind="stable")
    huge = cluster_bytes > (HUGE * wanted if limited else np.inf)
    of_huge = wanted * float(cluster_bytes[huge].sum()) / total
    chosen, taken = [], 0.0
    for cluster in order[~huge[order]]:
        if taken >= ALMOST * (wanted - of_huge):
            break
        if taken + cluster_bytes[cluster] <= AT_MOST * (wanted - of_huge):
            chosen.append(cluster)
            taken += cluster_bytes[cluster]
    cuts = ends(order[huge[order]], place, usable, sizes, of_huge)
    taken += sum(int(sizes[cut.document]) - cut.byte for cut in cuts)
    states = states.copy()
    if taken < ENOUGH * wanted or len(chosen) == len(order):
        return _last_part(states, usable, sizes, roots, wanted, limited=limited)
    states[usable[np.isin(place, chosen)]] = VALIDATION
    states[[cut.document for cut in cuts]] = CUT
    return HoldOut(states, cuts, limited, spread=bool(cuts))


def ends(order, place, usable, sizes, wanted):
    alone = np.bincount(place, minlength=int(place.max()) + 1) == 1
    documents = np.array([usable[place == cluster][0] for cluster in order[alone[order]]], np.int64)
    if not documents.size:
        return ()
    borders = np.cumsum(sizes[documents].astype(np.float64))
    hits = np.searchsorted(borders, (np.arange(ENDS) + 0.5) * borders[-1] / ENDS, side="right")
    cuts = []
    for hit, times in zip(*np.unique(hits, return_counts=True), strict=True):
        size, held = int(sizes[documents[hit]]), wanted * int(times) / ENDS
        cuts.append(_cut(int(documents[hit]), size - max(1, min(round(held), size // 2)), held))
    return tuple(sorted(cuts))
