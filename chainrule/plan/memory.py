"""How much memory training needs, before any of it is taken."""

from dataclasses import asdict, dataclass

from chainrule.base import DeviceError, bytes_text, count_text
from chainrule.config import Config, ModelConfig
from chainrule.plan.cost import Machine
from chainrule.plan.count import attention_matrix, feed_forward_matrix, parameters

# Bytes kept for the backward pass, for each token and layer, float32 / bfloat16 autocast: counted from the tensors that
# autograd saves, over nine shapes of each family; a linear fit in these terms is exact to 3 bytes.
STREAM = {"gpt2": (32, 20), "llama": (40, 30), "qwen3": (60, 46)}  # times emb_dim
STREAM_DROPOUT = (8, 4)  # times emb_dim, when drop_rate > 0
HIDDEN = {"gelu": (8, 4), "swiglu": (16, 8)}  # times hidden_dim
SCORES = (0, 2)  # times n_heads * context_length, where attention is explicit (CPU: bfloat16, or with dropout)
SCORES_DROPOUT = (12, 4)
# Outside the layers: embedding and final norm; logits, their log-softmax and its gradient at the turning point.
ENDS = (12, 10)  # times emb_dim
LOGITS = (12, 12)  # times vocab_size
# What Python, torch and its caches take besides; measured 0.5 GiB on a CPU.
FIXED_BYTES = 2**29


@dataclass(frozen=True)
class Memory:
    """Bytes that training needs at its peak."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of them, and what torch takes for itself."""
        return sum(self.components().values()) + FIXED_BYTES

    def components(self) -> dict[str, int]:
        """The bytes by name."""
        return asdict(self)


def memory_bytes(
    config: Config,
    *,
    micro_batch: int = 1,
    precision: str = "float32",
    checkpointing: bool | None = None,
    device: str = "cpu",
) -> Memory:
    """The peak of a training step with `micro_batch` windows in one forward pass.

    Weights, gradients and optimizer are float32 and exact; `precision` "bfloat16" adds a half-size copy of the matrices
    (autocast keeps one). Activations are a calibrated estimate. `checkpointing` is the config's unless given.
    """
    model, bf16 = config.model, precision == "bfloat16"
    total = parameters(model).total
    inner = model.n_layers * (attention_matrix(model) + feed_forward_matrix(model))
    muon = inner if config.optimizer.kind == "muon" else 0
    recompute = config.machine.activation_checkpointing if checkpointing is None else checkpointing
    tokens = micro_batch * model.context_length
    return Memory(
        weights=4 * total + (2 * (inner + model.vocab_size * model.emb_dim) if bf16 else 0),
        gradients=4 * total,
        optimizer=4 * muon + 8 * (total - muon),
        activations=tokens * _bytes_per_token(model, int(bf16), recompute, explicit=device == "cpu"),
    )


def check_memory(config: Config, machine: Machine, precision: str = "float32") -> Memory:
    """The memory of the smallest possible step; raises DeviceError with the numbers when the machine has less."""
    need = memory_bytes(config, precision=precision, device=machine.device)
    if need.total <= machine.memory_bytes:
        return need
    parts = ", ".join(f"{name} {bytes_text(value)}" for name, value in need.components().items())
    remedy = "lower model.n_layers, model.emb_dim or model.vocab_size"
    if need.total - need.activations < 0.9 * machine.memory_bytes:
        remedy = "lower model.context_length or set machine.activation_checkpointing"
    raise DeviceError(
        f"a model of {count_text(parameters(config.model).total)} parameters needs about {bytes_text(need.total)} to "
        f"train ({parts}), and {machine.device} has {bytes_text(machine.memory_bytes)}; {remedy}"
    )


def _bytes_per_token(model: ModelConfig, column: int, recompute: bool, *, explicit: bool) -> int:
    dropout = model.drop_rate > 0
    layer = model.emb_dim * (STREAM[model.architecture][column] + dropout * STREAM_DROPOUT[column])
    layer += model.hidden_dim * HIDDEN[model.activation][column]
    if explicit:
        scores = SCORES[column] + dropout * SCORES_DROPOUT[column]
        layer += model.n_heads * model.context_length * scores
    # Recomputing keeps each layer's input (float32) and the inside of one layer at a time.
    layers = model.n_layers * 4 * model.emb_dim + layer if recompute else model.n_layers * layer
    return layers + model.emb_dim * ENDS[column] + model.vocab_size * LOGITS[column]
