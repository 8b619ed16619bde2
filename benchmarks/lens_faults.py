"""Fifty-two wrong backward passes: what the lens, torch.autograd.gradcheck and TorchLens say of each.

    python benchmarks/lens_faults.py [--only hook] [--without gradcheck torchlens]

The faults are those of the suite (PLANTED in tests/lens/planted_layers.py), so that there is one list: factors, terms,
masks, layers as people write them by hand, hooks, writes past autograd, kernels outside torch, with and without lines
that stop gradients. Each stands in a small network beside an innocent sibling, which is one line different and right.

The lens has found a fault when its verdict is "wrong" and its sentence names what is at fault; the sibling has to be
"proved". gradcheck gets the model as a function of its own weights, in float64 and with its default
tolerances (and without undefined gradients, which the hooks of a model need not bear); TorchLens
(2.36, optional: pip install torchlens) its `validate(model, x, scope="backward")`, which holds the gradients that it
captured against stock autograd's. A word on the faulty model counts as found only where the innocent one gets another.
"""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from about import print_about
from torch import nn

from chainrule.lens import verify

try:
    import torchlens  # type: ignore[import-not-found]
except ImportError:
    torchlens = None

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

Made = tuple[nn.Module, torch.Tensor]
SEED, WEIGHTS = 0, 8
# Of what others say, so many letters.
SHOWN = 60


def by_lens(made: Made) -> tuple[str, str]:
    """The verdict and its sentence."""
    report = verify(*made, coordinates=WEIGHTS, seed=SEED)
    return report.verdict, report.summary


def by_gradcheck(made: Made) -> tuple[str, str]:
    """What gradcheck says of the loss as a function of the weights."""
    model, x = made
    weights = tuple(model.parameters())
    torch.manual_seed(SEED)

    def loss(*_weights: torch.Tensor) -> torch.Tensor:
        # gradcheck moves the weights themselves, in place; each run draws the same random numbers.
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            return model(x)

    try:
        torch.autograd.gradcheck(loss, weights, check_undefined_grad=False)
    except Exception as fault:  # what gradcheck thinks of it, or what the model raises inside
        words = [line for line in str(fault).splitlines() if line.strip()]
        return "rejects", (words or [type(fault).__name__])[0]
    return "accepts", ""


def by_torchlens(made: Made) -> tuple[str, str]:
    """True or False by TorchLens, or what it raises."""
    model, x = made
    try:
        word = torchlens.validate(model, x, scope="backward", random_seed=SEED)
    except Exception as fault:  # refusals, and errors of its own
        return "raises", f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"
    return str(word), ""


OTHERS: dict[str, Callable[[Made], tuple[str, str]]] = {"gradcheck": by_gradcheck, "torchlens": by_torchlens}


def told_apart(judge: Callable[[Made], tuple[str, str]], faulty: Made, innocent: Made) -> tuple[str, str]:
    """Whether the two get different words, and the words."""
    (word, why), (other, _) = judge(faulty), judge(innocent)
    said = f"{word}: {why[:SHOWN]}" if why else word
    if word != other:
        return "told apart", said
    return ("both pass" if word in ("accepts", "True") else "both refused"), f"{said}; the same of the innocent one"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument("--without", nargs="+", default=[], choices=OTHERS, help="leave these out")
    options = parser.parse_args()
    from lens.planted_layers import PLANTED  # type: ignore[import-not-found]

    print_about()
    print("torchlens " + (version("torchlens") if torchlens else "not installed"))
    print(f"seed {SEED}, {WEIGHTS} weights each by numbers\n")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    chosen = {name: one for name, one in PLANTED.items() if options.only in name}
    n_found, n_proved = 0, 0
    for name, (faulty, innocent, word) in chosen.items():
        (verdict, sentence), (sibling, reason) = by_lens(faulty()), by_lens(innocent())
        placed = verdict == "wrong" and word in sentence
        n_found, n_proved = n_found + placed, n_proved + (sibling == "proved")
        print(f"lens  {'found' if placed else 'MISSED':<7}{name}: {sentence.partition(': ')[2]}")
        if sibling != "proved":
            print(f"      of the innocent sibling: {reason}")
    lines = [f"lens: {n_found} of {len(chosen)} found and rightly placed, {n_proved} innocent siblings proved"]
    # TorchLens comes last: from its first call on it stands between torch and whoever asks for the line of a call.
    for other, judge in OTHERS.items():
        if other in options.without or (other == "torchlens" and torchlens is None):
            continue
        print()
        words: Counter[str] = Counter()
        for name, (faulty, innocent, _) in chosen.items():
            word, said = told_apart(judge, faulty(), innocent())
            words[word] += 1
            print(f"{other}  {word:<13}{name}: {said}", flush=True)
        lines.append(
            f"{other}: {words['told apart']} told from their innocent sibling, {words['both pass']} accepted as it is, "
            f"{words['both refused']} refused as the innocent one is too; names no place inside a model"
        )
    print("", *lines, sep="\n")


if __name__ == "__main__":
    main()
