"""Pairs of answers as batches, their log-probabilities, and those of the model that the policy began as, kept."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from chainrule.base import CheckpointError, ConfigError, DataError, TrainingError, whole_file
from chainrule.checkpoint import read_metadata, read_tensors, write_tensors
from chainrule.finetune.groups import trimmed
from chainrule.finetune.preference import Dpo, PairLogps, PairObjective
from chainrule.model import GPT, IGNORED, Batch, WindowsLike, without_adapter

ALL = slice(None)
ABOUT = "about"
NONE_RATED: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class TokenPair:
    """A prompt and two answers to it in tokens, each with its stop token."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]


def pair_batches(pairs: Sequence[TokenPair], size: int, context_length: int) -> list[Batch]:
    """Batches of `size` pairs of about one length: rows 0, 2, … are chosen, rows 1, 3, … rejected; answers are targets.

    Pairs stay together for the whole training, in batches of one shape, so that policy and reference are computed by
    the same kernels on the same numbers; what is shuffled is the order of the batches. A prompt that is too long loses
    its beginning. Raises DataError for an answer that leaves no room for a token of its prompt, or is empty.
    """
    if size < 1:
        raise ConfigError(f"size={size}: give at least one pair a batch")
    rows = [_rows(number, pair, context_length) for number, pair in enumerate(pairs, start=1)]
    rows.sort(key=lambda two: max(len(ids) for ids, _ in two))
    return [_batch([row for two in rows[at : at + size] for row in two]) for at in range(0, len(rows), size)]


def pair_logps(model: GPT, batch: Batch) -> PairLogps:
    """Log-probabilities of the answers of pairs: rows 0, 2, … are chosen, rows 1, 3, … rejected."""
    if len(batch) % 2:
        raise ConfigError(f"a batch of {len(batch)} rows splits a pair; give an even number of rows")
    sums, counts = row_logps(model, batch)
    return PairLogps(sums[::2], sums[1::2], counts[::2], counts[1::2])


def rated_logps(model: GPT, batch: Batch, good: Bool[Tensor, " U"]) -> PairLogps:
    """Log-probabilities of rated answers, in rows 0, 2, …; after each of them an answer to another prompt (KTO)."""
    sums, counts = row_logps(model, batch)
    own, n_own = sums[::2], counts[::2]
    return PairLogps(own[good], own[~good], n_own[good], n_own[~good], sums[1::2])


def row_logps(model: GPT, batch: Batch) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"]]:
    """Log-probabilities of the targets of each row, and how many there are.

    Logits are made where there is a target, and nowhere else.
    """
    counted = batch.targets != IGNORED
    logits = model.logits(model.stream(batch.inputs, documents=batch.documents)[counted])
    wide = logits if logits.dtype == torch.float64 else logits.float()
    nats = -torch.nn.functional.cross_entropy(wide, batch.targets[counted], reduction="none")
    rows = counted.nonzero()[:, 0]
    sums = torch.zeros(len(batch), dtype=nats.dtype, device=nats.device).index_add(0, rows, nats)
    return sums, counted.sum(dim=1).to(nats.dtype)


@dataclass(frozen=True)
class Preference:
    """What a run learns from pairs: an `Objective` of train's loop over batches as `pair_batches` makes them."""

    model: GPT
    objective: PairObjective
    reference: Mapping[str, PairLogps]
    """Of each batch, by `batch_key`; see `reference_logps`. While it is empty a batch is its own reference: so a trial
    can take place before the model has its weights."""
    good: Mapping[str, Tensor] = field(default_factory=dict)
    """Of batches of rated answers: which of them are good."""

    def loss(self, batch: Batch) -> Tensor:
        """The mean over the batch's pairs, or rated answers."""
        whole = trimmed(batch)
        policy = self.logps(whole)
        return self.objective.loss(policy, self.reference_of(whole, policy))

    def logps(self, batch: Batch) -> PairLogps:
        """What the model thinks of a batch of either kind."""
        return _logps(self.model, batch, self.good)

    def reference_of(self, batch: Batch, policy: PairLogps) -> PairLogps:
        """What the model thought of the batch before it learnt; raises TrainingError when nobody asked it."""
        if not self.reference:
            return policy.map(Tensor.detach)
        known = self.reference.get(batch_key(batch))
        if known is None:
            raise TrainingError(
                f"a batch of {len(batch)} rows has no reference: pairs are learnt in the groups in which the model was "
                "asked at the start. Leave machine.micro_batch as the run has it"
            )
        return known

    def counted(self, windows: WindowsLike, rows: slice = ALL) -> int:
        """Pairs, or rated answers."""
        return len(windows.ids[rows]) // 2


def reference_logps(
    model: GPT, batches: Iterable[Batch], file: Path, about: str, good: Mapping[str, Tensor] = NONE_RATED
) -> dict[str, PairLogps]:
    """What the model thought of the pairs before it learnt, by `batch_key`; computed once and kept in `file`.

    With an adapter on the model the base alone is asked. `good` is `Preference`'s. To be called before
    the first step; what was kept `about` the same (the fingerprints of base, template and data, joined) is taken from
    the file and not computed again.
    """
    known = _kept(file, about)
    found: dict[str, PairLogps] = {}
    for batch in batches:
        key = batch_key(batch)
        found[key] = known.get(key) or _reference(model, batch, good)
    if found.keys() - known.keys():
        tensors = {f"{key}.{name}": part for key, one in found.items() for name, part in one.parts()}
        with whole_file(file) as stream:
            write_tensors(stream, tensors, {ABOUT: about})
    return found


def batch_key(batch: Batch) -> str:
    """A hash of what is read and what is to be predicted, and in what shape."""
    digest = hashlib.sha256(str(tuple(batch.inputs.shape)).encode())
    for part in (batch.inputs, batch.targets):
        digest.update(part.cpu().contiguous().numpy().data)
    return digest.hexdigest()[:32]


def check_first(objective: PairObjective, policy: PairLogps, reference: PairLogps) -> None:
    """Before the first step: the policy is the reference, to the last bit, and the policy alone can learn.

    For DPO the loss is then ln 2. Raises TrainingError saying what else would have to be so (trl #1627, #1236).
    """
    if not objective.NEEDS_REFERENCE:
        return
    if reference.chosen.requires_grad or not (policy.chosen.requires_grad or policy.rejected.requires_grad):
        raise TrainingError("policy and reference are exchanged: the reference would learn, and the policy would not")
    before = dict(reference.parts())
    far = max(float((part.detach() - before[name]).abs().max()) for name, part in policy.parts() if len(part))
    if far != 0:
        raise TrainingError(
            f"before the first step an answer is {far:.2e} nats from what the reference says, and not 0: the "
            "reference is another model or was computed on other batches, dropout is on (set drop_rate to 0), or the "
            "adapter is not neutral"
        )
    loss = float(objective.loss(policy, reference).detach())
    if isinstance(objective, Dpo) and not math.isclose(loss, math.log(2), rel_tol=1e-6):
        raise TrainingError(f"before the first step the loss of DPO is {loss:.6f} and not ln 2 = {math.log(2):.6f}")


def _logps(model: GPT, batch: Batch, rated: Mapping[str, Tensor]) -> PairLogps:
    good = rated.get(batch_key(batch)) if rated else None
    return pair_logps(model, batch) if good is None else rated_logps(model, batch, good)


def _reference(model: GPT, batch: Batch, rated: Mapping[str, Tensor]) -> PairLogps:
    # With gradients, though they are thrown away: without them other kernels may be chosen, and the start would not be
    # equal to the last bit.
    with without_adapter(model), torch.enable_grad():
        return _logps(model, batch, rated).map(Tensor.detach)


def _kept(file: Path, about: str) -> dict[str, PairLogps]:
    """What the file has about the same; nothing when it is about something else, or damaged: it is made again."""
    try:
        if not file.is_file() or read_metadata(file).get(ABOUT) != about:
            return {}
        # Copies: the file may be replaced while they are in use.
        tensors = {name: tensor.clone() for name, tensor in read_tensors(file).items()}
    except CheckpointError:
        return {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        key, _, part = name.partition(".")
        parts.setdefault(key, {})[part] = tensor
    return {key: PairLogps(**found) for key, found in parts.items()}


def _rows(number: int, pair: TokenPair, context_length: int) -> tuple[tuple[list[int], int], ...]:
    """Each answer behind its prompt, and where it begins."""
    rows = []
    for word, answer in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        room = context_length + 1 - len(answer)  # the last token is only predicted
        if not answer or not pair.prompt:
            raise DataError(f"pair {number}: the {word if pair.prompt else 'prompt'} is empty; leave the pair out")
        if room < 1:
            raise DataError(
                f"pair {number}: its {word} answer has {len(answer)} tokens, the model looks back on {context_length} "
                "with the prompt; answers are never cut: leave the pair out, or take a model with a longer context"
            )
        prompt = pair.prompt[-room:]
        rows.append(([*prompt, *answer], len(prompt)))
    return tuple(rows)


def _batch(rows: list[tuple[list[int], int]]) -> Batch:
    # Behind the end of a row stands its last token: no place before it can see it, and as a target it is ignored.
    longest = max(len(ids) for ids, _ in rows) - 1
    inputs = torch.tensor([(ids[:-1] + [ids[-1]] * longest)[:longest] for ids, _ in rows])
    targets = [[IGNORED] * (start - 1) + ids[start:] for ids, start in rows]
    return Batch(inputs, torch.tensor([row + [IGNORED] * (longest - len(row)) for row in targets]))
