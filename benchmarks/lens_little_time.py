"""A gradient that is 0.1 % too large, and little time to find it: it may be found or left open, and never proved.

    python benchmarks/lens_little_time.py [--seconds 0.2 1 3 40] [--sizes 0.1 1 10] [--coordinates 64]

GPTs of about 0.1, 1 and 10 million parameters, in float64 throughout, with one norm rounded to float32 inside, and with
one to bfloat16. In each the gradient of one weight after another (the embedding, a matrix of the first block, the last
norm) is made 0.1 % too large, on one core. The same program without the fault may not be called wrong. The exit code is
1 when a fault was proved, or a right program called wrong.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from about import print_about
from torch import Tensor, nn
from torch.nn.utils import parametrize

from chainrule.config import ModelConfig
from chainrule.lens import verify
from chainrule.model import GPT

# By millions of parameters: width, layers, context.
SHAPES = {"0.1": (64, 2, 32), "1": (128, 5, 32), "10": (352, 6, 64)}
FORMATS = {"float64": None, "float32": torch.float32, "bfloat16": torch.bfloat16}
VOCAB = 512
FAULT = 1e-3


class TooLarge(torch.autograd.Function):
    """A weight as it is, and its gradient 0.1 % too large."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight * 1.0

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * (1 + FAULT)


class Planted(nn.Module):
    """The same as a parametrization, which any weight of any module can have."""

    def forward(self, weight: Tensor) -> Tensor:
        """The weight."""
        return TooLarge.apply(weight)  # type: ignore[no-untyped-call]


def model_of(size: str, dtype: torch.dtype | None) -> tuple[GPT, tuple[Tensor, Tensor]]:
    """A GPT of about so many million parameters, and its batch."""
    width, n_layers, length = SHAPES[size]
    torch.manual_seed(0)
    shape = {"vocab_size": VOCAB, "context_length": length, "emb_dim": width, "n_heads": width // 32}
    model = GPT(ModelConfig.model_validate({**shape, "n_layers": n_layers, "drop_rate": 0.0})).eval()
    if dtype is not None:
        norm = next(one for name, one in model.named_modules() if "norm" in name)
        norm.register_forward_hook(lambda _module, _given, out: out.to(dtype).to(out.dtype))
    ids = torch.randint(0, VOCAB, (1, length + 1), generator=torch.Generator().manual_seed(1))
    return model, (ids[:, :-1], ids[:, 1:])


def groups(model: GPT) -> Iterator[tuple[nn.Module, str]]:
    """An embedding, a matrix and a norm, as (module, name of the module)."""
    named = [(one, name) for name, one in model.named_modules() if isinstance(getattr(one, "weight", None), Tensor)]
    yield next(pair for pair in named if isinstance(pair[0], nn.Embedding))
    yield next(pair for pair in named if "feed_forward" in pair[1] and isinstance(pair[0], nn.Linear))
    yield next(pair for pair in reversed(named) if "norm" in pair[1])


def judged(size: str, form: str, group: int | None, seconds: float, coordinates: int) -> str:
    """Verifies one program, with the fault in that group of weights or without, and prints the line; the verdict."""
    model, batch = model_of(size, FORMATS[form])
    module, where = (None, "none") if group is None else list(groups(model))[group]
    if module is not None:
        parametrize.register_parametrization(module, "weight", Planted())
    start = time.perf_counter()
    report = verify(model.loss, batch, seconds=seconds, coordinates=coordinates)
    took = time.perf_counter() - start
    n_weights = sum(one.numel() for one in model.parameters())
    made = f"{report.n_samples} roundings, {len(report.numbers.coordinates) if report.numbers else 0} weights"
    what = f"{n_weights / 1e6:5.1f}M {form:<9} fault in {where:<25} {seconds:>4g} s"
    print(f"{what}: {report.verdict:<11} {made}, {took:.1f} s")
    if report.verdict != ("proved" if group is None else "wrong"):
        print(f"      {report.summary}")
    return report.verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.2, 1, 3, 40])
    parser.add_argument("--sizes", nargs="+", default=list(SHAPES), choices=SHAPES)
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--coordinates", type=int, default=64)
    options = parser.parse_args()
    print_about()
    torch.set_num_threads(1)
    print(f"one thread, a fault of {FAULT:g}, seed 0, {options.coordinates} weights by numbers where there is time\n")
    words: dict[str, Counter[str]] = {"faulty": Counter(), "right": Counter()}
    for size, form, group, seconds in product(options.sizes, options.formats, (0, 1, 2, None), options.seconds):
        word = judged(size, form, group, seconds, options.coordinates)
        words["right" if group is None else "faulty"][word] += 1
        sys.stdout.flush()
    print()
    for kind, counted in words.items():
        print(f"{kind}: " + ", ".join(f"{n} {word}" for word, n in counted.most_common()))
    sys.exit(1 if words["faulty"]["proved"] or words["right"]["wrong"] else 0)


if __name__ == "__main__":
    main()
