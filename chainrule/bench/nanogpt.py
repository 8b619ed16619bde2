"""nanoGPT out of a folder that the user names: its own model, optimizer and train.py; nothing of it is kept here."""

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.base import ConfigError, UserError
from chainrule.bench.sizes import GRAD_CLIP, WEIGHT_DECAY, Size
from chainrule.checkpoint import to_hugging_face
from chainrule.config import ModelConfig

FILES = ("model.py", "train.py", "configurator.py", "config/train_shakespeare_char.py")
# Linear layers, which Hugging Face's GPT-2 keeps the other way round.
LINEARS = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def checked_folder(folder: Path) -> Path:
    """The folder; raises ConfigError when nanoGPT is not in it."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"--against nanogpt={folder}: {missing[0]} is not there; give a checkout of "
            "https://github.com/karpathy/nanoGPT"
        )
    return folder.absolute()


def fingerprint(folder: Path) -> str:
    """Which nanoGPT it is, whether it is a git checkout or not: the beginning of the hash of model.py and train.py."""
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in FILES[:2])).hexdigest()[:12]


def model_code(folder: Path) -> ModuleType:
    """NanoGPT's model.py as a module. Its code runs: the user named the folder."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", folder / "model.py")
    if spec is None or spec.loader is None:
        raise UserError(f"{folder / 'model.py'} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built(folder: Path, size: Size, vocab_size: int) -> Any:
    """Its GPT of that size, with random weights."""
    code = model_code(folder)
    shape = {"n_layer": size.n_layers, "n_head": size.n_heads, "n_embd": size.emb_dim}
    return code.GPT(
        code.GPTConfig(block_size=size.context_length, vocab_size=vocab_size, dropout=0.0, bias=False, **shape)
    )


def take_weights(model: nn.Module, config: ModelConfig, weights: Mapping[str, Tensor]) -> None:
    """Puts our weights into its model; raises UserError when a weight of it is none of ours, or of another shape."""
    _, tensors = to_hugging_face(config, dict(weights))
    for name, parameter in model.named_parameters():
        given = tensors.get(name)
        if given is not None and name.endswith(LINEARS):
            given = given.T
        if given is None or given.shape != parameter.shape:
            found = "nothing" if given is None else tuple(given.shape)
            raise UserError(f"nanoGPT's {name} {tuple(parameter.shape)} has no match in our model: {found}")
        with torch.no_grad():
            parameter.copy_(given)


def adamw(model: Any, size: Size, device: str = "cpu") -> torch.optim.Optimizer:
    """Its own optimizer, with the benchmark's settings."""
    optimizer: torch.optim.Optimizer = model.configure_optimizers(WEIGHT_DECAY, size.lr, (0.9, size.beta2), device)
    return optimizer


def update(model: Any, optimizer: torch.optim.Optimizer, windows: Tensor) -> float:
    """One step in the order of its train.py in float32 on a CPU; returns the loss, which it reads at every step."""
    _, loss = model(windows[:, :-1].contiguous(), windows[:, 1:].contiguous())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.item())
