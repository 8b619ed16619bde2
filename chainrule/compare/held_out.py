"""Are runs judged on the same held-out bytes? Bits per byte mean the same only there."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.base import ChainruleError, bytes_text
from chainrule.compare.groups import Group, Member
from chainrule.data import run_dataset
from chainrule.run import read_manifest, sealed_path
from chainrule.tokenizer import load_tokenizer

READ_TOKENS = 1 << 20
# Two vocabularies cut the ends of the windows in other places.
NEARLY = 0.02


@dataclass(frozen=True)
class HeldOut:
    """Whether all runs were scored on the same bytes, and in words on which, or why that is not so."""

    same: bool
    said: str
    notes: tuple[str, ...] = ()
    """What else stands between the figures: parts of different size that were scored, other machines."""


def held_out(groups: Sequence[Group]) -> HeldOut:
    """Looks at the prepared text of each named run, whatever vocabulary it is written in."""
    found = {group.name: _digest(group.own) for group in groups}
    notes = (*_scored_notes(groups), *_look_notes(groups), *_machine_notes(groups))
    lost = {name: why for name, (digest, why) in found.items() if digest is None}
    if lost:
        why = "; ".join(f"{name}: {reason}" for name, reason in lost.items())
        said = f"Whether they were scored on the same held-out bytes cannot be told ({why})"
        return HeldOut(False, f"{said}: their bits per byte are not compared.", notes)
    if len({digest for digest, _ in found.values()}) > 1:
        return HeldOut(
            False,
            "They were scored on different held-out bytes: one text may be harder than the other, so their bits per "
            "byte are not compared. `chainrule evaluate RUN TEXT` scores each on the same text.",
            notes,
        )
    size = next(size for _, size in found.values())
    return HeldOut(True, f"Scored on the same held-out bytes ({size}).", notes)


def _digest(one: Member) -> tuple[str | None, str]:
    """SHA-256 of the held-out bytes, and their size in words; None and the reason where they cannot be read."""
    manifest = read_manifest(one.run)
    if manifest.fingerprint is None:
        return None, "its data folder is gone"
    try:
        text = run_dataset(one.run)
        tokenizer, digest, size = load_tokenizer(sealed_path(one.run, one.run.tokenizer)), hashlib.sha256(), 0
        text.check_tokenizer(tokenizer.fingerprint, str(one.run.tokenizer))
        store = text.split("validation")
        for start in range(0, store.n_tokens, READ_TOKENS):
            content = tokenizer.decode_bytes(store.read(start, min(READ_TOKENS, store.n_tokens - start)))
            digest.update(content)
            size += len(content)
    except (ChainruleError, OSError) as fault:
        return None, str(fault)
    return digest.hexdigest(), bytes_text(size)


def _scored_notes(groups: Sequence[Group]) -> list[str]:
    """Of a long text each run scores at its end as much as its time allows."""
    known = [(group.name, group.own.summary.scored) for group in groups if group.own.summary.scored]
    sizes = {name: scored.n_bytes for name, scored in known if scored and scored.n_bytes}
    if len(sizes) < 2 or max(sizes.values()) - min(sizes.values()) <= NEARLY * max(sizes.values()):
        return []
    parts = ", ".join(f"{name} {bytes_text(size)}" for name, size in sizes.items())
    return [f"At their ends they scored parts of different size ({parts}), each evenly spread over the text."]


def _look_notes(groups: Sequence[Group]) -> list[str]:
    sizes = {group.name: group.config.training.eval_tokens for group in groups}
    if len(set(sizes.values())) == 1:
        return []
    parts = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    return [f"Looks on the way are at beginnings of different length ({parts} tokens): the curves are a little apart."]


def _machine_notes(groups: Sequence[Group]) -> list[str]:
    keys = ("device", "precision", "threads")
    said = {group.name: tuple(group.own.summary.versions.get(key) for key in keys) for group in groups}
    if len(set(said.values())) == 1:
        return []
    parts = "; ".join(f"{name}: {', '.join(str(one) for one in values)}" for name, values in said.items())
    return [f"They were not trained on the same machine in the same way, so times do not compare ({parts})."]
