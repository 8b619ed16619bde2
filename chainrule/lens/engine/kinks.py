"""Which side of every kink and every step a run took: runs that took the same ones lie on one smooth piece of the loss.

A difference between two points of one piece is one of a smooth function, whatever lies between them: each value is what
the formula of that piece gives.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from chainrule.lens.engine.kinks_of_groups import KINKS_OF_GROUPS
from chainrule.lens.tape import Tape

Given = Mapping[str, Any]


def _side(x: Tensor, at: Tensor | float = 0.0) -> Tensor:
    """−1 below, 1 above, 0 exactly there; NaN counts as there."""
    return (x > at).to(torch.int8) - (x < at).to(torch.int8)


def _sides(given: Given, *names: str) -> list[Tensor]:
    return [_side(given["self"], given[name]) for name in names if given.get(name) is not None]


def _distance(given: Given, corner: str) -> list[Tensor]:
    d = given["self"] - given["target"]
    return [_side(d.abs(), given[corner]), _side(d)]


def _quotient(given: Given) -> list[Tensor]:
    """The whole part of a quotient, where it is rounded."""
    if given.get("rounding_mode", "floor") is None:
        return []
    return [torch.floor(torch.as_tensor(given["self"]) / given["other"])]


def _largest(given: Given) -> list[Tensor]:
    """Which elements are the largest or smallest along the axes."""
    x, dim = given["self"], given.get("dim")
    axes = [*range(x.dim())] if dim is None or dim == [] else dim
    return [x == x.amax(axes, keepdim=True), x == x.amin(axes, keepdim=True)]


def _norm(given: Given) -> list[Tensor]:
    """The sign of each element for the sum of sizes, the largest for the largest size, and whether all are zero."""
    x, order = given["self"], float(given.get("ord", 2))
    if order == 1:
        return [_side(x)]
    if math.isinf(order):
        return [x.abs() == x.abs().amax(), _side(x)]
    return [(x != 0).any()]


# What an operation's sides are, by its arguments: only those that tell floating-point results by cases. Of those with
# whole numbers or truth values among their results (a maximum with its index, a comparison) these are the sides.
KINKS: dict[str, Callable[[Given], list[Tensor]]] = {
    **dict.fromkeys(
        ("relu", "leaky_relu", "elu", "_prelu_kernel", "rrelu_with_noise", "abs", "sign", "sgn"),
        lambda given: [_side(given["self"])],
    ),
    "clamp": lambda given: _sides(given, "min", "max"),
    "clamp_min": lambda given: _sides(given, "min"),
    "clamp_max": lambda given: _sides(given, "max"),
    "hardtanh": lambda given: [
        _side(given["self"], given.get("min_val", -1)),
        _side(given["self"], given.get("max_val", 1)),
    ],
    **dict.fromkeys(
        ("hardsigmoid", "hardswish"), lambda given: [_side(given["self"], -3.0), _side(given["self"], 3.0)]
    ),
    "threshold": lambda given: _sides(given, "threshold"),
    **dict.fromkeys(("softshrink", "hardshrink"), lambda given: [_side(given["self"].abs(), given.get("lambd", 0.5))]),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), lambda given: _sides(given, "other")),
    **dict.fromkeys(("floor", "ceil", "frac", "trunc"), lambda given: [given["self"].floor(), given["self"].ceil()]),
    "round": lambda given: [given["self"].round()],
    **dict.fromkeys(("fmod", "remainder", "div", "floor_divide"), _quotient),
    **dict.fromkeys(("amax", "amin", "aminmax", "max", "min"), _largest),
    "linalg_vector_norm": _norm,
    "norm": _norm,
    "smooth_l1_loss": lambda given: _distance(given, "beta"),
    "huber_loss": lambda given: _distance(given, "delta"),
    **KINKS_OF_GROUPS,
}
# div with a mode rounds, without it is smooth; its own results say nothing.
_UNSET = ("empty", "new_empty")


def kinked(tape: Tape) -> bool:
    """Whether any operation on computed numbers has kinks or steps that the sides tell."""
    for node in tape.nodes:
        if node.func is None or not any(_computed(tape, value) for value in node.inputs):
            continue
        if node.rule_name in KINKS and not (node.rule_name == "div" and "rounding_mode" not in node.arguments):
            return True
        if any(not tape.values[output].differentiable for output in node.outputs):
            return True
    return False


def _computed(tape: Tape, value: int) -> bool:
    """Whether it is a number that moves with the weights: not a batch or a mask, which stay."""
    one = tape.values[value]
    return one.differentiable and (one.producer is not None or one.requires_grad)


class Watched:
    """The loss, and whether the last run took the sides of the first one (`same`). `n_runs` counts."""

    def __init__(self, forward: Callable[[], float], *, watch: bool) -> None:
        self.forward, self.watch = forward, watch
        self.first: list[Tensor] | None = None
        self.same, self.n_runs = True, 0

    def __call__(self) -> float:
        """One more run."""
        self.n_runs += 1
        if not self.watch:
            return self.forward()
        with _Sides(self.first) as seen:
            loss = self.forward()
        if self.first is None:
            self.first = seen.sides
        self.same = seen.same and seen.n == len(self.first)
        return loss


class _Sides(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the sides of a run, or compares them with those of another."""

    def __init__(self, other: list[Tensor] | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.other, self.sides = other, list[Tensor]()
        self.n, self.same = 0, True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        numbers = any(isinstance(one, Tensor) and one.is_floating_point() for one in tree_leaves((args, kwargs)))
        if numbers and self._watching:
            name = func._schema.name.removeprefix("aten::")
            sides = KINKS.get(name.rstrip("_") if not name.endswith("__") else name)
            if sides is not None:
                # Before the call: it may write over what it reads.
                self._see(sides(_by_name(func, args, kwargs)))
        out = func(*args, **kwargs)
        if numbers and self._watching and not func._schema.name.removeprefix("aten::").startswith(_UNSET):
            self._see([one for one in tree_leaves(out) if isinstance(one, Tensor) and _whole(one)])
        return out

    @property
    def _watching(self) -> bool:
        return self.same

    def _see(self, sides: list[Tensor]) -> None:
        for one in sides:
            if self.other is None:
                self.sides.append(one.clone() if _whole(one) else one)
            elif self.n >= len(self.other) or not torch.equal(self.other[self.n], one):
                self.same = False
                return
            self.n += 1


def _whole(one: Tensor) -> bool:
    return not one.is_floating_point() and not one.is_complex()


def _by_name(func: Any, args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    schema = func._schema.arguments  # defaults are left out of the call
    given = {a.name: a.default_value for a in schema if a.has_default_value()}
    return {**given, **dict(zip((a.name for a in schema), args, strict=False)), **kwargs}
