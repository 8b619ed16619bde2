"""What a token costs to learn from, and how long a run takes on a machine."""

from dataclasses import dataclass

from chainrule.config import Config, ModelConfig
from chainrule.plan.count import attention_matrix, feed_forward_matrix

# GPU: share of the measured peak that a whole training step reaches for very wide models, and the width at which half
# of it is lost to small operations. 37 to 41 % at width 768 and more is what nanochat and llm.c report for an H100.
EFFICIENCY = {"mps": 0.30, "cuda": 0.45}
HALF_WIDTH = {"mps": 300, "cuda": 400}
# CPU: matrix products reach this share of the measured peak; what else a token costs is memory traffic, in nanoseconds
# of one core: for each number of the residual stream in each layer, for each attention score, for each logit. Fitted to
# three shapes on two Sapphire Rapids cores (2.6 TFLOP/s), it also predicts two Zen 4 cores (0.24) within a quarter.
MATRIX_SHARE = 0.8
STREAM_NS, SCORE_NS, LOGIT_NS = 30.0, 5.6, 11.0


@dataclass(frozen=True)
class Machine:
    """What a plan needs to know of a machine: `peak_flops` is FLOP/s of its best matrix product, as measured."""

    cores: int
    memory_bytes: int
    peak_flops: float
    device: str = "cpu"


def flops_per_token(model: ModelConfig) -> int:
    """Floating point operations of one token in training, forward and backward: 6 M + 6 L H K T.

    M counts the weights of matrix products, the head included and the embedding, which is looked up, not. A token of a
    forward pass costs 2 M; and in each of L layers, on average, T / 2 places are scored and summed over H heads of
    width K, 2 operations each: 2 L H K T. The backward pass costs twice the forward.
    """
    head = model.vocab_size * model.emb_dim
    matrices = model.n_layers * (attention_matrix(model) + feed_forward_matrix(model)) + head
    return 6 * matrices + 6 * model.n_layers * model.n_heads * model.head_dim * model.context_length


def run_tokens(config: Config) -> int:
    """Tokens that the whole run learns from, repeats counted."""
    return config.training.steps * config.batch_windows * config.model.context_length


def tokens_per_second(model: ModelConfig, machine: Machine) -> float:
    """A guess before anything is measured, good to about a factor of two."""
    family = machine.device.partition(":")[0]
    if family == "cpu":
        return 1.0 / _cpu_seconds(model, machine)
    width = model.emb_dim / (model.emb_dim + HALF_WIDTH[family])
    return machine.peak_flops * EFFICIENCY[family] * width / flops_per_token(model)


def _cpu_seconds(model: ModelConfig, machine: Machine) -> float:
    """Seconds of a token on a CPU: matrix products, and the traffic between them."""
    products = flops_per_token(model) / (MATRIX_SHARE * machine.peak_flops)
    stream = STREAM_NS * model.n_layers * model.emb_dim
    scores = SCORE_NS * model.n_layers * model.n_heads * model.context_length
    return products + 1e-9 * (stream + scores + LOGIT_NS * model.vocab_size) / machine.cores


def training_seconds(config: Config, machine: Machine) -> float:
    """How long the run's steps take, by `tokens_per_second`; preparation and evaluation come on top."""
    return run_tokens(config) / tokens_per_second(config.model, machine)
