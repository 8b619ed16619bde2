"""Our kernels against torch's operations: each alone, and in whole training steps.

    python benchmarks/kernels.py [--rounds 7] [--only rms_norm gelu …] [--steps] [--precision float32]
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/kernels.py --precision float32

Processor time of one thread, torch and ours in turn, the best of the rounds and the median of the ratios of each pair:
forward and backward pass of 4,096 rows, Muon's iteration for a dozen matrices, or with `--steps` a whole update of
models of 0.8M and 10.8M parameters (`--sizes`), forward, backward and optimizer.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from about import print_about
from torch import Tensor

from chainrule.base import freed_memory_kept
from chainrule.config import Config, Layer, modern, resolve
from chainrule.device import Precision
from chainrule.kernels import cross_entropies, gated, gelu, rms_norm, rotated, rotated_heads, use_kernels
from chainrule.model import GPT, attend
from chainrule.optim import Optimizer, orthogonalise

ROWS, WIDTHS = 4096, (128, 384, 768)
# Width, heads, layers, context, windows.
MODELS = {"0.8M": (128, 4, 4, 64, 12), "10.8M": (384, 6, 6, 256, 4), "124M": (768, 12, 12, 512, 1)}


def random(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape).to(dtype).requires_grad_()


def passing(function: Callable[..., Tensor], *inputs: Tensor) -> Callable[[], object]:
    """Forward and backward."""
    upstream = torch.ones_like(function(*inputs))
    learning = [one for one in inputs if one.requires_grad]
    return lambda: torch.autograd.grad(function(*inputs), learning, upstream)


def cases(width: int, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    """Every kernel as a model of this width asks for it; a loss with as many entries as numbers in a wide layer."""
    weight, targets = torch.ones(width, requires_grad=True), torch.randint(0, 4 * width, (ROWS,))
    hidden = 8 * width // 3
    return {
        "rms_norm": passing(partial(rms_norm, eps=1e-5), random(ROWS, width, dtype=dtype), weight),
        "gated": passing(gated, random(ROWS, hidden, dtype=dtype), random(ROWS, hidden, dtype=dtype)),
        "gelu": passing(gelu, random(ROWS, 4 * width, dtype=dtype)),
        "cross_entropies": passing(lambda x: cross_entropies(x, targets), random(ROWS, 4 * width, dtype=dtype)),
        "rotated_heads": passing_heads(width, dtype),
        "orthogonalise": partial(orthogonalise, torch.randn(12, width, width).to(dtype)),
        "attention": passing(attention, *(random(16, width // 64, ROWS // 16, 64, dtype=dtype) for _ in range(3))),
    }


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """By products of matrices in bfloat16, as a model has it where those are native; in float32 it is torch's alone."""
    return attend(q, k, v, explicit=q.dtype == torch.bfloat16)


def passing_heads(width: int, dtype: torch.dtype) -> Callable[[], object]:
    """Attention's queries, keys and values, normalised and rotated, from 16 texts, as a model makes them."""
    n_heads, length = width // 64, ROWS // 16
    cosine, sine = torch.randn(2, length, 64)

    def heads(x: Tensor, of_queries: Tensor, of_keys: Tensor) -> tuple[Tensor, ...]:
        found = rotated_heads(x, (n_heads, n_heads), (cosine, sine), (of_queries, of_keys), 1e-5)
        if found is not None:
            return found
        q, k, v = x.view(16, length, -1, 64).transpose(1, 2).chunk(3, dim=1)
        q, k = rms_norm(q, of_queries, 1e-5), rms_norm(k, of_keys, 1e-5)
        return rotated(q, cosine, sine), rotated(k, cosine, sine), v

    x = random(16, length, 3 * width, dtype=dtype)
    norms = torch.ones(64, requires_grad=True), torch.ones(64, requires_grad=True)
    upstream = [torch.ones_like(one) for one in heads(x, *norms)]
    return lambda: torch.autograd.grad(heads(x, *norms), [x, *norms], upstream)


def alternating(action: Callable[[], object], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of processor time by kernels, a number for each round."""
    spent: dict[str, list[float]] = {"off": [], "auto": []}
    for turn in range(rounds + 1):
        for kernels, times in spent.items():
            use_kernels(kernels)
            if not turn:
                action()
            start = time.thread_time()
            action()
            if turn:
                times.append(1e3 * (time.thread_time() - start))
    return spent


def print_row(name: str, spent: dict[str, list[float]]) -> None:
    torchs, ours = spent["off"], spent["auto"]
    ratio = statistics.median(one / other for one, other in zip(torchs, ours, strict=True))
    print(
        f"{name:36s} torch {min(torchs):9.2f} ms  ours {min(ours):9.2f} ms  best {min(torchs) / min(ours):5.2f}x",
        end="",
    )
    print(f"  pairs {ratio:5.2f}x")


def model_of(size: str, kind: str) -> Config:
    width, heads, layers, context, _ = MODELS[size]
    shape: dict[str, dict[str, Any]] = {
        "model": {"emb_dim": width, "n_heads": heads, "n_layers": layers, "context_length": context, "vocab_size": 257},
        "optimizer": {"kind": "adamw"},
    }
    if kind == "modern":
        shape = {section: dict(values) for section, values in modern(width, heads, layers, context, 257).items()}
    shape["model"]["drop_rate"] = 0.0
    return resolve([Layer("shape", shape)]).config


def step_of(size: str, kind: str, precision: str) -> Callable[[], object]:
    """A whole update."""
    config, windows = model_of(size, kind), MODELS[size][-1]
    model = GPT(config.model).train()
    optimizer = Optimizer(model, config, torch.bfloat16 if precision == "bfloat16" else torch.float32)
    ids = torch.randint(0, 257, (windows, config.model.context_length + 1))

    def step() -> None:
        with Precision("cpu", precision).autocast():
            loss = model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step(1.0)
        optimizer.zero_grad()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--sizes", nargs="*", choices=MODELS, default=["0.8M", "10.8M"])
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), nargs="*", default=("float32", "bfloat16"))
    asked = parser.parse_args()
    print_about()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"kernels: {use_kernels('auto')}")
    with freed_memory_kept():
        for precision in asked.precision:
            if asked.steps:
                for size in asked.sizes:
                    for kind in ("gpt2", "modern"):
                        spent = alternating(step_of(size, kind, precision), asked.rounds)
                        print_row(f"step {size} {kind} {precision}", spent)
                continue
            for width in WIDTHS:
                for name, action in cases(width, getattr(torch, precision)).items():
                    if not asked.only or name in asked.only:
                        print_row(f"{name} {precision} width {width}", alternating(action, asked.rounds))


if __name__ == "__main__":
    main()
