"""One neuron under the lens: the chain rule line by line, and its gradients by the rules, by autograd and by numbers.

python examples/lens_neuron.py
python examples/lens_neuron.py --w -1.5 --x 0.3
"""

import argparse

import torch

from chainrule.lens import Subject, ledger, render
from chainrule.lens.classics import by_autograd, by_numbers, by_rules, one_neuron


def main(w: float, b: float, x: float, y: float) -> None:
    """Prints the ledger of the neuron with these numbers, then each gradient three ways."""
    numbers = [torch.tensor(one, dtype=torch.float64) for one in (w, b, x, y)]
    for weight in numbers[:2]:
        weight.requires_grad_()
    subject = Subject("neuron", one_neuron, tuple(numbers))
    tape = subject.record()
    print(render(ledger(tape), title=subject.name))
    ways = {"rules": by_rules(tape), "autograd": by_autograd(tape), "numbers": by_numbers(subject, tape)}
    print()
    for way, found in ways.items():
        print(f"{way:>9}: ∂loss/∂w = {float(found['w']):.15f}, ∂loss/∂b = {float(found['b']):.15f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--w", type=float, default=2.2, help="the weight")
    parser.add_argument("--b", type=float, default=0.0, help="the bias")
    parser.add_argument("--x", type=float, default=1.1, help="the input")
    parser.add_argument("--y", type=float, default=1.0, help="the label, 0 or 1")
    main(**vars(parser.parse_args()))
