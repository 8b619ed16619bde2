"""`chainrule lens demo tensors`: the tour of tensors."""

from chainrule.cli.options import AsJson


def tensors(*, as_json: AsJson = False) -> None:
    """Walk through tensors: ranks, dtypes, .to, view and reshape, .T, products, NumPy, autograd and devices.

    Every line of code is run, and its real output shown.

    Example: `chainrule lens demo tensors`
    """
    from chainrule import lens

    print(lens.render(lens.tour_of_tensors(), "json" if as_json else "text"))
