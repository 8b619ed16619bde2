"""Right programs: none may be called wrong. Networks with kinks, and 108 ways of writing PyTorch.

    python benchmarks/lens_accused.py [--seeds 20] [--only networks ways] [--ways mask]

Networks: a perceptron with ReLU, one with LeakyReLU, a convolutional network with ReLU and max-pooling, each drawn from
so many seeds, three losses in turn. Ways: the programs of lens_ways.py and lens_ways_modules.py. Each is verified with
its 16 weights by numbers, and is proved, wrong, not proved or refused; whatever is not proved is printed with the
reason that was given. The exit code is 1 when any was called wrong.
"""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from about import print_about
from lens_ways import WAYS
from lens_ways_modules import MODULES
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils._pytree import tree_leaves

from chainrule.base import ChainruleError
from chainrule.lens import verify

WEIGHTS, CLASSES = 16, 10
Loss = Callable[[Any], Tensor]
Program = tuple[str, Any, Any, Loss]


def relu() -> tuple[nn.Module, Tensor]:
    """Two hidden layers of 64."""
    hidden = [nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(64, CLASSES)), torch.randn(32, 16)


def leaky() -> tuple[nn.Module, Tensor]:
    """The same with a slope below zero."""
    hidden = [nn.Linear(16, 64), nn.LeakyReLU(0.1), nn.Linear(64, 64), nn.LeakyReLU(0.1)]
    return nn.Sequential(*hidden, nn.Linear(64, CLASSES)), torch.randn(32, 16)


def max_pool() -> tuple[nn.Module, Tensor]:
    """Two convolutions, each with ReLU, one with max-pooling."""
    layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(128, CLASSES)), torch.randn(8, 1, 14, 14)


NETWORKS = {"ReLU": relu, "LeakyReLU": leaky, "ReLU and max-pooling": max_pool}


def networks(n_seeds: int) -> Iterator[Program]:
    """Each network from so many seeds."""
    for name, made in NETWORKS.items():
        for seed in range(n_seeds):
            torch.manual_seed(seed)
            model, x = made()
            targets = torch.randint(0, CLASSES, (len(x),))
            yield f"{name}, seed {seed}", model, x, _losses(targets)[seed % 3]


def _losses(targets: Tensor) -> list[Loss]:
    hot = F.one_hot(targets, CLASSES)
    return [
        lambda scores: F.cross_entropy(scores, targets),
        lambda scores: F.mse_loss(scores, hot.to(scores.dtype)),
        lambda scores: F.l1_loss(scores, hot.to(scores.dtype)),
    ]


def ways(only: str) -> Iterator[Program]:
    """The programs of the table, each from the same random numbers."""
    for name, made in {**WAYS, **MODULES}.items():
        if only in name:
            torch.manual_seed(0)
            yield name, *made(), one_number


def one_number(made: Any) -> Tensor:
    """The loss that it holds, or one of every number in it, no two of them with the same weight."""
    kept = made.get("loss") if isinstance(made, dict) else getattr(made, "loss", None)
    if kept is not None:
        return kept
    tensors = [one for one in tree_leaves(made) if isinstance(one, Tensor) and one.is_floating_point()]
    return torch.stack([(one.sin() * _weights(one)).sum() for one in tensors]).sum()


def _weights(one: Tensor) -> Tensor:
    return torch.linspace(0.5, 1.5, one.numel(), dtype=one.dtype).reshape(one.shape)


def judged(program: Program, seed: int) -> tuple[str, str]:
    """The verdict and its sentence; "refused" with the error."""
    _, target, batch, loss = program
    try:
        report = verify(target, batch, loss, coordinates=WEIGHTS, seed=seed)
    except ChainruleError as fault:
        return "refused", str(fault)
    return report.verdict, report.summary


def told(kind: str, programs: Iterator[Program]) -> int:
    """Prints what is not proved and the sums; how many were called wrong."""
    words: Counter[str] = Counter()
    for number, program in enumerate(programs):
        word, summary = judged(program, number)
        words[word] += 1
        if word != "proved":
            print(f"  {word}: {program[0]}: {summary}", flush=True)
    print(f"{kind}: {words.total()}: " + ", ".join(f"{n} {word}" for word, n in words.most_common()), flush=True)
    return words["wrong"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="of each network")
    parser.add_argument("--only", nargs="+", default=["networks", "ways"], choices=["networks", "ways"])
    parser.add_argument("--ways", default="", help="those whose name has this in it")
    options = parser.parse_args()
    print_about()
    print(f"{WEIGHTS} weights each by numbers, seeds 0 to {options.seeds - 1}\n")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    n_wrong = told("networks", networks(options.seeds)) if "networks" in options.only else 0
    n_wrong += told("ways of writing", ways(options.ways)) if "ways" in options.only else 0
    sys.exit(1 if n_wrong else 0)


if __name__ == "__main__":
    main()
