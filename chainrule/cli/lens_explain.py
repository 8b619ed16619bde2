"""`chainrule lens explain`: the shapes of an expression, step by step, and where and why it breaks."""

from typing import Annotated

from cyclopts import Parameter

from chainrule.cli.loading import load_torch
from chainrule.cli.options import AsJson
from chainrule.cli.output import put

Given = Annotated[
    tuple[str, ...],
    Parameter(
        name="--tensor", negative=(), help="NAME=SHAPE, NAME=NUMBERS, NAME=EXPRESSION or NAME=FILE; once for each."
    ),
]


def explain(expression: str, /, *, given: Given = (), as_json: AsJson = False) -> int:
    """Take an expression on tensors apart, innermost operation first: shapes, the rule, dtype, view or copy.

    Where it breaks, a caret shows the place, with the two sizes that do not fit and what would. The exit code is then
    1. Nothing but tensor arithmetic is ever run.

    For example:

    - `chainrule lens explain "x.view(4, 1).T @ y" --tensor x=2x2 --tensor y=4x3`
    - `chainrule lens explain "x + y" --tensor "x=[[1, 2], [3, 4]]" --tensor y=3:int64`
    - `chainrule lens explain "torch.randn(2, 3) @ torch.ones(4, 5)"`

    Parameters
    ----------
    expression
        Operators, indexing, methods of tensors, functions of torch, of torch.nn.functional (also as F) and of
        torch.linalg.
    """
    load_torch()
    from chainrule.lens import expressions, opening, render

    found = expressions.explain(expression, **dict(map(opening.named_tensor, given)))
    put(render(found, "json" if as_json else "text"))
    return 0 if found else 1
