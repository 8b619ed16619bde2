"""What the lens can verify of the operations, modules and models that people use, and why not the rest.

    python benchmarks/lens_coverage.py [--only fft] [--seconds 2] [--transformers] [--part 1/4]

Each line of lens_operations.txt is verified by itself: proved, not proved (with the reason), or wrong. With
--transformers, each line of lens_models.txt: the models of that library in small, as they are built; each takes some
seconds. --part has every fourth line, from the first on.
"""

import argparse
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from about import print_about
from lens_models import models
from torch import Tensor, fft, linalg, nn
from torch.utils._pytree import tree_leaves

from chainrule.base import ChainruleError
from chainrule.lens import verify

LIST = Path(__file__).with_name("lens_operations.txt")


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Fixed normal numbers that require a gradient."""
    drawn = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + sum(shape)))
    return drawn.requires_grad_()


def spread(low: float, high: float, *shape: int) -> Tensor:
    """Distinct numbers between two bounds, shuffled, that require a gradient."""
    n = math.prod(shape)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    return torch.linspace(low, high, n, dtype=torch.float64)[order].reshape(shape).requires_grad_()


def letters() -> dict[str, Tensor]:
    """The tensors that stand in the list."""
    eye = torch.eye(3, dtype=torch.float64)
    return {
        "X": spread(-2.03, 1.97, 3, 4), "Y": normal(3, 4, seed=1), "P": spread(0.55, 2.5, 3, 4),
        "U": spread(0.1, 0.9, 3, 4),
        "S": (normal(3, 3).detach() + 3 * eye).requires_grad_(), "M": normal(4, 3), "EYE": eye,
        "Z": torch.complex(normal(3, 4, seed=2).detach(), normal(3, 4, seed=3).detach()).requires_grad_(),
        "LINE": spread(-2, 2, 2, 2, 8), "IMG": spread(-2, 2, 2, 2, 6, 6), "VOL": spread(-2, 2, 1, 2, 4, 4, 4),
        "SEQ": normal(5, 2, 4), "HEADS": normal(1, 2, 5, 4), "GRID": spread(-0.93, 0.91, 2, 3, 2, 2),
        "GRID3": spread(-0.93, 0.91, 1, 2, 2, 2, 3), "IDS": torch.tensor([[1, 4, 1], [0, 2, 3]]),
        "CLASSES": torch.tensor([2, 0, 3]),
        "SIGNS": torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64).expand(3, 4),
        "ROWS": normal(5, 8).detach().float().requires_grad_(),
        "EXPERTS": normal(2, 8, 4).detach().float().requires_grad_(),
        "MASK": torch.tensor([[True, False, True, False], [False] * 4, [True] * 4]),
        "PLACES": torch.tensor([[0, 2, 2, 0], [1, 1, 0, 3], [3, 3, 3, 3]]),
    }  # fmt: skip


NAMES = {"torch": torch, "nn": nn, "F": F, "fft": fft, "linalg": linalg}


def weighted(result: Any) -> Tensor:
    """One number in which every element of the result counts differently."""
    given = [one for one in tree_leaves(result) if isinstance(one, Tensor)]
    real = [torch.view_as_real(one.resolve_conj()) if one.is_complex() else one for one in given]
    live = [one for one in real if one.is_floating_point() and one.requires_grad] or [
        one for one in real if one.is_floating_point()
    ]
    parts = [(y * torch.arange(1, y.numel() + 1, dtype=y.dtype).cos().reshape(y.shape)).sum() for y in live]
    return sum(parts[1:], parts[0])


def subject(line: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """What is to be verified, and on what: of an expression, a function of the letters in it."""
    given = letters()
    torch.manual_seed(0)
    if "|" in line:
        module, _, arguments = line.partition(" | ")
        made = eval(f"({arguments},)", {**NAMES, "normal": normal}, given)
        inputs = tuple(one.detach().requires_grad_() if _has_gradient(one) else one for one in made)
        return eval(module, NAMES).double(), inputs
    used = [name for name in given if re.search(rf"\b{name}\b", line)]
    drawn = re.findall(r"(?<![\w.])normal\([^()]*\)", line)
    for i, call in enumerate(drawn):
        line = line.replace(call, f"DRAWN{i}", 1)
    names = [*used, *(f"DRAWN{i}" for i in range(len(drawn)))]
    function = eval(f"lambda {', '.join(names)}: {line}", dict(NAMES))
    return function, (*(given[name] for name in used), *(eval(call, {"normal": normal}) for call in drawn))


def _has_gradient(one: Any) -> bool:
    return isinstance(one, Tensor) and one.requires_grad


def tried(target: Callable[..., Any], inputs: Any, seconds: float, loss: Any) -> tuple[str, str]:
    """(proved, not proved or wrong; why)."""
    try:
        report = verify(target, inputs, loss, coordinates=6, seconds=seconds)
    except ChainruleError as fault:
        return "not proved", str(fault)
    except Exception as fault:  # what torch itself refuses, or a fault of ours: said either way
        return "not proved", f"{type(fault).__name__}: {fault}"
    return report.verdict, report.summary


def operations(only: str) -> Iterator[tuple[str, Callable[[], tuple[Callable[..., Any], Any, Any]]]]:
    """Each line of the list, and how its subject is made."""
    chapter = ""
    for line in LIST.read_text(encoding="utf-8").splitlines():
        chapter = line[3:] if line.startswith("## ") else chapter
        if line and not line.startswith("#") and (only in chapter or only in line):
            yield line, partial(weighed, line)


def weighed(line: str) -> tuple[Callable[..., Any], Any, Any]:
    """What is to be verified of a line, on what, and how its result becomes a number."""
    return *subject(line), weighted


def main() -> None:
    """Tries one after the other, prints what is not proved, and counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", help="a chapter of the list, or a part of a line")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each")
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--part", default="1/1", help="I/N: of N equal parts the I-th")
    asked = parser.parse_args()
    part, n_parts = (int(one) for one in asked.part.split("/"))
    print_about()
    torch.set_num_threads(1)
    found: Counter[str] = Counter()
    lines = [one for one in models() if asked.only in one[0]] if asked.transformers else [*operations(asked.only)]
    for name, make in lines[part - 1 :: n_parts]:
        try:
            target, inputs, loss = make()
        except Exception as fault:
            word, why = "not proved", f"cannot be built: {type(fault).__name__}: {fault}"
        else:
            word, why = tried(target, inputs, asked.seconds, loss)
        found[word] += 1
        if word != "proved":
            print(f"{word:10}  {name}\n            {' '.join(why.split())[:240]}", flush=True)
    total = sum(found.values())
    print(f"{total} tried: {found['proved']} proved, {found['not proved']} not proved, {found['wrong']} wrong")


if __name__ == "__main__":
    main()
