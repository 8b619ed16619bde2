"""What one update takes on many devices: products, memory traffic, and what goes over links.

A rank's matrices reach a share of the published peak that grows with their smallest side; what is between them is bound
by memory; tensor-parallel sums stand in the way, sums of gradients mostly hide behind the backward pass, and a pipeline
has its bubble. After Calculon (Isaev et al., SC'23) and Korthikanti et al. (arXiv 2205.05198), with fewer constants.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from chainrule.config import ModelConfig
from chainrule.plan.devices import Device
from chainrule.plan.layout import Layout

# Of the peak for endless matrices, and the smallest side at which half of that is left. Fitted, these two alone, to the
# eight updates that Korthikanti et al. publish of A100s (table 5), by benchmarks/calculon.py, which also leaves each
# model out in turn; no constant belongs to one point.
MATRIX_SHARE, HALF_SIDE = 0.921, 427.0
# Of the published bandwidths: what copying kernels reach on an A100, and a sum over eight of them by NCCL (230 GB/s).
MEMORY_SHARE, LINK_SHARE = 0.87, 0.77
# Fused attention, forward and backward together (FlashAttention-2, arXiv 2307.08691, figures 4 to 6).
FUSED_SHARE = 0.55
# Numbers a token and block that are read or written between the products, forward, in units of two bytes: norms
# (2 x 2), residual sums (2 x 3) and dropout with its mask (2 x 0.5 of them are bytes).
STREAM, STREAM_DROPOUT = 10.0, 1.0
HIDDEN = {"gelu": 2.0, "swiglu": 3.0}
# Of each score, where attention is made of plain products: read and written by softmax, and by dropout with its mask.
# What products read and write themselves is in their share of the peak.
SCORES, SCORES_DROPOUT = 2.0, 2.5
LOGITS = 8.0
BACKWARD = 2.0  # of the forward pass, in products and in traffic
# Bytes of weights, gradients and moments that an update with a float32 master copy reads and writes, a parameter.
UPDATE_BYTES = 34.0
# Behind how much of the backward pass the sums of gradients, and of each pass the gathering of weights, hide.
HIDDEN_SHARE = 0.8
NUMBER = 2.0  # bytes of bfloat16

# Torchtitan's published steps of an 8B model took 1.44 to 1.63 times as long as this says (benchmarks/calculon.py): the
# eight were Megatron's, whose kernels are fused by hand. A trainer of torch's own kernels is expected to be like those.
TORCH, TORCH_MOST = 1.5, 1.65

Attention = Literal["fused", "plain"]


@dataclass(frozen=True)
class StepTime:
    """Seconds of one update by what they are spent on; they add up."""

    products: float
    traffic: float
    tensor_parallel: float
    pipeline: float
    bubble: float
    data_parallel: float
    update: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(vars(self).values())


@dataclass(frozen=True)
class Shares:
    """What a device reaches of its published figures."""

    matrix: float = MATRIX_SHARE
    half_side: float = HALF_SIDE
    memory: float = MEMORY_SHARE
    link: float = LINK_SHARE


PUBLISHED = Shares()


@dataclass(frozen=True)
class _Pass:
    """Seconds of one micro-batch in one rank: of a forward pass, or of all of it."""

    products: float = 0.0
    traffic: float = 0.0
    sums: float = 0.0

    def __add__(self, other: "_Pass") -> "_Pass":
        return _Pass(self.products + other.products, self.traffic + other.traffic, self.sums + other.sums)

    def __mul__(self, times: float) -> "_Pass":
        return _Pass(self.products * times, self.traffic * times, self.sums * times)

    @property
    def total(self) -> float:
        return self.products + self.traffic + self.sums


def step_time(
    model: ModelConfig,
    device: Device,
    layout: Layout,
    batch_windows: int,
    *,
    parameters: int,
    attention: Attention = "fused",
    shares: Shares = PUBLISHED,
) -> StepTime:
    """One update of `batch_windows` windows by that layout; `parameters` are the model's.

    `plain` attention computes all scores and writes them down, as was usual until 2022; `fused` skips what a token may
    not see and keeps them in the chip.
    """
    rank = _Rank(model, device, layout, attention, shares)
    blocks = model.n_layers / layout.pp
    n = layout.micro_batches(batch_windows)
    block, end = rank.block(), rank.end()
    # The last stage has the head besides, and the others wait for it.
    stage = block * blocks + end
    handed = rank.hand_over() * 2 * layout.chunks if layout.pp > 1 else 0.0
    waiting = (layout.pp - 1) / layout.chunks * ((block * blocks).total + handed)
    backward = n * stage.total * BACKWARD / (1 + BACKWARD)
    return StepTime(
        products=n * stage.products,
        traffic=n * stage.traffic,
        tensor_parallel=n * stage.sums,
        pipeline=n * handed,
        bubble=waiting,
        data_parallel=rank.gradients(parameters, n, backward),
        update=UPDATE_BYTES * parameters / (layout.tp * layout.pp * layout.fsdp) / rank.memory,
    )


@dataclass(frozen=True)
class _Rank:
    """One rank's share of the work."""

    model: ModelConfig
    device: Device
    layout: Layout
    attention: Attention
    shares: Shares

    @property
    def memory(self) -> float:
        return self.device.memory_bandwidth * self.shares.memory

    @property
    def tokens(self) -> int:
        return self.layout.micro_batch * self.model.context_length

    def block(self) -> _Pass:
        """A block forward and backward, with what is computed anew."""
        whole = _Pass(self.products(self.linears()) + self.score_products(), self.traffic(), self.sums())
        again = _Pass()
        if self.layout.recompute == "all":
            again = whole
        elif self.layout.recompute == "attention":
            again = _Pass(self.score_products(), self.score_traffic())
        back = _Pass(whole.products * BACKWARD, whole.traffic * BACKWARD, whole.sums)
        return whole + back + again

    def end(self) -> _Pass:
        """The head, its logits and the loss."""
        model, tp = self.model, self.layout.tp
        head = [(self.tokens, model.emb_dim, model.vocab_size / tp, 1.0)]
        logits = LOGITS * NUMBER * self.tokens * model.vocab_size / tp / self.memory
        return _Pass(self.products(head) * (1 + BACKWARD), logits)

    def linears(self) -> Iterator[tuple[float, float, float, float]]:
        """Rows, inner side, columns and how many, of the matrices of one block."""
        model, tp, rows = self.model, self.layout.tp, self.tokens
        queries = model.n_heads * model.head_dim / tp
        yield rows, model.emb_dim, queries + 2 * model.n_kv_heads * model.head_dim / tp, 1.0
        yield rows, queries, model.emb_dim, 1.0
        yield rows, model.emb_dim, model.hidden_dim / tp, 2.0 if model.activation == "swiglu" else 1.0
        yield rows, model.hidden_dim / tp, model.emb_dim, 1.0

    def score_products(self) -> float:
        """Seconds of queries with keys and of scores with values, forward; fused, only of what a token may see."""
        model, places = self.model, self.model.context_length
        heads = self.layout.micro_batch * model.n_heads / self.layout.tp
        if self.attention == "fused":
            return 2 * heads * places**2 * model.head_dim / (self.device.sustained_flops * FUSED_SHARE)
        each = (places, model.head_dim, places, heads), (places, places, model.head_dim, heads)
        return self.products(each)

    def products(self, matrices: Iterable[tuple[float, float, float, float]]) -> float:
        """Seconds of a forward pass."""
        seconds = 0.0
        for rows, inner, columns, times in matrices:
            side = min(rows, inner, columns)
            share = self.shares.matrix * side / (side + self.shares.half_side)
            seconds += times * 2 * rows * inner * columns / (self.device.sustained_flops * share)
        return seconds

    def traffic(self) -> float:
        """Seconds of what lies between the products of one block, forward."""
        model, layout = self.model, self.layout
        shared = layout.tp if layout.sequence_parallel else 1
        stream = (STREAM + STREAM_DROPOUT * (model.drop_rate > 0)) * model.emb_dim / shared
        hidden = HIDDEN[model.activation] * model.hidden_dim / layout.tp
        return NUMBER * self.tokens * (stream + hidden) / self.memory + self.score_traffic()

    def score_traffic(self) -> float:
        """Seconds of the scores that are written down, forward."""
        if self.attention == "fused":
            return 0.0
        numbers = self.tokens * self.model.context_length * self.model.n_heads / self.layout.tp
        return NUMBER * numbers * (SCORES + SCORES_DROPOUT * (self.model.drop_rate > 0)) / self.memory

    def sums(self) -> float:
        """Seconds of a block's two sums over the ranks of tp, forward (as many backward).

        A sum over n ranks passes each byte 2 (n - 1) / n times; scattered and gathered, as often.
        """
        tp = self.layout.tp
        one = NUMBER * self.tokens * self.model.emb_dim * 2 * (tp - 1) / tp
        return 2 * one / (self.bandwidth(tp) * self.shares.link)

    def hand_over(self) -> float:
        """Seconds until a stage has passed a micro-batch on."""
        near = self.layout.tp * self.layout.pp <= self.device.per_machine
        bandwidth = self.device.link_bandwidth if near else self.device.network_bandwidth
        return NUMBER * self.tokens * self.model.emb_dim / self.layout.tp / (bandwidth * self.shares.link)

    def gradients(self, parameters: int, n: int, backward: float) -> float:
        """Seconds of summing gradients and gathering weights that do not hide behind the passes of n micro-batches."""
        layout = self.layout
        own = parameters / (layout.tp * layout.pp)
        bandwidth = self.bandwidth(layout.tp * layout.readers, layout.tp) * self.shares.link
        far = 0.0
        if layout.dp > 1:
            far += 2 * (layout.dp - 1) / layout.dp * 4 * own / layout.fsdp
        if layout.fsdp > 1:
            each = (layout.fsdp - 1) / layout.fsdp * own
            far += n * 2 * NUMBER * each + n * 4 * each  # gathered forward and backward, scattered in float32
        forward = backward / BACKWARD if layout.fsdp > 1 else 0.0
        return max(0.0, far / bandwidth - HIDDEN_SHARE * (backward + forward))

    def bandwidth(self, between: int, inside: int = 1) -> float:
        """Of one device in a group that spans `between` ranks, of which every `inside`-th belongs to it.

        Within a machine that is its links'. Beyond, rings enter a machine once and go on over the links, by as many
        adapters as it has members of the group.
        """
        device = self.device
        if between <= device.per_machine:
            return device.link_bandwidth
        return min(device.link_bandwidth, device.network_bandwidth * max(1, device.per_machine // inside))
