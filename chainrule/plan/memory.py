"""How much memory training needs, before any of it is taken."""

from dataclasses import asdict, dataclass

from chainrule.base import DeviceError, bytes_text, count_text, processor_class
from chainrule.config import ARCHITECTURES, Config, ModelConfig
from chainrule.plan.cost import Machine
from chainrule.plan.count import attention_matrix, feed_forward_matrix, parameters

# Bytes kept for the backward pass, for each token and layer: float32, bfloat16 autocast where attention is made of
# plain products (ProcessorClass.attends_by_products), bfloat16 where it is fused. Counted from the tensors that
# autograd saves, over a dozen shapes of each family; a linear fit in these terms, within 8 %.
# Those of the stream stand with each family (ARCHITECTURES), times emb_dim.
STREAM_DROPOUT = (8, 4, 6)  # times emb_dim, when drop_rate > 0
HIDDEN = {"gelu": (8, 4, 4), "swiglu": (16, 8, 8)}  # times hidden_dim
# Times n_heads * context_length, on a CPU: with dropout its fused kernel keeps the scores too.
SCORES, SCORES_DROPOUT = (0, 2, 0), (12, 4, 12)
# Outside the layers: embedding and final norm; logits, their log-softmax and its gradient at the turning point.
ENDS = (12, 10)  # times emb_dim
LOGITS = (12, 12)  # times vocab_size
# Logits alive at once in the model's loss (a test holds the two together), and bytes of each in a portion of them: the
# logits, or bfloat16's and their float32 and bfloat16 copies.
LOGITS_AT_ONCE, PORTION_LOGITS = 2**26, (4, 8)
# Numbers of the parameters that the optimizer moves at once, of which health holds a copy; and of a slice of Muon's,
# with how many times as much of it is alive together: updates, the next ones and three squares, or their like.
MOVING_NUMBERS, SLICE_NUMBERS, SLICE_COPIES = 2**24, 2**22, 5
# What Python, torch and their caches take besides: 390 MB measured for a model of next to nothing on a CPU.
FIXED_BYTES = 400 * 10**6
# Blocks of many sizes come and go with the activations, and the C library's heap is left with holes: within ten steps
# they come to about half of the activations (4 shapes, Linux; with memory kept or given back between steps). Portions
# of logits leave none: they are all of one size.
HOLES = 0.5
# In evaluation: logits, a quarter of those of training, and their log-softmax; from bfloat16 by way of float32.
LOOKED_AT_ONCE, LOOKED_AT_LOGITS, LOOKED_AT_WINDOWS = 2**24, (8, 10), 8


@dataclass(frozen=True)
class Memory:
    """Bytes that training needs at its peak: activations while it passes through the model, `update` while it moves it.

    `holes`: what the allocator's heap has besides the activations. `head`: the gradient of the head, which waits for
    the embedding's where one matrix is both. `evaluation` has no gradients beside it. `summed`: the batch is made of
    several micro-batches, so that the gradients of those before are there with the activations; a single one frees
    activations while its gradients come. `copy`: of weights and optimizer, for saves in the background where they were
    asked for.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    holes: int
    head: int
    update: int
    evaluation: int
    copy: int = 0
    summed: bool = True

    @property
    def total(self) -> int:
        """The largest of the three phases, and what torch takes for itself."""
        passing = self.activations + self.holes + self.head
        passing = self.gradients + passing if self.summed else max(self.gradients, passing)
        # The embedding's gradient is made when the activations are gone, beside the head's.
        moving = self.gradients + max(self.update, 2 * self.head)
        return self.weights + self.optimizer + max(passing, moving, self.evaluation) + self.copy + FIXED_BYTES

    def components(self) -> dict[str, int]:
        """The bytes by name."""
        return {name: value for name, value in asdict(self).items() if name != "summed"}


def memory_bytes(
    config: Config,
    *,
    micro_batch: int = 1,
    precision: str = "float32",
    checkpointing: bool | None = None,
    device: str = "cpu",
    learning: int | None = None,
) -> Memory:
    """The peak of a training step with `micro_batch` windows in one forward pass.

    Weights, gradients and optimizer are float32 and exact; `precision` "bfloat16" adds a half-size copy of the matrices
    (autocast keeps one). Activations are a calibrated estimate. `checkpointing` is the config's unless given. Where
    only so many numbers are `learning` (an adapter, or rows of an embedding) the others have no gradients and the
    optimizer does not know them. benchmarks/memory.py holds the total against processes. Files of text that are mapped
    are not counted: the system takes their pages back.
    """
    model, bf16 = config.model, precision == "bfloat16"
    total = parameters(model).total
    inner = model.n_layers * (attention_matrix(model) + feed_forward_matrix(model))
    row = config.optimizer.row
    recompute = config.machine.activation_checkpointing if checkpointing is None else checkpointing
    tokens = micro_batch * model.context_length
    many = tokens * model.vocab_size > LOGITS_AT_ONCE
    kept = 0 if not bf16 else 1 if device == "cpu" and processor_class().attends_by_products else 2
    activations = tokens * bytes_kept(model, kept, int(bf16), recompute=recompute, scores=device == "cpu")
    logits = logits_bytes(model, tokens, int(bf16))
    if learning is not None:
        head = update = 0
        gradients, optimizer = 4 * learning, row.state_bytes(0, learning)
    else:
        head = 4 * model.vocab_size * model.emb_dim if many or model.tied_embeddings else 0
        update = _update_bytes(config, total, inner if row.makes_updates else 0, bf16=bf16)
        gradients, optimizer = 4 * total, row.state_bytes(inner, total - inner)
    return Memory(
        weights=4 * total + (2 * (inner + model.vocab_size * model.emb_dim) if bf16 else 0),
        gradients=gradients,
        optimizer=optimizer,
        activations=activations + logits,
        holes=int(HOLES * (activations + (0 if many else logits))) if device == "cpu" else 0,
        head=head,
        update=update,
        evaluation=_evaluation_bytes(config, int(bf16)),
        # Where the system chooses ("auto"), it takes the copy only from what is left. A GPU's is not in its memory.
        copy=copy_bytes(config, learning) if config.training.background_saves == "on" and device != "cuda" else 0,
        summed=config.batch_windows > micro_batch,
    )


def copy_bytes(config: Config, learning: int | None = None) -> int:
    """Bytes of a copy of all that a checkpoint holds: weights and optimizer, or those of what is `learning` alone."""
    model, row = config.model, config.optimizer.row
    if learning is not None:
        return 4 * learning + row.state_bytes(0, learning)
    total = parameters(model).total
    inner = model.n_layers * (attention_matrix(model) + feed_forward_matrix(model))
    return 4 * total + row.state_bytes(inner, total - inner)


def check_memory(config: Config, machine: Machine, precision: str = "float32", learning: int | None = None) -> Memory:
    """The memory of the smallest possible step; raises DeviceError with the numbers when the machine has less.

    `learning` is how many numbers learn, where that is not all.
    """
    need = memory_bytes(config, precision=precision, device=machine.device, learning=learning)
    if need.total <= machine.memory_bytes:
        return need
    parts = ", ".join(f"{name} {bytes_text(value)}" for name, value in need.components().items())
    remedy = "lower model.n_layers, model.emb_dim or model.vocab_size"
    if need.total - need.activations - need.holes < 0.9 * machine.memory_bytes:
        remedy = "lower model.context_length or set machine.activation_checkpointing"
    raise DeviceError(
        f"a model of {count_text(parameters(config.model).total)} parameters needs about {bytes_text(need.total)} to "
        f"train ({parts}), and {machine.device} has {bytes_text(machine.memory_bytes)} available; {remedy}"
    )


def bytes_kept(model: ModelConfig, kept: int, ends: int, *, recompute: bool, scores: bool) -> int:
    """What the backward pass keeps of a token; `kept` and `ends` choose the columns of the tables above."""
    dropout = model.drop_rate > 0
    layer = model.emb_dim * (ARCHITECTURES[model.architecture].stream_bytes[kept] + dropout * STREAM_DROPOUT[kept])
    layer += model.hidden_dim * HIDDEN[model.activation][kept]
    if scores:
        layer += model.n_heads * model.context_length * (SCORES[kept] + dropout * SCORES_DROPOUT[kept])
    # Recomputing keeps each layer's input (float32) and the inside of one layer at a time.
    layers = model.n_layers * 4 * model.emb_dim + layer if recompute else model.n_layers * layer
    return layers + model.emb_dim * ENDS[ends]


def logits_bytes(model: ModelConfig, tokens: int, column: int) -> int:
    """Bytes of logits and what is made of them; in portions, besides, the gradient of the stream."""
    if tokens * model.vocab_size <= LOGITS_AT_ONCE:
        return tokens * model.vocab_size * LOGITS[column]
    return LOGITS_AT_ONCE * PORTION_LOGITS[column] + 4 * model.emb_dim * tokens


def _update_bytes(config: Config, total: int, made: int, *, bf16: bool) -> int:
    """What lives while the optimizer moves the weights: health's copy of a portion, a slice of what is made."""
    model = config.model
    copied = 4 if config.training.health_every else 0
    outside = copied * max(min(total - made, MOVING_NUMBERS), model.vocab_size * model.emb_dim)
    if not made:
        return outside
    matrix = model.emb_dim * max(model.hidden_dim, model.n_heads * model.head_dim)
    # A slice in bfloat16 has the float32 updates, and all else at half the size.
    slice_bytes = max(min(made, SLICE_NUMBERS), matrix) * (14 if bf16 else 4 * SLICE_COPIES)
    return max(outside, copied * max(min(made, MOVING_NUMBERS), matrix) + slice_bytes)


def _evaluation_bytes(config: Config, column: int) -> int:
    """Logits and the inside of a single layer, without anything kept for a backward pass."""
    model = config.model
    tokens = (config.machine.micro_batch or LOOKED_AT_WINDOWS) * model.context_length
    logits = min(tokens * model.vocab_size, LOOKED_AT_ONCE) * LOOKED_AT_LOGITS[column]
    layer = 4 * tokens * (2 * model.emb_dim + model.hidden_dim * HIDDEN[model.activation][0] // 4)
    return max(logits + 4 * tokens * model.emb_dim, layer)
