"""Which of many short runs of tokens stand in a text: one pass, whatever the text is like."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from chainrule.data import TokenStore
from chainrule.evaluate.copies import window_hashes

# Some 25 MB while they are looked through; two millions at once took 200, of which a text of 2 MB was most.
CHUNK_TOKENS = 2**18


def share_found(runs: Sequence[Sequence[int]], store: TokenStore, *, check: Callable[[], None] = lambda: None) -> float:
    """The share of `runs` (token ids, all equally many) that stand in `store`; 0 without any.

    One pass over the store, whatever its text is like: each run is looked for until it is found once. `check` is called
    now and then, and may raise to stop.
    """
    wanted = Counter(map(tuple, runs))
    if not wanted:
        return 0.0
    length = len(next(iter(wanted)))
    left = {int(window_hashes(np.array(run, np.int64), length)[0]): run for run in wanted}
    n_found = 0
    for start in range(0, store.n_tokens - length + 1, CHUNK_TOKENS):
        check()
        chunk = store.read(start, min(CHUNK_TOKENS + length - 1, store.n_tokens - start))
        hashes = window_hashes(chunk, length)
        known = np.sort(np.array(list(left), np.uint64))
        places = np.flatnonzero(known[np.searchsorted(known[:-1], hashes)] == hashes)
        met, firsts = np.unique(hashes[places], return_index=True)
        for value, place in zip(met.tolist(), places[firsts].tolist(), strict=True):
            # Nothing rests on a hash.
            if tuple(chunk[place : place + length].tolist()) == left[value]:
                n_found += wanted[left.pop(value)]
        if not left:
            break
    return n_found / wanted.total()
