"""Merges from text, by the fastest engine that makes the reference's merges."""

from collections.abc import Sequence

from chainrule.tokenizer import fast, reference
from chainrule.tokenizer.document import Merge, document_of
from chainrule.tokenizer.reference import Reference

# The accelerator's process needs half a second to start; the reference learns from 2 MB in that time.
WORTH_BYTES = 2_000_000
# Near the end of a text's pairs very many are equally frequent, where the accelerator is slow. CPU seconds of both for
# 10.6 MB: 4,096 entries 0.6 (reference 2.8); 24,576 2.3 (3.0); 32,768 4.8 (3.0); 50,256 27 (2.8).
WORTH_BYTES_PER_ENTRY = 400
PROBE_BYTES, PROBE_ENTRIES = 64_000, 1_024
START_SECONDS, SLOWEST_BYTES_PER_SECOND = 30, 500_000


def learn(sample: Sequence[bytes], n_entries: int) -> tuple[list[Merge], str]:
    """Merges for `n_entries` entries, and the engine that made them, with the reason when it is not the fastest.

    `sample` is UTF-8 text. There are fewer merges when the text has no pairs left.
    """
    if sum(map(len, sample)) < max(WORTH_BYTES, n_entries * WORTH_BYTES_PER_ENTRY):
        return _learn_reference(sample, n_entries), f"{reference.NAME} (the faster one for so little text)"
    try:
        return _learn_fast(sample, n_entries), fast.name()
    except fast.FastFailedError as reason:
        return _learn_reference(sample, n_entries), f"{reference.NAME} ({reason})"


def _learn_reference(sample: Sequence[bytes], n_entries: int) -> list[Merge]:
    return reference.learn((piece.decode() for piece in sample), n_entries)


def _learn_fast(sample: Sequence[bytes], n_entries: int) -> list[Merge]:
    """The accelerator's merges; raises FastFailedError unless they are the reference's as far as can be told."""
    probe, n_probe = _head(sample, PROBE_BYTES), min(n_entries, PROBE_ENTRIES)
    limit_seconds = START_SECONDS + sum(map(len, sample)) / SLOWEST_BYTES_PER_SECOND
    merges, of_probe = fast.learn([(sample, n_entries), (probe, n_probe)], limit_seconds)
    # Where a text has no pairs left, the reference stops and the accelerator goes on with pairs that do not occur.
    expected = _learn_reference(probe, n_probe)
    if of_probe[: len(expected)] != expected:
        raise fast.FastFailedError("gigatoken makes other merges of the first part of the text")
    if not _has_pairs_left(sample, merges):
        raise fast.FastFailedError("the text has no pairs left, where gigatoken does not stop")
    return merges


def _has_pairs_left(sample: Sequence[bytes], merges: Sequence[Merge]) -> bool:
    """Whether the text has pairs that are not merged yet, so that none of the merges is of an absent pair.

    A pair is merged twice only when there are none left, and then each word of the text has become one entry.
    """
    if len(set(merges)) < len(merges):
        return False
    engine = Reference(document_of(merges))
    return any(engine.splits_a_word(piece.decode()) for piece in sample)


def _head(sample: Sequence[bytes], n_bytes: int) -> list[bytes]:
    """About the first `n_bytes` of the sample, in whole characters."""
    head: list[bytes] = []
    while len(head) < len(sample) and (room := n_bytes - sum(map(len, head))) > 0:
        head.append(sample[len(head)][:room].decode(errors="ignore").encode())
    return head
