"""How many numbers a model learns, component by component, and how many of them a token is multiplied with."""

from dataclasses import asdict, dataclass

from chainrule.config import ModelConfig


@dataclass(frozen=True)
class Parameters:
    """Exact counts of learned numbers; `head` is 0 when it reuses the token embedding."""

    embedding: int
    positions: int
    attention: int
    feed_forward: int
    norms: int
    head: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.components().values())

    def components(self) -> dict[str, int]:
        """The counts by name, in the order in which a token meets them."""
        return asdict(self)


def parameters(model: ModelConfig) -> Parameters:
    """What `GPT(model)` holds: equal to the count of the built model, weight by weight."""
    D, F = model.emb_dim, model.hidden_dim
    layernorm_bias = model.norm == "layernorm" and model.bias
    attention = model.qkv_bias * _qkv_rows(model) + model.bias * D
    feed_forward = model.bias * (F * _widenings(model) + D)
    norms = 2 * D * (1 + layernorm_bias) + (2 * model.head_dim if model.qk_norm else 0)
    return Parameters(
        embedding=model.vocab_size * D,
        positions=model.context_length * D if model.position == "learned" else 0,
        attention=model.n_layers * (attention_matrix(model) + attention),
        feed_forward=model.n_layers * (feed_forward_matrix(model) + feed_forward),
        norms=model.n_layers * norms + D * (1 + layernorm_bias),
        head=0 if model.tied_embeddings else model.vocab_size * D,
    )


def attention_matrix(model: ModelConfig) -> int:
    """Weights of one block's attention matrices: queries, keys, values and the way out."""
    return model.emb_dim * (_qkv_rows(model) + model.n_heads * model.head_dim)


def feed_forward_matrix(model: ModelConfig) -> int:
    """Weights of one block's feed-forward matrices."""
    return model.emb_dim * model.hidden_dim * (_widenings(model) + 1)


def _qkv_rows(model: ModelConfig) -> int:
    return (model.n_heads + 2 * model.n_kv_heads) * model.head_dim


def _widenings(model: ModelConfig) -> int:
    """Matrices that widen: swiglu has a second one, the gate."""
    return 2 if model.activation == "swiglu" else 1
