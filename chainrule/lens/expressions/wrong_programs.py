"""Calls that torch carries out without a word and that compute nothing anyone means."""

from torch import Tensor

from chainrule.lens.expressions.steps import Doing


def wrong_program(doing: Doing) -> str | None:
    """Why the call is a wrong program although torch may take it; None where it is none."""
    check = {"scaled_dot_product_attention": _attention}.get(doing.operation)
    return None if check is None else check(doing)


def _attention(doing: Doing) -> str | None:
    """Keys and values come in pairs, queries and keys in one width; some kernels do not look."""
    q, k, v = (doing.get(name, place) for place, name in enumerate(("query", "key", "value")))
    if not all(isinstance(one, Tensor) and one.dim() >= 2 for one in (q, k, v)):
        return None
    if k.shape[-2] != v.shape[-2]:
        return (
            f"there are {k.shape[-2]} keys and {v.shape[-2]} values, and each key needs its value: a wrong program, "
            "whatever a kernel makes of it"
        )
    if q.shape[-1] != k.shape[-1]:
        return f"queries have the width {q.shape[-1]} and keys {k.shape[-1]}: their products need one width"
    return None
