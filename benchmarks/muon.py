"""What Muon's update costs beside the rest of a step, and where its polynomials come from.

    python benchmarks/muon.py [--sizes 128x4 192x4 256x6] [--tokens 3072] [--rounds 9] [--precision float32]
    python benchmarks/muon.py --derive [--resolved 0.02] [--steps 3]

Processor time of one thread, so that other programs disturb it less: the best of the rounds. "five steps" is the
iteration of Jordan et al. 2024 in the same format. `--derive` prints the polynomials of optim/orthogonal.py.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from about import print_about
from torch import Tensor

from chainrule.config import Layer, modern, resolve
from chainrule.model import GPT
from chainrule.optim import Optimizer, orthogonalise

QUINTIC = (3.4445, -4.7750, 2.0315)
HEADS = {128: 4, 192: 3, 256: 4, 384: 6, 512: 8}


def minimax(low: float, high: float) -> tuple[tuple[float, float, float], float]:
    """The odd polynomial of degree 5 whose largest distance from 1 on [low, high] is least, and that distance (Remez).

    The best one errs by as much at four places, with alternating signs: solve for that at a guess of the places, move
    them to where the error really is largest, and so on.
    """
    grid = np.geomspace(low, high, 400_001)
    places = (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * np.arange(4) / 3)
    for _ in range(50):
        system = np.stack([places, places**3, places**5, (-1.0) ** np.arange(4)], axis=1)
        a, b, c, _ = np.linalg.solve(system, np.ones(4))
        error = a * grid + b * grid**3 + c * grid**5 - 1
        turns = np.flatnonzero(np.diff(error)[:-1] * np.diff(error)[1:] <= 0) + 1
        places = grid[np.array([0, *turns[:2], len(grid) - 1])]
    return (float(a), float(b), float(c)), float(np.abs(error).max())


def derive(resolved: float, n_steps: int) -> None:
    """Prints one polynomial for each step, each for the interval that the one before it leaves."""
    low, high = resolved, 1.0
    for _ in range(n_steps):
        polynomial, error = minimax(low, high)
        print(f"{polynomial}  on [{low:.4f}, {high:.4f}], then 1 ± {error:.4f}")
        low, high = 1 - error, 1 + error


def five_steps(matrices: Tensor) -> Tensor:
    """The iteration with one polynomial for all steps."""
    a, b, c = QUINTIC
    x = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if matrices.shape[-2] > matrices.shape[-1] else x


def best(action: Callable[[], object], rounds: int) -> float:
    """Milliseconds of this thread's processor time in the quickest round."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.thread_time()
        action()
        seconds.append(time.thread_time() - start)
    return 1e3 * min(seconds[1:])


def measure(size: str, tokens: int, rounds: int, precision: str) -> None:
    """One row: forward and backward, Muon and AdamW as they are, and the iteration alone both ways."""
    width, depth = map(int, size.split("x"))
    shape = modern(width, HEADS[width], depth, 256, 2048)
    config = resolve([Layer("shape", {section: dict(values) for section, values in shape.items()})]).config
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    model = GPT(config.model)
    ids = torch.randint(0, 2048, (max(1, tokens // 256), 257))

    def passes() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = model.loss(ids[:, :-1], ids[:, 1:])
        torch.autograd.backward(loss)

    passing = best(passes, rounds)
    optimizer = Optimizer(model, config, dtype)
    muon, adamw = (best(part.step, rounds) for part in optimizer.parts)
    hidden = config.model.hidden_dim
    batches = [(4 * depth, width, width), (2 * depth, hidden, width), (depth, width, hidden)]
    alone = [torch.randn(batch).to(dtype) for batch in batches]
    new, old = (sum(best(partial(f, x), rounds) for x in alone) for f in (orthogonalise, five_steps))
    print(
        f"{size:>6} {tokens:>6} tokens: forward and backward {passing:7.1f} ms, Muon {muon:6.1f} "
        f"({muon / (passing + muon + adamw):.1%} of the step), AdamW {adamw:4.1f}; "
        f"iteration alone {new:6.1f}, five steps {old:6.1f}",
        flush=True,
    )


def main() -> None:
    """Measures or derives, as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["128x4", "192x4", "256x6"])
    parser.add_argument("--tokens", type=int, nargs="+", default=[3072])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--derive", action="store_true")
    parser.add_argument("--resolved", type=float, default=0.02)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    if options.derive:
        derive(options.resolved, options.steps)
        return
    torch.set_num_threads(1)
    print_about()
    for size in options.sizes:
        for tokens in options.tokens:
            measure(size, tokens, options.rounds, options.precision)


if __name__ == "__main__":
    main()
