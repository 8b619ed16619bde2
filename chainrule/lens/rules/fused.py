"""Rules of operations that torch has fused out of others: taken apart again and walked back by the parts."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from chainrule.lens.rules.composed import composed
from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Formula, Rule
from chainrule.lens.tape import grouped_product


def head_and_loss(
    *,
    input: Tensor,  # noqa: A002 (the schema's word)
    linear_weight: Tensor,
    target: Tensor,
    linear_bias: Tensor | None,
    weight: Tensor | None,
    ignore_index: int,
    label_smoothing: float = 0.0,
    reduction: str = "none",
    **_in_pieces: object,
) -> Tensor:
    """A linear layer and the cross-entropy of its scores, which torch makes some rows at a time."""
    scores = F.linear(input, linear_weight, linear_bias)
    return F.cross_entropy(
        scores, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )


def distance(*, self: Tensor, other: Tensor, p: float) -> Tensor:
    """The p-norm of a difference. Where both are equal the gradient is 0."""
    return torch.linalg.vector_norm(self - other, p)


def affine_grid(*, theta: Tensor, size: list[int], align_corners: bool) -> Tensor:
    """The places of an even grid on [−1, 1], each with a 1 behind it, times θᵀ."""
    lines = [
        torch.linspace(-1, 1, n, dtype=theta.dtype, device=theta.device) * (1 if align_corners else (n - 1) / n)
        for n in size[2:]
    ]
    lines = [torch.zeros_like(line) if len(line) == 1 else line for line in lines]
    along = torch.meshgrid(*lines, indexing="ij")
    base = torch.stack([*reversed(along), torch.ones_like(along[0])], -1)
    return (base.reshape(1, -1, base.shape[-1]) @ theta.mT).reshape(size[0], *size[2:], len(size) - 2)


def products_of_groups(
    *, self: Tensor, mat2: Tensor, offs: Tensor | None, bias: Tensor | None, out_dtype: torch.dtype | None
) -> Tensor:
    """Each group of rows has a matrix of its own, as the experts of a mixture have: one product after the other."""
    return grouped_product(self, mat2, offs, bias, out_dtype)


def experts(*, input: Tensor, weight: Tensor, offs: Tensor) -> Tensor:  # noqa: A002
    """The same, as transformers calls it where torch has no kernel."""
    return grouped_product(input, weight, offs)


LINEAR_LOSS = Rule(
    composed(head_and_loss),
    Formula("L = −ln softmax(X Wᵀ + b)[t]", r"L = -\ln \operatorname{softmax}(X W^\top + b)_t"),
    {
        "input": onward("X", "(softmax − [t])W", r"(\operatorname{softmax} - [t]) W"),
        "linear_weight": onward("W", "(softmax − [t])ᵀX", r"(\operatorname{softmax} - [t])^\top X"),
        "linear_bias": onward("b", "Σ (softmax − [t])", r"\sum (\operatorname{softmax} - [t])"),
        "weight": onward("c", "by the parts", r"\text{by the parts}"),
    },
    {"input": "X", "linear_weight": "W", "linear_bias": "b", "target": "t", "weight": "c"},
)

FUSED: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "torch_nn._linear_cross_entropy_batch_chunked",
            "torch_nn._linear_cross_entropy_batch_chunked_no_reduction",
        ),
        LINEAR_LOSS,
    ),
    "_grouped_mm": Rule(
        composed(products_of_groups),
        Formula("Yₙ = AₙBₙ, n the group", "Y_n = A_n B_n"),
        {
            "self": onward("A", "G Bᵀ, group by group", r"G_n B_n^\top"),
            "mat2": onward("B", "Aᵀ G, group by group", r"A_n^\top G_n"),
        },
        {"self": "A", "mat2": "B"},
    ),
    "transformers.grouped_mm_fallback": Rule(
        composed(experts),
        Formula("Yₙ = AₙBₙ, n the group", "Y_n = A_n B_n"),
        {
            "input": onward("A", "G Bᵀ, group by group", r"G_n B_n^\top"),
            "weight": onward("B", "Aᵀ G, group by group", r"A_n^\top G_n"),
        },
        {"input": "A", "weight": "B"},
    ),
    "dist": Rule(
        composed(distance),
        Formula("y = ‖a − b‖ₚ", r"y = \lVert a - b \rVert_p"),
        {
            "self": onward(
                "a",
                "g sign(a − b) (|a − b|/y)ᵖ⁻¹",
                r"g \operatorname{sign}(a - b) \left(\frac{|a - b|}{y}\right)^{p-1}",
            ),
            "other": onward("b", "−∂L/∂a", r"-\frac{\partial L}{\partial a}"),
        },
        {"self": "a", "other": "b", "p": "p"},
        wirtinger=True,
    ),
    "affine_grid_generator": Rule(
        composed(affine_grid),
        Formula("u = θ(p, 1), p on an even grid", r"u = \theta (p, 1)"),
        {"theta": onward("θ", "Σ g(p, 1)ᵀ", r"\sum g (p, 1)^\top", r"\theta")},
        {"theta": "θ"},
    ),
}
