"""What to write instead where a number type, a given shape or a letter is wrong; each is tried before it is said."""

import ast
import re
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from chainrule.lens.expressions.steps import Doing
from chainrule.lens.expressions.tree_changes import changed, method, number, one_changed, replaced, with_argument
from chainrule.lens.tensors import numpy_way

# What torch says when a number type is wrong, and the conversions to try, the likeliest first.
TYPES = (
    (r"used as indices", ("long",)),
    (r"[Bb]ool", ("bool",)),
    (r"not implemented for '(Float|Double|Half|BFloat16)'", ("bool", "long")),
    (r"not implemented for '(Long|Int|Short|Char|Byte|Bool)'", ("float",)),
    (r"\b(Long|Int|[Ii]nteger|int64|indices|index)", ("long", "float")),
    (r"dtype|scalar type|data type|floating", ("float", "long")),
)


def remedies(doing: Doing) -> Iterator[ast.expr]:
    """Changes that belong to one operation alone."""
    node, name = doing.node, doing.operation
    if isinstance(node, ast.BinOp):
        yield from _one_of_several(node, doing)
    if not isinstance(node, ast.Call):
        return
    if name == "binary_cross_entropy" and isinstance(node.func, ast.Attribute):
        with_logits = ast.Attribute(node.func.value, "binary_cross_entropy_with_logits", ast.Load())
        yield ast.Call(with_logits, node.args, node.keywords)
    elif name == "repeat" and isinstance(node.func, ast.Attribute):
        times = (1,) * (doing.tensors[0].dim() - len(doing.sizes())) + doing.sizes()
        yield method(node.func.value, "repeat", *times)
    elif name in ("expand", "expand_as", "broadcast_to"):
        yield from _repeated(node, doing)
    elif name == "einsum":
        yield from _lettered(node)
    elif name in ("layer_norm", "rms_norm"):
        yield from _normalised(node, doing)
    elif name in ("cross_entropy", "nll_loss"):
        yield from _of_rows(node, doing)
    elif name in ("numpy", "asarray", "array") and doing.tensors:
        part = node.func.value if isinstance(node.func, ast.Attribute) and name == "numpy" else node.args[0]
        way = numpy_way(doing.tensors[0])
        if way is not None:
            called = ast.parse(way.call, mode="eval").body
            for inner in ast.walk(called):
                for key, one in ast.iter_fields(inner):
                    if isinstance(one, ast.Name):
                        setattr(inner, key, part)
            yield called
    elif name == "from_numpy" and doing.tensors:
        yield node.args[0]
    elif name == "from_numpy":
        yield ast.Call(ast.Attribute(ast.Name("torch", ast.Load()), "tensor", ast.Load()), node.args, [])


def _one_of_several(node: ast.BinOp, doing: Doing) -> Iterator[ast.expr]:
    """The values of what gave values and indices; else the first of several results."""
    for part, one in zip((node.left, node.right), doing.arguments, strict=False):
        if isinstance(one, tuple) and any(isinstance(each, Tensor) for each in one):
            yield replaced(node, part, ast.Attribute(part, "values", ast.Load()))
            yield replaced(node, part, ast.Subscript(part, ast.Constant(0), ast.Load()))


def retyped(doing: Doing, message: str) -> Iterator[list[ast.expr]]:
    """For each number type that torch may want, the last operand in it, the first, or all; the likeliest type first."""
    node = doing.node
    conversions = next((words for pattern, words in TYPES if re.search(pattern, message)), ())
    for word in conversions:
        change = partial(_to, word=word)
        yield [*one_changed(node, doing, change), *changed(node, doing, change)]


def _to(part: ast.expr, one: Tensor, word: str) -> ast.expr:
    return part if one.dtype == getattr(torch, word) else method(part, word)


def _repeated(node: ast.Call, doing: Doing) -> Iterator[ast.expr]:
    """Copies instead of strides of 0; a new axis behind instead of in front."""
    one = doing.tensors[0]
    wanted = tuple(doing.tensors[1].shape) if len(doing.tensors) > 1 else doing.sizes()
    part = node.func.value if isinstance(node.func, ast.Attribute) and not doing.room else node.args[0]
    shape = (1,) * (len(wanted) - one.dim()) + tuple(one.shape)
    if len(shape) == len(wanted) and all(n and m > 0 and m % n == 0 for m, n in zip(wanted, shape, strict=True)):
        yield method(part, "repeat", *(m // n for m, n in zip(wanted, shape, strict=True)))
    for axis in range(one.dim(), 0, -1):
        if one.dim() < len(wanted):
            yield replaced(node, part, method(part, "unsqueeze", axis))


def _lettered(node: ast.Call) -> Iterator[ast.expr]:
    """The output letter that is nowhere as one of those that are there; a letter twice in the output once."""
    first = node.args[0] if node.args else None
    if not isinstance(first, ast.Constant) or "->" not in str(first.value):
        return
    before, _, output = str(first.value).replace(" ", "").partition("->")
    letters = list(dict.fromkeys(letter for letter in before if letter.isalpha()))
    free = [letter for letter in letters if letter not in output]
    wrong = [letter for letter in output if letter not in letters]
    once = "".join(dict.fromkeys(output))
    if once != output:
        yield with_argument(node, 0, ast.Constant(f"{before}->{once}"))
    # A letter that stands once among the operands would be summed over alone: it is the likelier one.
    for letter in sorted(free, key=before.count):
        if len(wrong) == 1:
            yield with_argument(node, 0, ast.Constant(f"{before}->{output.replace(wrong[0], letter)}"))
    if wrong:
        kept = "".join(letter for letter in output if letter in letters)
        yield with_argument(node, 0, ast.Constant(f"{before}->{kept}"))


def _normalised(node: ast.Call, doing: Doing) -> Iterator[ast.expr]:
    """The shape of as many last axes as were given, or of the last alone."""
    given, shape = doing.get("normalized_shape", 1), tuple(doing.tensors[0].shape)
    n = len(given) if isinstance(given, tuple | list) else 1
    for several in dict.fromkeys((n, 1)):
        wanted = number(shape[len(shape) - several :])
        if len(node.args) > 1:
            yield with_argument(node, 1, wanted)
        else:
            others = [one for one in node.keywords if one.arg != "normalized_shape"]
            yield ast.Call(node.func, node.args, [*others, ast.keyword("normalized_shape", wanted)])


def _of_rows(node: ast.Call, doing: Doing) -> Iterator[ast.expr]:
    """Targets as class numbers; scores of a sequence as rows; classes as axis 1."""
    if len(node.args) < 2:
        return
    scores, target = doing.tensors[:2] if len(doing.tensors) > 1 else (None, None)
    if scores is None or target is None:
        return
    part = node.args[1] if target.dtype == torch.int64 else method(node.args[1], "long")
    yield with_argument(node, 1, part)
    if scores.dim() > 2 and tuple(target.shape) == tuple(scores.shape[:-1]):
        rows = ast.parse(f"{ast.unparse(node.args[0])}.reshape(-1, {scores.shape[-1]})", mode="eval").body
        yield with_argument(with_argument(node, 0, rows), 1, method(part, "reshape", -1))  # type: ignore[arg-type]
    if target.dim() == scores.dim() and target.shape[-1:] == (1,):
        yield with_argument(node, 1, method(part, "squeeze", -1))
