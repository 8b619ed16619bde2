"""Updates that were published, against what `chainrule plan` says they take.

    python benchmarks/calculon.py [--fit]

The eight are of Korthikanti et al. (arXiv 2205.05198, table 5): Megatron on A100s, everything computed anew or, with
sequence parallelism, attention alone. Calculon (Isaev et al., SC'23) is held to the same eight: 3.65 % in the mean and
8.87 % at most. Two constants of `chainrule.plan.update_time`, the share of the peak and how it falls with small
matrices, were fitted to them (`--fit` does it again), none of them to one point; so the second column of errors leaves
both updates of a model out of the fit that foretells them. The last lines have had no part in that: torchtitan's
published speed of Llama 3.1 8B, with fused attention.
"""

import argparse
import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

from chainrule.config import ModelConfig
from chainrule.plan import DEVICES, Layout, Shares, StepTime, parameters, step_time


@dataclass(frozen=True)
class Published:
    """One line of the table."""

    name: str
    model: ModelConfig
    layout: Layout
    batch_windows: int
    seconds: float


def _megatron(emb_dim: int, n_heads: int, n_layers: int) -> ModelConfig:
    return ModelConfig(
        vocab_size=51200, context_length=2048, emb_dim=emb_dim, n_heads=n_heads, n_layers=n_layers, drop_rate=0.1,
        qkv_bias=True,
    )  # fmt: skip


def _both(
    name: str, model: ModelConfig, pp: int, chunks: int, micro_batch: int, windows: int, full: float, part: float
) -> Iterator[Published]:
    old = Layout(tp=8, pp=pp, chunks=chunks, micro_batch=micro_batch, recompute="all", sequence_parallel=False)
    new = Layout(tp=8, pp=pp, chunks=chunks, micro_batch=micro_batch, recompute="attention")
    yield Published(f"{name}, all anew", model, old, windows, full)
    yield Published(f"{name}, attention anew", model, new, windows, part)


POINTS = [
    *_both("22B", _megatron(6144, 64, 48), 1, 1, 4, 4, 1.42, 1.10),
    *_both("175B", _megatron(12288, 96, 96), 8, 3, 1, 64, 18.13, 13.75),
    *_both("530B", _megatron(20480, 128, 105), 35, 3, 1, 280, 49.05, 37.83),
    *_both("1T", _megatron(25600, 160, 128), 64, 1, 1, 512, 94.42, 71.49),
]


def foretold(point: Published, shares: Shares) -> StepTime:
    """What the plan says."""
    return step_time(
        point.model, DEVICES["a100"], point.layout, point.batch_windows,
        parameters=parameters(point.model).total, attention="plain", shares=shares,
    )  # fmt: skip


def fitted(points: list[Published]) -> Shares:
    """The two constants with the least squares of relative errors: steps along each, halved until they are small."""
    at, width = Shares(), 0.1

    def cost(shares: Shares) -> float:
        return sum((foretold(one, shares).total / one.seconds - 1) ** 2 for one in points)

    while width > 1e-3:
        steps = [
            replace(at, matrix=min(1.0, at.matrix * by), half_side=at.half_side * also)
            for by, also in itertools.product((1 - width, 1, 1 + width), repeat=2)
        ]
        best = min(steps, key=cost)
        at, width = (best, width) if cost(best) < cost(at) else (at, width / 2)
    return at


# github.com/pytorch/torchtitan, benchmarks/llama3_h100_202412_torchtitan.md (H100s held to 500 W, compiled) and
# docs/performance.md of 2024 (A100s): FSDP2, windows of 8,192, a share of the operations computed anew; tokens a second
# and device.
LLAMA_8B = ModelConfig(
    vocab_size=128256, context_length=8192, emb_dim=4096, n_heads=32, n_kv_heads=8, n_layers=32, hidden_dim=14336,
    drop_rate=0.0, norm="rmsnorm", position="rope", activation="swiglu", bias=False, tied_embeddings=False,
)  # fmt: skip
TITAN = (("A100", 64, 1, 2973), ("H100", 8, 2, 6667), ("H100", 128, 2, 6514))


def held_out() -> None:
    """Torchtitan's figures beside the plan's."""
    print("\ntokens/s of a device    published  foretold  times")
    for name, n, micro_batch, published in TITAN:
        layout = Layout(fsdp=n, micro_batch=micro_batch, recompute="attention")
        count = parameters(LLAMA_8B).total
        told = step_time(LLAMA_8B, DEVICES[name.lower()], layout, micro_batch * n, parameters=count)
        speed = micro_batch * LLAMA_8B.context_length / told.total
        print(f"Llama 8B on {n:>3} {name:<8} {published:>8,} {speed:>9,.0f} {speed / published:>6.2f}")


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--fit", action="store_true", help="fit the constants again and print them")
    shares = Shares()
    if parser.parse_args().fit:
        shares = fitted(POINTS)
        print(f"fitted: {shares}\n")
    print(f"{'update':<24} {'published':>9} {'foretold':>9} {'error':>7} {'left out':>8}   products traffic tp bubble")
    errors, left_out = [], []
    for point in POINTS:
        told = foretold(point, shares)
        others = [one for one in POINTS if one.model != point.model]
        blind = foretold(point, fitted(others)).total / point.seconds - 1
        errors.append(told.total / point.seconds - 1)
        left_out.append(blind)
        print(
            f"{point.name:<24} {point.seconds:>9.2f} {told.total:>9.2f} {errors[-1]:>+7.1%} {blind:>+8.1%}   "
            f"{told.products:.2f} {told.traffic:.2f} {told.tensor_parallel:.2f} {told.bubble:.2f}"
        )
    for name, found in (("all eight in the fit", errors), ("each model left out", left_out)):
        sizes = [abs(one) for one in found]
        print(f"{name}: mean {statistics.fmean(sizes):.2%}, most {max(sizes):.2%}")
    held_out()


if __name__ == "__main__":
    main()
