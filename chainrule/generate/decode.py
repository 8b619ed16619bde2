"""From texts to their next tokens: rows come and go, and each step reads what is new in all of them and draws."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.base import ModelError
from chainrule.generate.choosing import draw, only, uniforms
from chainrule.generate.prompts import SPREAD_TOKENS
from chainrule.generate.reading import Hearer, Prefix, Reader, scores_of, tell
from chainrule.generate.rules import Rule, before_greedy
from chainrule.generate.texts import Texts
from chainrule.model import GPT, KVCache


@dataclass
class _Row:
    """One text while it is written: all its ids, of which those from `first` to `read` are in the cache."""

    number: int
    ids: list[int]
    rules: tuple[Rule, ...]
    sure: bool  # the likeliest token after the rules is taken, without dice
    dice: Iterator[float]
    among: tuple[int, ...]
    hear: Hearer | None
    reader: Reader
    first: int = 0
    read: int = 0
    begun: bool = False

    @property
    def n_unread(self) -> int:
        return len(self.ids) - self.read


class Decoder:
    """Writes up to `n_rows` texts at once, each of at most `max_length` cached tokens; texts may begin and end anytime.

    No padding: a token has the place that it would have alone, and a row draws from a generator of its own, so a row's
    text does not depend on its neighbours (but for rounding: more rows may be added up in another order), and the
    global random state is untouched. Rows that begin together are read in one pass over the length of the shortest,
    and a longer one gives its own next token in place of a drawn one until it ends; a row that comes later, or is much
    longer, is read by itself first. A row that fills its places forgets the older half, and the rest is read again.

    `model` must be in evaluation mode; ids from `n_choices` on are never drawn (rows of a padded vocabulary). With an
    `ExactReader` as `reader` not even rounding depends on neighbours. A text that goes on from a `Prefix` of another
    reader (of the same shape) is read by that one: so models that share a base are read beside each other.
    """

    def __init__(
        self, model: GPT, n_rows: int, max_length: int, *, n_choices: int, reader: Reader | None = None
    ) -> None:
        weight = model.token_embedding.weight
        self.max_length = min(max_length, model.config.context_length)
        self._reader: Reader = reader or model
        self._n_rows, self._n_choices = n_rows, n_choices
        self._cache = KVCache(model.config, n_rows, self.max_length, dtype=weight.dtype, device=weight.device)
        self._texts = Texts(n_rows, weight.device)
        self._rows: list[_Row] = []  # in the cache's order, without gaps: a step costs what is being written
        self._n_admitted = 0

    @property
    def n_free(self) -> int:
        """Texts that could still be admitted."""
        return self._n_rows - len(self._rows)

    def admit(
        self,
        ids: Sequence[int],
        *,
        rules: Sequence[Rule] = (),
        seed: int = 0,
        among: Sequence[int] = (),
        prefix: Prefix | None = None,
        hear: Hearer | None = None,
    ) -> int:
        """Takes in a text to go on from; returns the number of its row, which no other will have.

        It is read in the next step, but for what it shares with the beginning of `prefix`. The first new token is one
        of `among`, where that is given. `hear` is called with the scores behind every place that is
        read. Raises ModelError for a text that is empty or longer than `max_length`, and where no row is free.
        """
        if not 0 < len(ids) <= self.max_length:
            raise ModelError(f"a text of {len(ids)} tokens; give at least 1 and at most max_length={self.max_length}")
        if not self.n_free:
            raise ModelError(f"all {self._n_rows} rows are being written; release one, or make more")
        slot, before = len(self._rows), before_greedy(rules)
        used, sure = (tuple(rules), False) if before is None else (before, True)
        reader = (prefix.reader if prefix else None) or self._reader
        row = _Row(self._n_admitted, list(ids), used, sure, uniforms(seed), tuple(among), hear, reader)
        if prefix is not None:
            row.read = prefix.n_shared(ids)
            self._cache.rows(slot, slot + 1).put(prefix.cache, row.read)
        self._texts.put(slot, row.ids)
        self._rows.append(row)
        self._n_admitted += 1
        return row.number

    @torch.no_grad()
    def step(self) -> dict[int, int]:
        """The new token of each row that has one, by the row's number; a row still in its prompt has none."""
        if not self._rows:
            return {}
        for slot in range(len(self._rows)):
            self._forget(slot)
        n_tokens, found = self._catch_up(), []
        for start, stop in self._runs():
            stream, reader = self._read(start, stop, n_tokens), self._rows[start].reader
            found.append(scores_of(reader, stream[:, -1], self._n_choices))
            for slot in range(start, stop):
                row, own = self._rows[slot], slot - start
                self._tell(row, stream[own, :-1], row.read - n_tokens)
                if row.hear:
                    row.hear(row.read - 1, found[-1][own : own + 1])
        scores = torch.cat(found) if len(found) > 1 else found[0]
        drawn = [slot for slot, row in enumerate(self._rows) if not row.n_unread]
        tokens = self._choose(scores, drawn)
        self._texts.append(drawn, [len(self._rows[slot].ids) for slot in drawn], tokens)
        for slot, token in zip(drawn, tokens, strict=True):
            self._rows[slot].ids.append(token)
            self._rows[slot].among = ()
        return {self._rows[slot].number: token for slot, token in zip(drawn, tokens, strict=True)}

    def kept(self, row: int) -> Prefix:
        """What the model has read of a row (all but its last token), copied, for texts that go on from it."""
        slot = self._slot(row)
        one = self._rows[slot]
        n_places = one.read - one.first
        ids, cache = tuple(one.ids[one.first : one.read]), self._cache.rows(slot, slot + 1).copy(n_places)
        return Prefix(ids, cache, one.reader)

    def release(self, row: int) -> None:
        """Ends a row, whose place another text may take; the others go on as they were."""
        slot, last = self._slot(row), len(self._rows) - 1
        end = self._cache.rows(last, last + 1)
        if slot != last:
            self._put(slot, self._rows[last], end)
        end.truncate(0)
        self._rows.pop()

    def _put(self, slot: int, row: _Row, cache: KVCache) -> None:
        """The slot becomes this row, with what is read of it."""
        self._cache.rows(slot, slot + 1).put(cache, cache.length)
        self._texts.put(slot, row.ids)
        self._rows[slot] = row

    def _runs(self) -> list[tuple[int, int]]:
        """From and to before which slots rows have one reader, once those of each stand together."""
        runs, start, n_rows = list[tuple[int, int]](), 0, len(self._rows)
        while start < n_rows:
            reader, stop = self._rows[start].reader, start + 1
            for slot in range(start + 1, n_rows):
                if self._rows[slot].reader is reader:
                    if slot != stop:
                        self._swap(slot, stop)
                    stop += 1
            runs.append((start, stop))
            start = stop
        return runs

    def _swap(self, one: int, other: int) -> None:
        mine, copied = self._rows[one], self._cache.rows(one, one + 1)
        copied = copied.copy(copied.length)
        self._put(one, self._rows[other], self._cache.rows(other, other + 1))
        self._put(other, mine, copied)

    def _slot(self, number: int) -> int:
        for slot, row in enumerate(self._rows):
            if row.number == number:
                return slot
        raise ModelError(f"row {number} is not being written: it was released, or never admitted")

    def _forget(self, slot: int) -> None:
        """Makes room in a row that is full: its younger half is to be read again, as if it had just begun."""
        row = self._rows[slot]
        if len(row.ids) - row.first > self.max_length:
            self._cache.rows(slot, slot + 1).truncate(0)
            row.first = row.read = len(row.ids) - max(1, self.max_length // 2)
            row.begun = False

    def _catch_up(self) -> int:
        """Reads by itself what a newcomer has more than the others; returns how many tokens all rows have to read."""
        least = min(row.n_unread for row in self._rows)
        # While nobody waits, a few tokens more are cheaper one by one than a pass of their own.
        spread = 0 if any(row.begun for row in self._rows) else SPREAD_TOKENS
        for slot, row in enumerate(self._rows):
            if not row.begun and row.n_unread > least + spread:
                first, stream = row.read, self._read(slot, slot + 1, row.n_unread - least)
                self._tell(row, stream[0], first)
            row.begun = True
        return least

    def _read(self, start: int, stop: int, n_tokens: int) -> Float[Tensor, "B T D"]:
        """Takes the next tokens of these rows, which have one reader, through its model; returns the stream."""
        rows, cache = self._rows[start:stop], self._cache.rows(start, stop)
        ids = torch.tensor([row.ids[row.read : row.read + n_tokens] for row in rows], device=cache.keys.device)
        stream = rows[0].reader.stream(ids, cache)
        for row in rows:
            row.read += n_tokens
        return stream

    def _tell(self, row: _Row, stream: Float[Tensor, "T D"], place: int) -> None:
        """Gives the row's hearer the scores behind these places, of which `place` is the first."""
        if row.hear is not None:
            tell(row.hear, row.reader, stream, place, self._n_choices)

    def _choose(self, logits: Float[Tensor, "B V"], slots: list[int]) -> list[int]:
        """A token for each of the slots, by its rules and its dice."""
        for slot in slots:
            if among := self._rows[slot].among:
                logits[slot] = only(logits[slot], among)
        for alike in self._alike(slots):
            logits = self._ruled(logits, alike)
        # What is sure needs no probabilities and no dice.
        sure = [slot for slot in slots if self._rows[slot].sure]
        certain = logits if len(sure) == len(logits) else logits[sure]
        tokens = dict(zip(sure, certain.argmax(-1).tolist(), strict=True))
        if dicing := [slot for slot in slots if not self._rows[slot].sure]:
            # On the CPU: a GPU's running sums differ from call to call, and the token is wanted here anyway.
            numbers = torch.tensor([next(self._rows[slot].dice) for slot in dicing])
            scores = logits if len(dicing) == len(logits) else logits[dicing]
            tokens |= zip(dicing, draw(scores.cpu(), numbers).tolist(), strict=True)
        return [tokens[slot] for slot in slots]

    def _alike(self, slots: list[int]) -> Collection[list[int]]:
        """The slots in portions that have the same rules and texts of one length, so that no text needs padding."""
        portions: dict[tuple[int, ...], list[int]] = {}
        for slot in slots:
            row = self._rows[slot]
            portions.setdefault((len(row.ids), *map(id, row.rules)), []).append(slot)
        return portions.values()

    def _ruled(self, logits: Float[Tensor, "B V"], slots: list[int]) -> Float[Tensor, "B V"]:
        """The scores after the rules of some rows that are alike."""
        row, all_rows = self._rows[slots[0]], len(slots) == len(logits)
        ids, some = self._texts.ids(slots, len(row.ids)), logits if all_rows else logits[slots]
        for rule in row.rules:
            some = rule.apply(some, ids)
        if all_rows:
            return some
        logits[slots] = some
        return logits
