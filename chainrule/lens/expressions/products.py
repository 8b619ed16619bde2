"""Products of matrices: which sizes must be equal, which go, which stay."""

from collections.abc import Collection, Sequence

from torch import Tensor

from chainrule.lens.expressions.broadcast import broadcast_shape, columns
from chainrule.lens.expressions.steps import Doing, Trouble, Words
from chainrule.lens.tensors import dtype_name, shape_words

RANKS = {"mm": (2, 2), "bmm": (3, 3), "mv": (2, 1), "dot": (1, 1), "vdot": (1, 1)}


def product_words(doing: Doing) -> Words:
    """The rule of the product that was done."""
    a, b = (tuple(one.shape) for one in doing.tensors[:2])
    made = f"({shape_words(a)})·({shape_words(b)}) → {_made(doing)}"
    if len(a) == len(b) == 1:
        return Words(f"both have {a[0]} elements; products are summed: {made}")
    inner = f"inner sizes are equal, {a[-1]} = {b[-2] if len(b) > 1 else b[0]}, and go: {made}"
    if max(len(a), len(b)) <= 2:
        return Words(inner)
    batch = [(doing.sources[0], a[:-2]), (doing.sources[1], b[:-2])]
    if a[:-2] == b[:-2]:
        return Words(f"{inner}; the axes before, {shape_words(a[:-2])}, are a batch of matrices")
    if not a[:-2] or not b[:-2]:
        alone = doing.sources[0] if not a[:-2] else doing.sources[1]
        return Words(f"{inner}; {alone} is used for each matrix of the batch {shape_words(a[:-2] or b[:-2])}")
    result = broadcast_shape(a[:-2], b[:-2])
    return Words(f"{inner}; the axes before are a batch and broadcast:", columns([*batch, ("batch", result)]))


def product_trouble(doing: Doing) -> Trouble | None:
    """Why the product cannot be: a rank, inner sizes, the batch, or number types."""
    if len(doing.tensors) < 2:
        return Trouble(f"{doing.operation} needs two tensors")
    one, other = doing.tensors[:2]
    a, b = tuple(one.shape), tuple(other.shape)
    product = f"({shape_words(a)})·({shape_words(b)})"
    if doing.operation in RANKS and (len(a), len(b)) != RANKS[doing.operation]:
        needed = " and ".join(map(str, RANKS[doing.operation]))
        return Trouble(f"{doing.operation} needs ranks {needed}, and was given ranks {len(a)} and {len(b)}: {product}")
    if not a or not b:
        return Trouble(f"a scalar has no axis to sum over: {product}; * multiplies by it")
    inner = b[-2] if len(b) > 1 else b[0]
    if doing.operation == "inner":
        inner = b[-1]
    if a[-1] != inner:
        return Trouble(f"inner sizes must be equal: {product} has {a[-1]} and {inner}", (a[-1], inner), _inner(a, b))
    for back, (m, n) in enumerate(zip(reversed(a[:-2]), reversed(b[:-2]), strict=False), 1):
        if m != n and (1 not in (m, n) or doing.operation == "bmm"):
            rows = [(doing.sources[0], a[:-2]), (doing.sources[1], b[:-2])]
            return Trouble(f"the batches do not broadcast: {m} and {n} in {product}", (m, n), columns(rows, back))
    if one.dtype != other.dtype:
        return Trouble(
            f"a product takes one number type, and these are {dtype_name(one.dtype)} and {dtype_name(other.dtype)}"
        )
    return None


def linear_words(doing: Doing) -> Words:
    """X Wᵀ + b."""
    x, w = (tuple(one.shape) for one in doing.tensors[:2])
    told = (
        f"x·Wᵀ: the last axis of x ({x[-1]}) is the input size of W, which is stored as output×input ({shape_words(w)})"
    )
    return Words(f"{told}; it becomes {w[0]}" if len(w) == 2 else told)


def linear_trouble(doing: Doing) -> Trouble | None:
    """Input sizes that differ, or a bias of another size."""
    if len(doing.tensors) < 2:
        return None
    x, w = (tuple(one.shape) for one in doing.tensors[:2])
    if x and w and x[-1] != w[-1]:
        why = f"the last axis of x must be W's input size: {x[-1]} and {w[-1]}; W is stored as output×input"
        return Trouble(f"{why} ({shape_words(w)})", (x[-1], w[-1]))
    if len(doing.tensors) > 2 and w and tuple(doing.tensors[2].shape) not in ((w[0],), ()):
        size = doing.tensors[2].shape[-1]
        return Trouble(f"the bias has {size} elements and the output {w[0]}", (size, w[0]))
    return None


def einsum_words(doing: Doing) -> Words:
    """Each letter with its size, and what becomes of it."""
    letters, output = _letters(doing)
    told = [f"{letter}={size}" + ("" if letter in output else " summed") for letter, size in letters.items()]
    return Words(f"one letter is one size: {', '.join(told)}")


def einsum_trouble(doing: Doing) -> Trouble | None:
    """The letter that stands for two sizes, or an operand with another number of axes."""
    known: dict[str, tuple[int, int]] = {}
    for place, (term, one) in enumerate(zip(_terms(doing), doing.tensors, strict=False), 1):
        if "." in term:
            return None
        if len(term) != one.dim():
            why = f"operand {place} is called {term!r}, {len(term)} letters, and has {one.dim()} axes"
            return Trouble(why, (len(term), one.dim()))
        for letter, size in zip(term, one.shape, strict=True):
            before = known.setdefault(letter, (size, place))
            if before[0] != size and 1 not in (before[0], size):
                why = f"the letter {letter!r} is {before[0]} in operand {before[1]} and {size} in operand {place}"
                return Trouble(why, (before[0], size))
    return _output_trouble(doing, known)


def _output_trouble(doing: Doing, known: Collection[str]) -> Trouble | None:
    """A letter behind the arrow that no operand has, or that stands there twice; operands that were not given."""
    if len(_terms(doing)) != len(doing.tensors):
        why = f"the equation names {len(_terms(doing))} operands, and {len(doing.tensors)} were given"
        return Trouble(why, (len(_terms(doing)), len(doing.tensors)))
    output = str(doing.arguments[0]).replace(" ", "").partition("->")[2]
    for letter in output:
        if letter not in known:
            return Trouble(f"the letter {letter!r} of the output is in no operand; there are {', '.join(known)}")
        if output.count(letter) > 1:
            return Trouble(
                f"the letter {letter!r} stands twice in the output; each axis of it has one letter of its own"
            )
    return None


def _made(doing: Doing) -> str:
    return shape_words(tuple(doing.result.shape)) if isinstance(doing.result, Tensor) else "?"


def _inner(a: Sequence[int], b: Sequence[int]) -> tuple[str, ...]:
    """The product with marks below the two inner sizes."""
    left = f"({shape_words(tuple(a[:-1]))}×" if len(a) > 1 else "("
    first = f"{left}{a[-1]})·"
    right = f"({shape_words(tuple(b[:-2]))}×" if len(b) > 2 else "("
    inner = b[-2] if len(b) > 1 else b[-1]
    second = f"{right}{inner}" + (f"×{b[-1]})" if len(b) > 1 else ")")
    marks = " " * len(left) + "^" * len(str(a[-1])) + " " * (len(first) - len(left) - len(str(a[-1])) + len(right))
    return (first + second, marks + "^" * len(str(inner)))


def _terms(doing: Doing) -> list[str]:
    equation = doing.arguments[0] if doing.arguments and isinstance(doing.arguments[0], str) else ""
    return [term.strip().replace(" ", "") for term in equation.split("->")[0].split(",")]


def _letters(doing: Doing) -> tuple[dict[str, int], str]:
    equation = str(doing.arguments[0]).replace(" ", "")
    sizes: dict[str, int] = {}
    for term, one in zip(_terms(doing), doing.tensors, strict=False):
        if "." not in term:
            sizes |= {letter: size for letter, size in zip(term, one.shape, strict=False) if sizes.get(letter, 1) == 1}
    once = "".join(letter for letter in sizes if "".join(_terms(doing)).count(letter) == 1)
    return sizes, equation.split("->")[1] if "->" in equation else once
