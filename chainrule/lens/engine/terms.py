"""How many terms an operation sums for one element: forward for its result, and on the way back for each gradient."""

import math
from collections.abc import Callable

from torch import Size

from chainrule.lens.tape import Node, Ref, Tape

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")
SOFTMAXES = ("_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax", "cumsum", "logcumsumexp")
LAYER_NORMS = ("native_layer_norm", "_fused_rms_norm", "rms_norm")
BATCH_NORMS = (
    "native_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_functional",
    "cudnn_batch_norm",
)


def terms_of_value(tape: Tape, node: Node) -> int:
    """How many terms are summed for one element of the operation's results."""
    shapes = [tape.values[one].meta.shape for one in node.inputs if tape.values[one].differentiable]
    if node.rule_name in ("mm", "bmm", "mv", "dot"):
        return max(shapes[0][-1], 1)
    if node.rule_name in ("addmm", "baddbmm", "addmv", "addbmm"):
        return max(shapes[1][-1], 1)
    if node.rule_name == "convolution":
        return math.prod(shapes[1][1:])
    n_in = max((Size(shape).numel() for shape in shapes), default=1)
    n_out = min((tape.values[one].meta.n_elements for one in node.outputs), default=1)
    return max(_row(tape, node), n_in // max(n_out, 1), 1)


def terms_of_gradient(tape: Tape, node: Node, argument: str) -> int:
    """How many terms are summed for one element of this argument's gradient."""
    mine = tape.values[dict(node.references())[argument].value].meta.shape
    out = max((tape.values[one].meta.shape for one in node.outputs), key=lambda shape: Size(shape).numel())
    special = _SPECIAL.get(node.rule_name)
    n_terms = special(mine, out, argument, node.rule_name) if special else _uses(tape, node, mine, out)
    return max(n_terms, _row(tape, node), 1)


def _uses(tape: Tape, node: Node, mine: tuple[int, ...], out: tuple[int, ...]) -> int:
    """An element used k times sums k gradients; one that is looked up, at most as many as there are indices."""
    indices = [node.arguments.get(name) for name in ("indices", "index")]
    n_indices = max((tape.values[one.value].meta.n_elements for one in indices if isinstance(one, Ref)), default=1)
    return max(Size(out).numel() // max(Size(mine).numel(), 1), n_indices)


def _product(mine: tuple[int, ...], out: tuple[int, ...], argument: str, name: str) -> int:
    """A matrix product: the gradient of A sums over the columns of B, that of B over the rows of A."""
    rows, columns = out[-2:]
    if argument in ("mat2", "batch2"):
        return rows
    if argument in ("mat1", "batch1") or name in ("mm", "bmm"):
        return columns
    return Size(out).numel() // max(Size(mine).numel(), 1)


def _convolution(mine: tuple[int, ...], out: tuple[int, ...], argument: str, _name: str) -> int:
    """The gradient of the input sums over channels and the window, that of weight and bias over all places."""
    if argument == "input":
        return Size(out).numel() // max(math.prod(out[2:]), 1) * math.prod(mine[2:])
    return Size(out).numel() // out[1]


_SPECIAL: dict[str, Callable[[tuple[int, ...], tuple[int, ...], str, str], int]] = {
    **dict.fromkeys(PRODUCTS, _product),
    "convolution": _convolution,
}


def _row(tape: Tape, node: Node) -> int:
    """How many elements are normalised or accumulated together, where shapes do not tell."""
    name, arguments = node.rule_name, node.arguments
    shapes = [tape.values[one].meta.shape for one in node.inputs]
    first = shapes[0] if shapes else ()
    if name in SOFTMAXES:
        return first[int(arguments["dim"])] if first else 1
    if name in LAYER_NORMS:
        return math.prod(arguments["normalized_shape"])
    if name in BATCH_NORMS:
        return math.prod(first) // first[1]
    if name == "native_group_norm":
        return math.prod(first) // (first[0] * int(arguments["group"]))
    if "scaled_dot_product" in name:  # over the head's width and over the keys
        return max(first[-1], first[-2], shapes[1][-2])
    return 1
