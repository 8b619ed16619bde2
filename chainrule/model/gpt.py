"""A GPT: embed, gather and think n_layers times, and say what comes next."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from chainrule.config import ModelConfig
from chainrule.model.block import Block
from chainrule.model.cache import KVCache
from chainrule.model.loss import (
    IGNORED,
    LOGITS_AT_ONCE,
    LOOKED_AT_SHARE,
    compiled_portions,
    in_portions,
    mean_loss,
    mean_loss_in_portions,
    token_losses,
)
from chainrule.model.new_rows import NewRows
from chainrule.model.norm import NORMS
from chainrule.model.position import POSITIONS, RotaryPosition, check_length


class GPT(nn.Module):
    """The network that `config` describes: GPT-2 (Radford et al. 2019) or the modern variant, Llama or Qwen3.

    Linear weights are [out, in]. With tied embeddings there is no `head`: the token embedding serves as one.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.emb_dim)
        self.position_embedding = POSITIONS[config.position](config)
        self.drop = nn.Dropout(config.drop_rate)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.final_norm = NORMS[config.norm](config.emb_dim, config)
        self.head: nn.Module | None = None
        if not config.tied_embeddings:
            self.head = nn.Linear(config.emb_dim, config.vocab_size, bias=False)
        self.checkpointing = False
        self.logits_at_once = LOGITS_AT_ONCE
        self.loss_in_portions: Callable[[Tensor, Tensor, Tensor, int], Tensor] = mean_loss_in_portions
        initialise(self)

    def forward(
        self, ids: Int[Tensor, "B T"], cache: KVCache | None = None, documents: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each place.

        With `cache` each row goes on where it ends there, and is appended. `documents` (without a cache) numbers the
        document of each place: attention then stays inside a document. Raises ModelError beyond context_length.
        """
        return self.logits(self.stream(ids, cache, documents))

    def stream(
        self, ids: Int[Tensor, "B T"], cache: KVCache | None = None, documents: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """The residual stream after the last block and the final norm."""
        length = ids.shape[1]
        check_length(cache.length if cache else 0, length, self.config)
        places, mask = cache.begin(length) if cache else (slice(0, length), None)
        x = self.drop(self.position_embedding.embed(self.token_embedding(ids), places))
        rotation = self.position_embedding.rotation(places)
        if documents is not None:
            mask = same_document(documents)
        for block in self.blocks:
            if self.checkpointing and self.training:
                x = torch.utils.checkpoint.checkpoint(block, x, rotation, mask, use_reentrant=False)
            else:
                x = block(x, rotation, mask, cache)
        if cache is not None:
            cache.advance(length)
        return self.final_norm(x)

    def logits(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... V"]:
        """Scores of every token of the vocabulary."""
        return nn.functional.linear(x, self.head_weight) if self.head is None else self.head(x)

    @property
    def head_weight(self) -> Float[Tensor, "V D"]:
        """What turns the stream into logits: the head's weight, or the token embedding's where they are tied."""
        table = self.token_embedding if self.head is None else self.head
        weight = table.whole() if isinstance(table, NewRows) else table.weight
        assert isinstance(weight, Tensor), "packed weights write, and are not trained"
        return weight

    def token_losses(
        self, ids: Int[Tensor, "B T"], targets: Int[Tensor, "B T"], documents: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T"]:
        """Nats of surprise at each target; 0 where the target is -100.

        Without gradients at most a quarter of `logits_at_once` logits are alive, and their log-softmax.
        """
        x = self.stream(ids, documents=documents)
        at_once = self.logits_at_once // LOOKED_AT_SHARE
        if torch.is_grad_enabled() or ids.numel() * self.config.vocab_size <= at_once:
            return token_losses(self.logits(x), targets)
        flat, flat_targets = x.flatten(0, 1), targets.flatten()
        portions = in_portions(len(flat), self.config.vocab_size, at_once)
        return torch.cat([token_losses(self.logits(flat[one]), flat_targets[one]) for one in portions]).view_as(targets)

    def loss(
        self, ids: Int[Tensor, "B T"], targets: Int[Tensor, "B T"], documents: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, ""]:
        """Mean nats of surprise over the targets that are not -100; at most `logits_at_once` logits are alive."""
        if not torch.is_grad_enabled():
            return mean_loss(self.token_losses(ids, targets, documents), targets)
        x = self.stream(ids, documents=documents)
        if documents is not None and ids.device.type == "cpu" and not (counted := targets != IGNORED).all():
            # Packed examples: scores of what is not learnt are a fifth of the work. A GPU would have to be waited for.
            x, targets = x[counted], targets[counted]
        if targets.numel() * self.config.vocab_size <= self.logits_at_once:
            return mean_loss(token_losses(self.logits(x), targets), targets)
        return self.loss_in_portions(x, self.head_weight, targets, self.logits_at_once)

    def keep_portions_uncompiled(self) -> None:
        """To be called before torch.compile of the loss, which would unroll the loop over portions of logits.

        Not in the first place: the decorator loads torch's compiler, nearly a second for a command that never uses it.
        """
        self.loss_in_portions = torch.compiler.disable(mean_loss_in_portions)  # type: ignore[no-untyped-call]

    def compile_portions(self, backend: str) -> None:
        """To be called instead where the portions are worth a compiler: on a GPU."""
        self.loss_in_portions = compiled_portions(backend)

    def compile_nothing(self) -> None:
        """The loop over portions as it is without a compiler."""
        self.loss_in_portions = mean_loss_in_portions


def same_document(documents: Int[Tensor, "B T"]) -> Bool[Tensor, "B 1 T T"]:
    """True where two places belong to one document."""
    return documents[:, None, :, None] == documents[:, None, None, :]


@torch.no_grad()
def initialise(model: GPT) -> None:
    """GPT-2's start: normal(0, 0.02), biases 0, and the layers that write to the stream scaled by 1/√(2 n_layers).

    The scale keeps the stream's variance from growing with depth (Radford et al. 2019, section 2.3). The standard
    deviation 0.02 belongs to emb_dim 768; narrower models take 1/√emb_dim-proportional weights, so that an untrained
    model of any width starts near ln(vocab_size).
    """
    std = 0.02 * math.sqrt(768 / model.config.emb_dim)
    writers = ("attention.out.weight", "feed_forward.down.weight")
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            parameter.zero_()
        elif parameter.dim() == 1:
            parameter.fill_(1.0)
        else:
            scale = 1 / math.sqrt(2 * model.config.n_layers) if name.endswith(writers) else 1.0
            # Embeddings keep 0.02 at every width: tied, they are also the head, which must start near zero.
            spread = 0.02 if "embedding" in name or name == "head.weight" else std * scale
            parameter.normal_(0.0, spread)
    if isinstance(model.position_embedding, RotaryPosition):
        model.position_embedding.fill()
