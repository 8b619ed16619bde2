"""`chainrule lens rules`: every rule of differentiation with its formula, as a list, a page or one in full."""

from typing import Annotated, Literal

from cyclopts import Parameter

from chainrule.base import LensError
from chainrule.cli.loading import load_torch
from chainrule.cli.options import AsJson
from chainrule.cli.output import put


def rules(
    name: str | None = None,
    /,
    *,
    as_format: Annotated[Literal["term", "md"], Parameter(name="--format")] = "term",
    as_json: AsJson = False,
) -> None:
    """List every rule of differentiation: what the operation computes, and its derivatives.

    For example:

    - `chainrule lens rules`
    - `chainrule lens rules gelu`
    - `chainrule lens rules --format md`

    Parameters
    ----------
    name
        An operation as PyTorch calls it, such as gelu or native_layer_norm: its rule in full.
    as_format
        term: a table. md: the page of the documentation.
    """
    if name is not None and as_format != "term":
        raise LensError("--format md is the page of all rules; leave the name out, or use --json for one rule")
    load_torch()
    from chainrule import lens

    found = lens.rule_book() if name is None else lens.find_rule(name)
    put(lens.render(found, "json" if as_json else "text" if as_format == "term" else as_format))
