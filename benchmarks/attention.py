"""Where plain matrix products beat the fused attention kernel in training: forward and backward, alternating.

python benchmarks/attention.py [--rounds 7]
"""

import argparse
import statistics
import time

import torch
from about import print_about

from chainrule.model import attend

SHAPES = ((64, 4, 64, 32), (16, 4, 256, 64), (8, 6, 512, 64), (2, 12, 1024, 64))


def seconds(shape: tuple[int, ...], dtype: torch.dtype, explicit: bool) -> float:
    """Seconds of one forward and backward pass."""
    q, k, v = (torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3))
    start = time.perf_counter()
    torch.autograd.backward(attend(q, k, v, explicit=explicit).sum())
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print_about()
    print("shape (batch, heads, tokens, width), milliseconds, median (lowest to highest)")
    for dtype in (torch.float32, torch.bfloat16):
        for shape in SHAPES:
            times: dict[bool, list[float]] = {True: [], False: []}
            for turn in range(rounds + 1):
                for explicit in (True, False):
                    took = seconds(shape, dtype, explicit)
                    if turn:  # the first round warms up
                        times[explicit].append(took * 1e3)
            words = [f"{statistics.median(t):.1f} ({min(t):.1f} to {max(t):.1f})" for t in (times[True], times[False])]
            ratio = statistics.median(times[False]) / statistics.median(times[True])
            print(f"{str(dtype)[6:]:9} {shape!s:20} explicit {words[0]:24} fused {words[1]:24} ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
