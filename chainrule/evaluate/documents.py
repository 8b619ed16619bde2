"""Texts scored document by document: each token of each of them once, and none that is not in the text."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from chainrule.evaluate.scoring import AS_IT_IS, OnProgress, Scores, Scoring, check_vocabulary, looking
from chainrule.evaluate.texts import Texts
from chainrule.evaluate.windows import Windows, windows_of_documents
from chainrule.model import GPT, IGNORED, evaluating

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class DocumentScores:
    """Surprise by document: nats, tokens and bytes of what was scored of each (zeros where nothing was)."""

    texts: Texts
    nats: NDArray[np.float64]
    n_tokens: Ids
    n_bytes: Ids

    @property
    def total(self) -> Scores:
        """Everything, and by source."""
        of = self.texts.sources
        sums = [
            np.bincount(of, each, len(self.texts.source_names)) for each in (self.nats, self.n_tokens, self.n_bytes)
        ]
        rows = zip(self.texts.source_names, *sums, strict=True)
        by_source = {name: Scores(float(nats), int(n), int(size)) for name, nats, n, size in rows if n}
        return Scores(float(self.nats.sum()), int(self.n_tokens.sum()), int(self.n_bytes.sum()), by_source)

    def by_document(self) -> Iterator[tuple[str, Scores]]:
        """Name and scores of each document of which a token was scored, in their order."""
        for name, nats, n, size in zip(self.texts.names, self.nats, self.n_tokens, self.n_bytes, strict=True):
            if n:
                yield name, Scores(float(nats), int(n), int(size))


def score_documents(
    model: GPT,
    texts: Texts,
    byte_lengths: NDArray[np.int32],
    scoring: Scoring = AS_IT_IS,
    *,
    on_progress: OnProgress | None = None,
) -> DocumentScores:
    """Scores every token of every document, each exactly once, and no other.

    A document stands alone: it is read behind one end-of-text, as each document of a training text is and as generation
    from nothing begins, so its first token is predicted too and all its bytes are accounted for. That it ends is not
    predicted, because it is not in the text. Windows move as in `score`; a document that fits into context_length is
    one window, and attention stays inside it whatever `scoring.documents` says. `scoring.max_tokens` takes at most
    that many (rounded to windows, at least one), spread evenly over the documents and within them. Copies count as
    often as they are there. Deterministic. Raises ModelError when the
    vocabulary is larger than the model's, ConfigError for a stride or a number out of range.
    """
    check_vocabulary(model, byte_lengths)
    windows = windows_of_documents(texts.begins, model.config.context_length, scoring.stride, scoring.max_tokens)
    owners = np.searchsorted(texts.begins, windows.firsts, side="right") - 1
    sums = np.zeros((3, texts.n_documents))
    done = 0
    with evaluating(model):
        for rows in _batches(windows, scoring.micro_batch, model.config.context_length):
            batch = _read(texts, windows, rows, byte_lengths)
            counted = batch.targets != IGNORED
            sums[0] += np.bincount(owners[rows], _nats(model, batch, scoring), texts.n_documents)
            sums[1] += np.bincount(owners[rows], counted.sum(1), texts.n_documents)
            sums[2] += np.bincount(owners[rows], batch.n_bytes, texts.n_documents)
            done += len(rows)
            if on_progress:
                on_progress(done, len(windows.ends))
    return DocumentScores(texts, sums[0], sums[1].astype(np.int64), sums[2].astype(np.int64))


class _Batch(NamedTuple):
    """Windows of one pass, filled up on the right: attention looks back, so what stands there changes nothing."""

    ids: Ids
    targets: Ids
    n_bytes: Ids


def _batches(windows: Windows, micro_batch: int, context_length: int) -> Iterator[Ids]:
    """Windows that go through the model together: of similar length, and the more of them the shorter they are."""
    lengths = windows.ends - 1 - windows.starts
    order = np.argsort(lengths, kind="stable")
    lengths = lengths[order]
    place = 0
    while place < len(order):
        # The longest of a batch decides what it costs: at most a quarter more than the shortest.
        longest = int(np.searchsorted(lengths, 1.25 * lengths[place], side="right"))
        n_rows = max(1, micro_batch * context_length // int(lengths[place]))
        yield np.sort(order[place : min(place + n_rows, longest)])
        place = min(place + n_rows, longest)


def _read(texts: Texts, windows: Windows, rows: Ids, byte_lengths: NDArray[np.int32]) -> _Batch:
    starts, firsts, ends = windows.starts[rows], windows.firsts[rows], windows.ends[rows]
    places = starts[:, None] + np.arange(int((ends - starts).max()))
    ids = texts.tokens[np.minimum(places, len(texts.tokens) - 1)].astype(np.int64)
    counted = (places[:, 1:] >= firsts[:, None]) & (places[:, 1:] < ends[:, None])
    n_bytes = np.where(counted, byte_lengths[ids[:, 1:]], 0).sum(1)
    return _Batch(ids[:, :-1], np.where(counted, ids[:, 1:], IGNORED), n_bytes)


def _nats(model: GPT, batch: _Batch, scoring: Scoring) -> NDArray[np.float64]:
    """Nats of each window's counted targets."""
    device = model.token_embedding.weight.device
    ids, targets = (torch.from_numpy(each).to(device) for each in (batch.ids, batch.targets))
    with looking(device, scoring.autocast):
        losses = model.token_losses(ids, targets)
    nats: NDArray[np.float64] = losses.cpu().double().sum(1).numpy()
    return nats
