"""Rules of torch's `*_backward` operations, for gradients of gradients: our own rules, differentiated by our rules.

The gradient that a rule computes is itself made of operations. `tanh_backward(g, y)` is what the rule of tanh makes of
g and y: its arithmetic is recorded and walked back, so that there is a rule for each `*_backward` whose operation has
one.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from chainrule.lens.rules.composed import walk_back
from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.primitives import PRIMITIVES
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule
from chainrule.lens.rules.sampling import SAMPLING
from chainrule.lens.tape import Node, record_parts

Given = Mapping[str, Any]
FIRST = {**PRIMITIVES, **SAMPLING}
SIZES = ("input_sizes", "input_size", "self_sizes", "sizes", "size")
ARRIVING = ("grad_output", "grad_out", "grad", "grad_in")


@dataclass(frozen=True)
class Of:
    """Whose gradient a `*_backward` computes.

    `outputs` names the arguments that hold outputs of that operation, `gives` those of its arguments whose gradients
    come out, in order. `more` makes arguments that the rule reads and that stand under another name. `made` is the
    gradient itself, where the rule reads an x and torch hands on only y.
    """

    operation: str
    outputs: Mapping[int, str] = field(default_factory=dict)
    gives: tuple[str, ...] = ("self",)
    more: Mapping[str, Callable[[Given], Any]] = field(default_factory=dict)
    made: Callable[[Given], Tensor] | None = None


class GivenCall(Call):
    """A call whose arguments and outputs are given as they are, and not on a tape."""

    def __init__(self, of: Of, arguments: dict[str, Any], outputs: dict[int, Tensor], wanted: set[str]) -> None:
        packet = getattr(torch.ops.aten, of.operation)
        n_outputs = 1 + max(outputs, default=0)
        func = getattr(packet, packet.overloads()[0])
        self.node = Node(0, of.operation, func, "", 0, None, arguments, tuple(range(n_outputs)), True, False)
        self.outputs, self.asked = outputs, wanted

    def needs(self, name: str) -> bool:
        """Whether this gradient is asked for."""
        return name in self.asked

    def _tensor(self, value: int) -> Tensor:
        # The rules of functions of one number are handed y, also where they do not read it.
        return self.outputs[value] if value in self.outputs else self["self"].new_full((), math.nan)


def double(of: Of, call: Call, *incoming: Tensor | None) -> Gradients:
    """What the rule hands back, differentiated: by the gradient that arrived, by arguments and by outputs."""
    given = {name: call[name] for name in call.node.arguments}
    follow = {name for name, one in given.items() if isinstance(one, Tensor) and call.needs(name) and name != TOTAL}
    mask = given.get("output_mask", given.get("grad_input_mask", [True] * len(of.gives)))

    def gradients(**arguments: Any) -> Mapping[str, Tensor]:
        found = _first(of, arguments, {name for name, asked in zip(of.gives, mask, strict=False) if asked})
        return {name: one for name, one in found.items() if isinstance(one, Tensor)}

    recorded = record_parts(gradients, given, follow)
    return walk_back(recorded, {n: g for n, g in zip(of.gives, incoming, strict=False) if g is not None})


def _first(of: Of, given: Given, wanted: set[str]) -> Gradients:
    """The gradients themselves: the rule of the operation, on the arguments of its `*_backward`."""
    if of.made is not None:
        return {of.gives[0]: of.made(given)}
    arguments = {name: one for name, one in given.items() if name not in (*ARRIVING, "output_mask")}
    arguments |= {name: make(given) for name, make in of.more.items()}
    sizes = next((given[name] for name in SIZES if name in given), None)
    g = next(given[name] for name in ARRIVING if name in given)
    if sizes is not None and "self" not in arguments:
        arguments["self"] = g.new_zeros(()).expand(sizes)
    outputs = {slot: given[name] for slot, name in of.outputs.items()}
    call = GivenCall(of, arguments, outputs, wanted)
    return FIRST[of.operation].pullback(call, g, *[None] * (len(call.node.outputs) - 1))


def _rule(name: str, of: Of) -> Rule:
    first = FIRST[of.operation]
    packet = getattr(torch.ops.aten, name)
    schema = getattr(packet, packet.overloads()[0])._schema
    tensors = [a.name for a in schema.arguments if str(a.type) in ("Tensor", "Optional[Tensor]")]
    letters = {
        a: "g" if a in ARRIVING else first.names.get(a, "y" if a in of.outputs.values() else "x") for a in tensors
    }
    text, latex = f"the gradient of {of.operation}", rf"\nabla \text{{ {of.operation.replace('_', ' ')}}}"
    return Rule(
        partial(double, of),
        Formula(f"h = {text}", f"h = {latex}"),
        {
            a: onward(
                letters[a], f"Σ u·∂h/∂{letters[a]}", rf"\sum u \frac{{\partial h}}{{\partial {latex_of(letters[a])}}}"
            )
            for a in tensors
        },
        letters,
        wirtinger=True,
    )


def latex_of(letter: str) -> str:
    """A letter in LaTeX."""
    greek = {"α": r"\alpha", "β": r"\beta", "λ": r"\lambda", "γ": r"\gamma", "δ": r"\delta"}
    return greek.get(letter, letter)


Y = {0: "output"}
NORM = {1: "mean", 2: "rstd"}
TOTAL = "total_weight"  # of the classes that were met: it depends on no input
WEIGHTS = ("input", "weight", "bias")


def _weight(given: Given) -> Tensor:
    g = given["grad_output"]
    return g.new_zeros(()).expand(given["num_weights"], g.shape[-1])


def _bias(given: Given) -> Tensor | None:
    g = given["grad_output"]
    return g.new_zeros(()).expand(given["bias_sizes"] or [0])


def _conjugate(y: Tensor) -> Tensor:
    return y.conj() if y.is_complex() else y


def _tanh(given: Given) -> Tensor:
    y = _conjugate(given["output"])
    g: Tensor = given["grad_output"]
    return g * (1 - y * y)


def _sigmoid(given: Given) -> Tensor:
    y = _conjugate(given["output"])
    g: Tensor = given["grad_output"]
    return g * ((1 - y) * y)


def _softmax(given: Given) -> Tensor:
    y, g, dim = given["output"], given["grad_output"], given["dim"]
    product: Tensor = g * y
    return product - y * product.sum(dim, keepdim=True)


def _log_softmax(given: Given) -> Tensor:
    y, g, dim = given["output"], given["grad_output"], given["dim"]
    found: Tensor = g - y.exp() * g.sum(dim, keepdim=True)
    return found


def _rrelu(given: Given) -> Tensor:
    x, g, noise = given["self"], given["grad_output"], given["noise"]
    drawn = given["training"] and given["upper"] - given["lower"] > 1e-6
    middle = (given["lower"] + given["upper"]) / 2
    found: Tensor = g * noise if drawn else torch.where(x > 0, g, g * middle)
    return found


def _masked_scatter(given: Given) -> Tensor:
    taken, sizes = given["grad_output"].masked_select(given["mask"]), given["sizes"]
    rest = taken.new_zeros(max(math.prod(sizes) - len(taken), 0))
    return torch.cat([taken, rest])[: math.prod(sizes)].reshape(sizes)


def _elu_input(given: Given) -> Tensor:
    """In place, what is kept is y; then x is what y was made of."""
    y: Tensor = given["self_or_result"]
    if not given["is_result"]:
        return y
    scaled = y / given["scale"]
    return torch.where(y > 0, scaled, torch.log1p(scaled / given["alpha"]) / given["input_scale"])


def _places(n_axes: int) -> dict[str, Callable[[Given], Any]]:
    return {"output_size": lambda given: list(given["grad_output"].shape[-n_axes:])}


BY_NAME = {
    "tanh_backward": Of("tanh", Y, made=_tanh),
    "sigmoid_backward": Of("sigmoid", Y, made=_sigmoid),
    "native_dropout_backward": Of(
        "native_dropout", gives=("input",), made=lambda given: given["grad_output"] * given["mask"] * given["scale"]
    ),
    "elu_backward": Of("elu", more={"self": _elu_input}),
    **{
        f"{name}_backward": Of(name)
        for name in [
            "threshold",
            "gelu",
            "softplus",
            "hardswish",
            "hardtanh",
            "hardshrink",
            "softshrink",
            "leaky_relu",
            "glu",
            "mse_loss",
            "smooth_l1_loss",
            "huber_loss",
            "soft_margin_loss",
            "avg_pool2d",
            "avg_pool3d",
            "slice",
            "select",
            "diagonal",
            "reflection_pad1d",
            "reflection_pad2d",
            "reflection_pad3d",
            "replication_pad1d",
            "replication_pad2d",
            "replication_pad3d",
            "upsample_nearest1d",
            "upsample_nearest2d",
            "upsample_nearest3d",
            "_upsample_nearest_exact1d",
            "_upsample_nearest_exact2d",
            "_upsample_nearest_exact3d",
            "upsample_linear1d",
            "upsample_bilinear2d",
            "upsample_trilinear3d",
            "upsample_bicubic2d",
            "_upsample_bilinear2d_aa",
            "_upsample_bicubic2d_aa",
        ]
    },
    "_adaptive_avg_pool2d_backward": Of("_adaptive_avg_pool2d", more=_places(2)),
    "_adaptive_avg_pool3d_backward": Of("_adaptive_avg_pool3d", more=_places(3)),
    "binary_cross_entropy_backward": Of("binary_cross_entropy"),
    "log_sigmoid_backward": Of("log_sigmoid_forward"),
    # Hands back the weight's gradient at every place; the sum over them is an operation of its own.
    "_prelu_kernel_backward": Of(
        "_prelu_kernel",
        gives=("self", "weight"),
        more={"weight": lambda given: given["weight"].expand_as(given["self"])},
    ),
    "unfold_backward": Of("unfold", more={"dimension": itemgetter("dim")}),
    "_softmax_backward_data": Of("_softmax", Y, made=_softmax),
    "_log_softmax_backward_data": Of("_log_softmax", Y, made=_log_softmax),
    "native_layer_norm_backward": Of("native_layer_norm", NORM, WEIGHTS),
    "native_batch_norm_backward": Of(
        "native_batch_norm",
        {1: "save_mean", 2: "save_invstd"},
        WEIGHTS,
        {"training": itemgetter("train"), "bias": itemgetter("weight")},
    ),
    "batch_norm_backward": Of(
        "native_batch_norm",
        {1: "save_mean", 2: "save_var"},
        WEIGHTS,
        {"training": itemgetter("update"), "bias": itemgetter("weight")},
    ),
    "fractional_max_pool2d_backward": Of("fractional_max_pool2d", {1: "indices"}),
    "fractional_max_pool3d_backward": Of("fractional_max_pool3d", {1: "indices"}),
    "rrelu_with_noise_backward": Of("rrelu_with_noise", made=_rrelu),
    "masked_scatter_backward": Of("masked_scatter", gives=("source",), made=_masked_scatter),
    "grid_sampler_2d_backward": Of("grid_sampler_2d", gives=("input", "grid")),
    "grid_sampler_3d_backward": Of("grid_sampler_3d", gives=("input", "grid")),
    "convolution_backward": Of("convolution", {}, WEIGHTS, {"bias": _bias}),
    "embedding_dense_backward": Of("embedding", {}, ("weight",), {"weight": _weight}),
    "nll_loss_backward": Of("nll_loss_forward", {1: TOTAL}),
    "nll_loss2d_backward": Of("nll_loss2d_forward", {1: TOTAL}),
    "max_pool2d_with_indices_backward": Of("max_pool2d_with_indices", {1: "indices"}),
    "max_pool3d_with_indices_backward": Of("max_pool3d_with_indices", {1: "indices"}),
    "adaptive_max_pool2d_backward": Of("adaptive_max_pool2d", {1: "indices"}),
    "adaptive_max_pool3d_backward": Of("adaptive_max_pool3d", {1: "indices"}),
}

DOUBLE: dict[str, Rule] = {name: _rule(name, of) for name, of in BY_NAME.items() if hasattr(torch.ops.aten, name)}
