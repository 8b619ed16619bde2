"""Rules of products of matrices and vectors: ∂L/∂A = G Bᵀ, ∂L/∂B = Aᵀ G, and what adds to them."""

from collections.abc import Callable

from torch import Tensor

from chainrule.lens.rules.notation import onward, wanted
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


def product(call: Call, g: Tensor) -> Gradients:
    """Y = AB, for one pair of matrices or a batch of pairs."""
    return wanted(call, {"self": lambda: g @ call["mat2"].mT, "mat2": lambda: call["self"].mT @ g})


def _scaled(g: Tensor, factor: float) -> Tensor:
    return g if factor == 1 else g * factor


def _plus(call: Call, g: Tensor, first: str, second: str, gradients: tuple[Callable[[], Tensor], ...]) -> Gradients:
    """β·C + α·(product): the gradient of C, summed where it was broadcast, and those of the factors."""
    beta, alpha = call["beta"], call["alpha"]
    return wanted(
        call,
        {
            "self": lambda: _scaled(g, beta),
            first: lambda: _scaled(gradients[0](), alpha),
            second: lambda: _scaled(gradients[1](), alpha),
        },
    )


def addmm(call: Call, g: Tensor) -> Gradients:
    """Y = βC + αAB: a linear layer, with its bias C."""
    a, b = call["mat1"], call["mat2"]
    return _plus(call, g, "mat1", "mat2", (lambda: g @ b.mT, lambda: a.mT @ g))


def baddbmm(call: Call, g: Tensor) -> Gradients:
    """The same for a batch of pairs."""
    a, b = call["batch1"], call["batch2"]
    return _plus(call, g, "batch1", "batch2", (lambda: g @ b.mT, lambda: a.mT @ g))


def addbmm(call: Call, g: Tensor) -> Gradients:
    """The products of a batch are summed, so that each gets the same gradient."""
    a, b = call["batch1"], call["batch2"]
    return _plus(call, g, "batch1", "batch2", (lambda: g @ b.mT, lambda: a.mT @ g))


def addmv(call: Call, g: Tensor) -> Gradients:
    """`y = βc + αAx`."""
    a, x = call["mat"], call["vec"]
    return _plus(call, g, "mat", "vec", (lambda: g[:, None] * x, lambda: a.mT @ g))


def addr(call: Call, g: Tensor) -> Gradients:
    """Y = βC + α u vᵀ."""
    u, v = call["vec1"], call["vec2"]
    return _plus(call, g, "vec1", "vec2", (lambda: g @ v, lambda: g.mT @ u))


def mv(call: Call, g: Tensor) -> Gradients:
    """`y = Ax`."""
    return wanted(call, {"self": lambda: g[:, None] * call["vec"], "vec": lambda: call["self"].mT @ g})


def dot(call: Call, g: Tensor) -> Gradients:
    """`y = aᵀb`: each vector's gradient is the other."""
    return wanted(call, {"self": lambda: g * call["tensor"], "tensor": lambda: g * call["self"]})


def trilinear(call: Call, g: Tensor) -> Gradients:
    """Three factors with new axes of length 1, multiplied, and summed over some axes: what a bilinear layer does."""
    names = ("i1", "i2", "i3")
    factors = {}
    for i, name in enumerate(names, 1):
        factors[name] = call[name]
        for axis in call[f"expand{i}"]:
            factors[name] = factors[name].unsqueeze(axis)
    for axis in sorted(call["sumdim"]):
        g = g.unsqueeze(axis)

    def gradient(i: int) -> Tensor:
        first, second = (factors[name] for j, name in enumerate(names) if j != i)
        shape, axes = factors[names[i]].shape, call[f"expand{i + 1}"]
        whole = (g * first * second).sum(axes, keepdim=True) if axes else g * first * second
        return whole.expand(shape).reshape(call[names[i]].shape)

    return {name: gradient(i) for i, name in enumerate(names) if call.needs(name)}


def linear_formulas(added: str, first: str, second: str) -> dict[str, Formula]:
    """The formulas of βC + αAB, by the words of the schema."""
    return {
        added: onward("C", "βG", r"\beta G"),
        first: onward("A", "αG Bᵀ", r"\alpha G B^\top"),
        second: onward("B", "αAᵀ G", r"\alpha A^\top G"),
    }


def _product(text: str, latex: str) -> Rule:
    formulas = {"self": onward("A", "G Bᵀ", r"G B^\top"), "mat2": onward("B", "Aᵀ G", r"A^\top G")}
    return Rule(product, Formula(text, latex), formulas, {"self": "A", "mat2": "B"})


SCALES = {"alpha": "α", "beta": "β"}
CAB = Formula("Y = βC + αAB", r"Y = \beta C + \alpha A B")
BATCH = {"self": "C", "batch1": "A", "batch2": "B", **SCALES}

MATMUL: dict[str, Rule] = {
    "mm": _product("Y = AB", "Y = A B"),
    "bmm": _product("Yₙ = AₙBₙ", "Y_n = A_n B_n"),
    "addmm": Rule(
        addmm, CAB, linear_formulas("self", "mat1", "mat2"), {"self": "C", "mat1": "A", "mat2": "B", **SCALES}
    ),
    "baddbmm": Rule(baddbmm, CAB, linear_formulas("self", "batch1", "batch2"), BATCH),
    "addbmm": Rule(
        addbmm,
        Formula("Y = βC + α Σₙ AₙBₙ", r"Y = \beta C + \alpha \sum_n A_n B_n"),
        linear_formulas("self", "batch1", "batch2"),
        BATCH,
    ),
    "addmv": Rule(
        addmv,
        Formula("y = βc + αAx", r"y = \beta c + \alpha A x"),
        {
            "self": onward("c", "βg", r"\beta g"),
            "mat": onward("A", "αg xᵀ", r"\alpha g x^\top"),
            "vec": onward("x", "αAᵀ g", r"\alpha A^\top g"),
        },
        {"self": "c", "mat": "A", "vec": "x", **SCALES},
    ),
    "addr": Rule(
        addr,
        Formula("Y = βC + α u vᵀ", r"Y = \beta C + \alpha u v^\top"),
        {
            "self": onward("C", "βG", r"\beta G"),
            "vec1": onward("u", "αG v", r"\alpha G v"),
            "vec2": onward("v", "αGᵀ u", r"\alpha G^\top u"),
        },
        {"self": "C", "vec1": "u", "vec2": "v", **SCALES},
    ),
    "mv": Rule(
        mv,
        Formula("y = Ax", "y = A x"),
        {"self": onward("A", "g xᵀ", r"g x^\top"), "vec": onward("x", "Aᵀ g", r"A^\top g")},
        {"self": "A", "vec": "x"},
    ),
    "dot": Rule(
        dot,
        Formula("y = aᵀb", r"y = a^\top b"),
        {"self": onward("a", "g b", "g b"), "tensor": onward("b", "g a", "g a")},
        {"self": "a", "tensor": "b"},
    ),
    "_trilinear": Rule(
        trilinear,
        Formula("y = Σ a⊙b⊙c", r"y = \sum a \odot b \odot c"),
        {
            "i1": onward("a", "Σ g⊙b⊙c", r"\sum g \odot b \odot c"),
            "i2": onward("b", "Σ g⊙a⊙c", r"\sum g \odot a \odot c"),
            "i3": onward("c", "Σ g⊙a⊙b", r"\sum g \odot a \odot b"),
        },
        {"i1": "a", "i2": "b", "i3": "c"},
    ),
}
