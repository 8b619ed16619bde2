"""`chainrule lens rules`: every rule of differentiation with its formula, as a list, a page or one in full."""

from itertools import groupby
from typing import Annotated, Literal

from cyclopts import Parameter

from chainrule.base import LensError
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json, print_table


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
    from chainrule.lens import find_rule, rule_book
    from chainrule.lens.rules import derivatives, in_full, rule_facts, rules_page

    if name is not None and as_format != "term":
        raise LensError("--format md is the page of all rules; leave the name out, or use --json for one rule")
    entries = rule_book() if name is None else (find_rule(name),)
    if as_json:
        print_json({"rules": [rule_facts(entry) for entry in entries]} if name is None else rule_facts(entries[0]))
    elif as_format == "md":
        print(rules_page(entries), end="")
    elif name is not None:
        print("\n".join(in_full(entries[0])))
    else:
        for chapter, some in groupby(entries, lambda entry: entry.chapter):
            rows = [(", ".join(one.names), one.rule.value.text, "\n".join(derivatives(one))) for one in some]
            print_table(f"\n{chapter}", ("operation", "computes", "derivatives"), rows, left=3)
