"""What the lens costs: a demo, a small GPT, and GPT-2 124M recorded, reversed and verified.

    python benchmarks/lens_speed.py [--preset gpt2-124m] [--lengths 256 1024] [--repeats 5] [--only large verify]

Autograd and the lens run in turn, so that both see the same other load; median (smallest to largest) of wall-clock
seconds. Each verification runs in a process of its own, whose largest memory is then told.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from about import print_about

from chainrule.config import ModelConfig, preset, resolve
from chainrule.lens import record, reverse, verify
from chainrule.model import GPT

SMALL = {"vocab_size": 256, "context_length": 16, "emb_dim": 32, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def spread(seconds: list[float]) -> str:
    return f"{median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f})"


def gpt(shape: ModelConfig, length: int, dtype: torch.dtype) -> tuple[GPT, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(0)
    model = GPT(shape).eval().to(dtype)
    ids = torch.randint(0, shape.vocab_size, (1, length + 1), generator=torch.Generator().manual_seed(1))
    return model, (ids[:, :-1], ids[:, 1:])


def demo(repeats: int) -> None:
    """The neuron's demo as a command, beside a process that only imports torch; both from compiled bytecode.

    Python keeps the bytecode of what it once imported, so every call but the first finds it. Here it is kept in a
    folder of its own, whatever PYTHONDONTWRITEBYTECODE says, and a first round that is not counted fills that.
    """
    torch_alone = [sys.executable, "-c", "import torch"]
    command = [sys.executable, "-m", "chainrule", "lens", "demo", "neuron"]
    alone: list[float] = []
    whole: list[float] = []
    with tempfile.TemporaryDirectory() as kept:
        around = {**os.environ, "PYTHONPYCACHEPREFIX": kept}
        around.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(repeats + 1):
            for words, seconds in ((torch_alone, alone), (command, whole)):
                seconds.append(timed(partial(subprocess.run, words, capture_output=True, check=True, env=around)))
    del alone[0], whole[0]
    beyond = median(whole) - median(alone)
    print(f"chainrule lens demo neuron: {spread(whole)} s; importing torch: {spread(alone)} s; the rest {beyond:.2f} s")


def small(repeats: int) -> None:
    """A 2-layer GPT, recorded, reversed and verified with 64 coordinates; the first call has one-time costs."""
    model, batch = gpt(ModelConfig.model_validate(SMALL), 16, torch.float32)
    seconds = [timed(lambda: verify(model.loss, batch)) for _ in range(repeats + 1)]
    print(f"2-layer GPT verified, 64 coordinates: first {seconds[0]:.3f} s, then {spread(seconds[1:])} s")


def large(shape: ModelConfig, length: int, dtype: torch.dtype, repeats: int) -> None:
    """Recorded and reversed, beside autograd's forward and backward."""
    model, batch = gpt(shape, length, dtype)

    def autograd() -> None:
        torch.autograd.grad(model.loss(*batch), list(model.parameters()))

    def lens() -> None:
        reverse(record(model.loss, *batch))

    autograd()
    lens()
    pairs = [(timed(autograd), timed(lens)) for _ in range(repeats)]
    theirs, ours = [a for a, _ in pairs], [b for _, b in pairs]
    ratio = median(b / a for a, b in pairs)
    name = str(dtype).removeprefix("torch.")
    print(f"{name}, T={length}: autograd {spread(theirs)} s, lens {spread(ours)} s, ratio {ratio:.2f}", flush=True)


def peak_kib() -> int:
    """This process's largest memory. getrusage would count that of the process that started it, up to its start."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])


def verified(name: str, length: int) -> None:
    """One verification in this process, with its largest memory."""
    model, batch = gpt(resolve([preset(name)]).config.model, length, torch.float32)
    start = time.perf_counter()
    report = verify(model.loss, batch)
    seconds, peak = time.perf_counter() - start, peak_kib()
    assert report.numbers is not None
    sampled = f"{len(report.numbers.coordinates)} of {report.numbers.n_asked} coordinates, {report.n_samples} roundings"
    print(
        f"verify in float64, T={length}: {seconds:.1f} s, at most {peak / 2**20:.1f} GiB; {report.summary}; {sampled}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="gpt2-124m")
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=["demo", "small", "large", "verify"])
    parser.add_argument("--verify-here", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.verify_here is not None:
        verified(options.preset, options.verify_here)
        return
    print_about()
    shape = resolve([preset(options.preset)]).config.model
    if "demo" in options.only:
        demo(options.repeats)
    if "small" in options.only:
        small(options.repeats)
    for length in options.lengths if "large" in options.only else ():
        for dtype in (torch.float32, torch.float64):
            large(shape, length, dtype, options.repeats)
    for length in options.lengths if "verify" in options.only else ():
        command = [sys.executable, __file__, "--preset", options.preset, "--verify-here", str(length)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
