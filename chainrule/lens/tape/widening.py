"""Running in float64 what was not written for it: kernels that know narrower formats only, and float32 in the code."""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

GROUPED = "_grouped_mm"
# These never take two formats. They are not tried first: they would begin, and leave half of themselves on the tape.
_ONE_FORMAT = """
    linear bilinear matmul __matmul__ __rmatmul__ mm bmm mv addmm addmv addbmm baddbmm einsum tensordot
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d scaled_dot_product_attention
"""
ONE_FORMAT = frozenset(_ONE_FORMAT.split())


class Widened(TorchFunctionMode):
    """Inside, products of groups are made one by one where torch has no kernel for float64; and where an operation
    refuses float64 beside a narrower format that the program asked for by name, that is widened. Its numbers stay
    rounded as the program rounded them: the report has that stretch as one in float32, with its limits.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") == GROUPED and args[0].dtype == torch.float64:
            return grouped_product(*args, **kwargs)
        formats = {one.dtype for one in tree_leaves((args, kwargs)) if _is_real(one)}
        mixed = torch.float64 in formats and len(formats) > 1
        if mixed and getattr(func, "__name__", "") in ONE_FORMAT:
            return func(*_in(torch.float64, args), **_in(torch.float64, kwargs))
        try:
            return func(*args, **kwargs)
        except RuntimeError as fault:
            if "without overflow" in str(fault):  # the least float64 as "minus infinity" in a float32 mask
                return func(*_within_float32(args), **_within_float32(kwargs))
            if not mixed:
                raise
            return func(*_as_one(func, args, kwargs), **_in(torch.float64, kwargs))


def _as_one(func: Any, args: Any, _kwargs: Any) -> Any:
    """The arguments in one format: float64, or that of the tensor that is written to."""
    name = getattr(func, "__name__", "")
    writes = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
    if writes and isinstance(args[0], Tensor) and args[0].is_floating_point():
        return (args[0], *_in(args[0].dtype, tuple(args[1:])))
    return _in(torch.float64, args)


def _is_real(one: Any) -> bool:
    return isinstance(one, Tensor) and one.is_floating_point()


def _in(dtype: torch.dtype, given: Any) -> Any:
    return tree_map_only(Tensor, lambda one: one.to(dtype) if one.is_floating_point() else one, given)


def _within_float32(given: Any) -> Any:
    most = torch.finfo(torch.float32).max
    return tree_map_only(float, lambda one: min(max(one, -most), most), given)


def grouped_product(
    mat_a: Tensor,
    mat_b: Tensor,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    """Products of groups, as torch's `_grouped_mm` has them: `offs` says where each group of rows (or columns) ends.

    Rows with a matrix for each group [N, K]·[G, K, M], a matrix for each group of columns [G, N, K]·[K, M], groups of
    what is summed over [N, K]·[K, M], or a batch. Rows that lie in no group are 0.
    """
    with torch._C.DisableTorchFunction():
        ends = [] if offs is None else offs.tolist()
    spans = list(zip([0, *ends], ends, strict=False))
    if offs is None:
        made = torch.bmm(mat_a, mat_b)
    elif mat_a.dim() == 2 and mat_b.dim() == 3:
        pieces = [mat_a[start:end] @ mat_b[i] for i, (start, end) in enumerate(spans)]
        made = torch.cat([*pieces, mat_a.new_zeros(mat_a.shape[0] - ends[-1], mat_b.shape[-1])])
    elif mat_a.dim() == 3:
        pieces = [mat_a[i] @ mat_b[:, start:end] for i, (start, end) in enumerate(spans)]
        made = torch.cat([*pieces, mat_a.new_zeros(mat_a.shape[1], mat_b.shape[1] - ends[-1])], 1)
    else:
        made = torch.stack([mat_a[:, start:end] @ mat_b[start:end] for start, end in spans])
    made = made if bias is None else made + bias
    return made if out_dtype is None or made.dtype == torch.float64 else made.to(out_dtype)
