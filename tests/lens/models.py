"""Small models of every kind that the lens must cover, each as a subject ready to record."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from chainrule.config import ModelConfig
from chainrule.lens.tape.subject import Subject
from chainrule.model import GPT

VOCABULARY = 61
LENGTH = 9


def tokens(seed: int = 0) -> Tensor:
    return torch.randint(0, VOCABULARY, (2, LENGTH), generator=torch.Generator().manual_seed(seed))


def transformers_model(name: str, attention: str) -> Subject:
    """A tiny random model of the transformers library, in float64, with labels."""
    import transformers

    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "max_position_embeddings": 32}
    grouped = {"num_key_value_heads": 2, "head_dim": 4}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    if name == "GPT2":
        shape = {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, **ends}
    elif name == "GPTNeoX":
        shape = {**sizes, **heads, **ends}
    else:
        shape = {**sizes, **heads, **grouped, **ends}
    config = getattr(transformers, f"{name}Config")(**shape)
    config._attn_implementation = attention
    kind = f"{name}LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM"
    model = getattr(transformers, kind)(config).double().train()
    ids = tokens()
    return Subject(f"{name} {attention}", model, named={"input_ids": ids, "labels": ids})


GPT2 = {"vocab_size": VOCABULARY, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 2, "drop_rate": 0.1}
MODERN = {
    **{"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "drop_rate": 0.0},
    **{"vocab_size": VOCABULARY, "context_length": 16, "emb_dim": 16, "n_heads": 4, "n_kv_heads": 2, "n_layers": 2},
}
OWN: dict[str, dict[str, Any]] = {
    "gpt2": GPT2,
    "gpt2 untied with biases": {**GPT2, "tied_embeddings": False, "qkv_bias": True},
    "llama": MODERN,
    "qwen3": {**MODERN, "qk_norm": True, "tied_embeddings": False, "drop_rate": 0.2},
}


def own(name: str, *, train: bool, documents: bool = False, ignored: bool = False) -> Subject:
    """One of our own models, tiny, in float64; with a document mask and ignored targets if wanted."""
    torch.manual_seed(0)
    model = GPT(ModelConfig(**OWN[name])).double().train(train)
    targets = tokens(1)
    if ignored:
        targets[:, ::3] = -100
    mask = {"documents": torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2, 2], [0] * LENGTH])} if documents else {}
    return Subject(name, model.loss, (tokens(), targets), named=mask)


class Convolutional(nn.Module):
    """Convolution, batch normalisation, pooling of both kinds, relu in place, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False),  # batch normalisation takes a bias away again
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 4, 3, stride=2, groups=2, bias=False),
            nn.Dropout(0.2),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4, 3),
        )

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self.body(x), labels)


class Recurrent(nn.Module):
    """Words by a recurrent network of two layers, with a padding word."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 6, padding_idx=3)
        self.recurrent = kind(6, 5, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, VOCABULARY)

    def forward(self, ids: Tensor) -> Tensor:
        states, _ = self.recurrent(self.embedding(ids))
        return nn.functional.cross_entropy(self.head(states).flatten(0, 1), ids.roll(-1, 1).flatten())


def convolutional(*, train: bool) -> Subject:
    torch.manual_seed(0)
    model = Convolutional().double().train(train)
    return Subject("convolutional", model, (torch.randn(3, 2, 12, 12, dtype=torch.float64), torch.tensor([0, 2, 1])))


def recurrent(kind: type[nn.RNNBase]) -> Subject:
    torch.manual_seed(0)
    ids = tokens()
    ids[0, :2] = 3
    return Subject(kind.__name__, Recurrent(kind).double(), (ids,))


OURS: dict[str, Callable[[], Subject]] = {
    **{
        f"{name}, {'train' if train else 'eval'}": partial(own, name, train=train)
        for name in OWN
        for train in (True, False)
    },
    "documents": partial(own, "qwen3", train=True, documents=True),
    "ignored targets": partial(own, "gpt2", train=True, ignored=True),
    "convolutional, train": partial(convolutional, train=True),
    "convolutional, eval": partial(convolutional, train=False),
    "LSTM": partial(recurrent, nn.LSTM),
    "GRU": partial(recurrent, nn.GRU),
    "RNN": partial(recurrent, nn.RNN),
}


class Widened(TorchFunctionMode):
    """What asks for float32 inside the block gets float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        wide = partial(tree_map_only, torch.dtype, lambda dtype: torch.float64 if dtype == torch.float32 else dtype)
        func = torch.Tensor.double if func is torch.Tensor.float else func
        return func(*wide(args), **wide(kwargs or {}))
