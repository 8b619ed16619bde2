"""Looks at tensors: a weight matrix whole, who shares memory, and an expression that breaks.

python examples/lens_tensors.py [tensor.html]
"""

import sys

import torch

from chainrule import lens


def main(page: str | None = None) -> None:
    """Prints what the lens says; with `page` the weight also becomes a page."""
    layer = torch.nn.Linear(48, 96)
    rows = layer.weight.detach()[:32]  # the first third, as one would take the queries out of a joint projection

    view = lens.tensor(rows, name="rows", weight=layer.weight)
    print(view)
    print()
    print(lens.shares(weight=layer.weight.detach(), rows=rows, rest=layer.weight.detach()[32:], copy=rows.clone()))
    print()
    print(lens.viewing(rows.T, -1).why)
    print()
    print(lens.explain("x @ w + b", x=torch.ones(4, 48), w=layer.weight, b=layer.bias))
    if page:
        lens.save(view, page)


if __name__ == "__main__":
    main(*sys.argv[1:])
