"""Whether a verdict of the lens can be trusted: no right program accused, no planted fault passed.

    python benchmarks/lens_calibration.py [--right 1000] [--faults 500] [--seed 0] [--short]

A right program is drawn at random: a perceptron or a convolutional network, an activation (most of them with kinks,
written in one of several ways), a pooling, a norm, a loss, with and without a cut such as detach. It is accused when it
is called wrong. A fault is such a program with one custom Function whose backward pass is off: by a factor of 1 + 1e-6
up to 1.1, by a term, in one row, on one side. It is passed when it is called proved. Half of the faults are looked for
without the rules, so that numbers alone must find them: there they are 1e-5 at least, and nothing is cut. (A millionth
in one row of sixteen is less than numbers say that they may be off by.)
"""

import argparse
import copy
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from about import print_about
from torch import Tensor, nn
from torch.nn import functional

from chainrule.lens import verify

Act = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Act] = {
    "relu": torch.relu,
    "relu in place": lambda x: functional.relu(x * 1.0, inplace=True),
    "clamp(min=0)": lambda x: x.clamp(min=0),
    "maximum with 0": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "mask": lambda x: x * (x > 0),
    "leaky_relu": lambda x: functional.leaky_relu(x, 0.2),
    "elu": functional.elu,
    "hardtanh": functional.hardtanh,
    "hardswish": functional.hardswish,
    "relu6": functional.relu6,
    "abs": torch.abs,
    "softshrink": functional.softshrink,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "maxout": lambda x: torch.stack([x, -0.5 * x]).amax(0),
    "top half": lambda x: x * (x >= x.median(-1, keepdim=True).values),
}
CUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "no cut": lambda x: x,
    "detach": lambda x: x * x.detach().sigmoid(),
    "item": lambda x: x / (1.0 + x.abs().mean().item()),
    "no_grad": lambda x: x - _mean_without_gradient(x),
}
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": functional.cross_entropy,
    "squares": lambda x, t: functional.mse_loss(x, functional.one_hot(t, 10).to(x.dtype)),
    "absolute": lambda x, t: functional.l1_loss(x, functional.one_hot(t, 10).to(x.dtype)),
    "huber": lambda x, t: functional.smooth_l1_loss(x, functional.one_hot(t, 10).to(x.dtype), beta=0.1),
    "hinge": lambda x, t: (1 - x.gather(1, t[:, None]) + x).clamp(min=0).mean(),
}
FACTORS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def _mean_without_gradient(x: Tensor) -> Tensor:
    with torch.no_grad():
        return x.mean()


def _off(g: Tensor, kind: str, size: float) -> Tensor:
    """The gradient, wrong in one of several ways by about `size` of itself."""
    if kind == "factor":
        return g * (1 + size)
    if kind == "row":
        made = g.clone()
        made[0] *= 1 + size
        return made
    if kind == "term":
        return g + size * g.flip(-1)
    return torch.where(g > 0, g, g * (1 - size))


def planted(kind: str, size: float) -> Callable[[Tensor], Tensor]:
    """The identity with such a backward pass."""

    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 1.0

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return _off(gradients[0], kind, size)

    return Planted.apply


@dataclass(frozen=True)
class Program:
    """A model, what it is run on, and what it is called in the table."""

    name: str
    model: "Network"
    x: Tensor
    targets: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    faulty: str = ""


class Network(nn.Module):
    """Two hidden layers, dense or convolutional, with what was drawn between them."""

    def __init__(self, *, convolution: bool, act: Act, between: Act, right: Act, norm: bool, pool: Act) -> None:
        super().__init__()
        self.act, self.between, self.right, self.pool = act, between, right, pool
        self.first: nn.Module = nn.Conv2d(1, 4, 3) if convolution else nn.Linear(12, 24)
        self.second: nn.Module = nn.Conv2d(4, 4, 3) if convolution else nn.Linear(24, 24)
        self.norm = (nn.BatchNorm2d(4) if convolution else nn.LayerNorm(24)) if norm else nn.Identity()
        self.head = nn.Linear(16 if convolution else 24, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        h = self.pool(self.act(self.norm(self.first(x))))
        h = self.act(self.second(self.between(h)))
        return self.head(h.flatten(1)) if h.dim() > 2 else self.head(h)


def draw(generator: torch.Generator, fault: tuple[str, float] | None = None, *, cuts: bool = True) -> Program:
    """One program at random, with the fault planted in it."""

    def one_of(names: dict[str, Any]) -> str:
        return list(names)[int(torch.randint(len(names), (), generator=generator))]

    def coin() -> bool:
        return bool(torch.randint(2, (), generator=generator))

    act, cut, loss, convolution, norm, most = one_of(ACTIVATIONS), one_of(CUTS), one_of(LOSSES), coin(), coin(), coin()
    cut = cut if cuts else "no cut"
    torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
    bend = planted(*fault) if fault else (lambda x: x)
    cut_is = CUTS[cut]
    pool = (functional.max_pool2d if most else functional.avg_pool2d) if convolution else None
    model = Network(
        convolution=convolution,
        act=ACTIVATIONS[act],
        between=lambda h: cut_is(bend(h)),
        right=cut_is,
        norm=norm,
        pool=(lambda h: pool(h, 2)) if pool is not None else (lambda h: h),
    )
    x = torch.randn(6, 1, 10, 10) if convolution else torch.randn(16, 12)
    kind = ("convolutional, " + ("maximum" if most else "average")) if convolution else "dense"
    name = f"{kind}, {act}, {'norm, ' if norm else ''}{loss}, {cut}"
    faulty = f"{fault[0]} {fault[1]:g}" if fault else ""
    return Program(name, model, x, torch.randint(0, 10, (len(x),)), LOSSES[loss], faulty)


def right_programs(n: int, seed: int) -> Iterator[Program]:
    """So many programs whose gradients are right."""
    generator = torch.Generator().manual_seed(seed)
    return (draw(generator) for _ in range(n))


def faulty_programs(n: int, seed: int, *, rules: bool) -> Iterator[Program]:
    """So many with a fault each, to be found with the rules or without.

    One that changes no gradient is none (a row that a hard activation has switched off), and is drawn again.
    """
    generator = torch.Generator().manual_seed(seed + 1 + rules)
    kinds, sizes = ("factor", "row", "term", "side"), FACTORS if rules else FACTORS[1:]
    for i in range(n):
        fault = kinds[i % 4], sizes[i // 4 % len(sizes)]
        program = draw(generator, fault, cuts=rules)
        while change(program) < fault[1] / 30:
            program = draw(generator, fault, cuts=rules)
        yield program


def change(program: Program) -> float:
    """How much the fault changes the gradient of the first weight, over its largest element."""
    exact, gradients = copy.deepcopy(program.model).double(), []
    for between in (exact.between, exact.right):
        exact.between = between
        loss = program.loss(exact(program.x.double()), program.targets)
        gradients.append(torch.autograd.grad(loss, next(exact.first.parameters()))[0])
    bent, right = gradients
    return float((bent - right).abs().max() / right.abs().max().clamp(min=1e-300))


def judged(program: Program, *, coordinates: int, seed: int, rules: bool = True) -> tuple[str, str]:
    """The verdict and its sentence."""
    against = ("autograd", "rules", "numbers") if rules else ("autograd", "numbers")
    loss, targets = program.loss, program.targets
    report = verify(
        program.model,
        program.x,
        lambda scores: loss(scores, targets),
        coordinates=coordinates,
        seed=seed,
        against=against,
    )
    return report.verdict, report.summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--right", type=int, default=1000, help="right programs")
    parser.add_argument("--faults", type=int, default=500, help="planted faults")
    parser.add_argument("--coordinates", type=int, default=16, help="weights of each looked at by numbers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="20 right programs and 20 faults")
    options = parser.parse_args()
    n_right, n_faults = (20, 20) if options.short else (options.right, options.faults)
    print_about()
    print(f"seed {options.seed}, {options.coordinates} weights each")
    torch.set_num_threads(1)
    start = time.perf_counter()
    words: dict[str, Counter[str]] = {"right": Counter(), "faulty": Counter(), "faulty, by numbers alone": Counter()}
    for number, program in enumerate(right_programs(n_right, options.seed)):
        word, summary = judged(program, coordinates=options.coordinates, seed=number)
        words["right"][word] += 1
        if word != "proved":
            print(f"  {word}: right program {number}, {program.name}: {summary}")
    for rules, kind in ((True, "faulty"), (False, "faulty, by numbers alone")):
        for number, program in enumerate(faulty_programs(n_faults // 2, options.seed, rules=rules)):
            word, _ = judged(program, coordinates=options.coordinates, seed=number, rules=rules)
            words[kind][word] += 1
            if word != "wrong":
                print(f"  {word}, {kind}: fault {number} ({program.faulty}), {program.name}")
    heads = ("proved", "wrong", "not proved")
    print(f"\n{'programs':<26}{''.join(f'{head:>12}' for head in heads)}")
    for kind, counted in words.items():
        print(f"{kind:<26}{''.join(f'{counted[head]:>12}' for head in heads)}")
    print(f"{time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main()
