"""`chainrule lens demo tensors`: the tour of tensors."""

from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json


def tensors(*, as_json: AsJson = False) -> None:
    """Walk through tensors: ranks, dtypes, .to, view and reshape, .T, products, NumPy, autograd and devices.

    Every line of code is run, and its real output shown.

    Example: `chainrule lens demo tensors`
    """
    from chainrule.lens import tour_of_tensors

    tour = tour_of_tensors()
    if as_json:
        print_json(tour.json())
    else:
        print(tour.text())
