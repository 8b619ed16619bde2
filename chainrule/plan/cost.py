"""What a token costs to learn from, and how long a run takes on a machine."""

from dataclasses import dataclass

from chainrule.config import Config, ModelConfig
from chainrule.plan.count import attention_matrix, feed_forward_matrix

# Share of the measured peak of one large matrix product that a whole training step reaches, for very wide models, and
# the width at which half of that is lost to small operations. CPU: 10 % at width 128, 19 to 25 % at 384, 20 % at 768
# of 2.3 to 3.3 TFLOP/s (two Sapphire Rapids cores, bfloat16, eager). GPU: 37 to 41 % at width 768 and more is what
# nanochat and llm.c report for an H100; a lone small model does not fill it.
EFFICIENCY = {"cpu": 0.25, "mps": 0.30, "cuda": 0.45}
HALF_WIDTH = {"cpu": 200, "mps": 300, "cuda": 400}


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
    width = model.emb_dim / (model.emb_dim + HALF_WIDTH[family])
    return machine.peak_flops * EFFICIENCY[family] * width / flops_per_token(model)


def training_seconds(config: Config, machine: Machine) -> float:
    """How long the run's steps take, by `tokens_per_second`; preparation and evaluation come on top."""
    return run_tokens(config) / tokens_per_second(config.model, machine)
