"""What one rank of many holds at its peak, by part, on a GPU in bfloat16 with float32 weights."""

from dataclasses import asdict, dataclass

from chainrule.config import Config
from chainrule.plan.count import attention_matrix, feed_forward_matrix, parameters
from chainrule.plan.layout import Layout
from chainrule.plan.memory import bytes_kept, logits_bytes

FUSED, HALF = 2, 1  # columns of memory's tables: fused attention in bfloat16
# What CUDA, NCCL's buffers and a few libraries take before anything is trained, and the holes of an allocator.
CONTEXT_BYTES, FRAGMENTS = 2.5e9, 0.05
GATHERED_BLOCKS = 2  # the one that is computed with and the next, which is on its way


@dataclass(frozen=True)
class RankMemory:
    """Bytes of the fullest rank. `gathered`: weights of others, or copies in bfloat16, while they are used."""

    weights: float
    gradients: float
    optimizer: float
    gathered: float
    activations: float
    logits: float
    other: float

    @property
    def total(self) -> float:
        """All of them."""
        return sum(asdict(self).values())

    def components(self) -> dict[str, float]:
        """The bytes by name."""
        return asdict(self)


def rank_memory(config: Config, layout: Layout, batch_windows: int) -> RankMemory:
    """The fuller one of the first stage, whose micro-batches wait longest, and the last, which has the head."""
    ends = [_stage(config, layout, batch_windows, last=last) for last in ((False, True) if layout.pp > 1 else (True,))]
    return max(ends, key=lambda one: one.total)


def _stage(config: Config, layout: Layout, batch_windows: int, *, last: bool) -> RankMemory:
    model, row = config.model, config.optimizer.row
    block = attention_matrix(model) + feed_forward_matrix(model)
    inner = block * model.n_layers / layout.pp / layout.tp
    ends = 1 if layout.pp > 1 or model.tied_embeddings else 2
    outside = ends * model.vocab_size * model.emb_dim / layout.tp
    rest = (parameters(model).norms + parameters(model).positions) / layout.pp
    own = (inner + outside + rest) / layout.fsdp
    state = row.state_bytes(round(inner / layout.fsdp), round((outside + rest) / layout.fsdp))
    if layout.fsdp > 1:
        gathered = 2 * (GATHERED_BLOCKS * block / layout.tp + outside)
        # Gradients of what was gathered wait whole, in float32, until they are scattered.
        gathered += 4 * max(block / layout.tp, outside)
    else:
        gathered = 2 * (inner + outside)
    tokens = layout.micro_batch * model.context_length
    whole = tokens * bytes_kept(model, FUSED, HALF, recompute=layout.recompute == "all", scores=False)
    kept = whole / layout.pp * _waiting(layout, batch_windows, last=last) / layout.tp
    logits = logits_bytes(model, tokens, HALF) / layout.tp if last else 0.0
    held = RankMemory(4 * own, 4 * own, float(state), gathered, kept, logits, 0.0)
    return RankMemory(**{**asdict(held), "other": CONTEXT_BYTES + FRAGMENTS * held.total})


def _waiting(layout: Layout, batch_windows: int, *, last: bool) -> float:
    """Micro-batches that a stage keeps at once: as many as there are stages after it, and itself (1F1B)."""
    if layout.pp == 1:
        return 1.0
    n = layout.micro_batches(batch_windows)
    if last:
        return 1.0 + (layout.pp - 1) / layout.pp * (layout.chunks > 1)
    # Interleaved stages keep a little more (Korthikanti et al., arXiv 2205.05198, 4.2.3).
    most = layout.pp * (1 + (layout.pp - 1) / (layout.pp * layout.chunks) * (layout.chunks > 1))
    return min(float(n), most)
