"""The beginnings of texts that were read already, kept while there is memory for them."""

from collections.abc import Sequence

from chainrule.generate import Prefix, Reader

# Below this, reading again costs less than looking.
LEAST_SHARED = 8
# Every newcomer is compared with each; of a tiny model thousands would fit.
MOST_KEPT = 256


class Prefixes:
    """Beginnings within `most_bytes`: the longest unused goes first, and one goes when a longer one contains it."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: list[Prefix] = []  # the latest used last

    @property
    def n_bytes(self) -> int:
        """Memory in use."""
        return sum(one.n_bytes for one in tuple(self._kept))

    def best(self, ids: Sequence[int], reader: Reader | None = None) -> Prefix | None:
        """The one of `reader` that shares most with the beginning of `ids`; None where that is little."""
        mine = (one for one in self._kept if one.reader is reader)
        found = max(mine, key=lambda one: one.n_shared(ids), default=None)
        if found is None or found.n_shared(ids) < LEAST_SHARED:
            return None
        self._kept.remove(found)
        self._kept.append(found)
        return found

    def covers(self, ids: Sequence[int], reader: Reader | None = None) -> bool:
        """Whether all of these ids begin one of `reader` that is kept."""
        return any(one.reader is reader and one.ids[: len(ids)] == tuple(ids) for one in self._kept)

    def keep(self, prefix: Prefix) -> None:
        """Adds one, and lets go of those that it contains and of the longest unused until all fit."""
        if prefix.n_bytes > self._most_bytes or len(prefix.ids) < LEAST_SHARED:
            return
        reader, ids = prefix.reader, prefix.ids
        self._kept = [one for one in self._kept if one.reader is not reader or ids[: len(one.ids)] != one.ids]
        self._kept.append(prefix)
        while self.n_bytes > self._most_bytes or len(self._kept) > MOST_KEPT:
            self._kept.pop(0)
