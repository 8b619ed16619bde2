"""One tensor: shape, memory, values, and what shares them."""

from chainrule.lens.tensors.layout import Viewing, viewing, whole_shape
from chainrule.lens.tensors.memory import Sharing, block, require_strided, shares
from chainrule.lens.tensors.text import numbers_text
from chainrule.lens.tensors.values import WHOLE_ELEMENTS
from chainrule.lens.tensors.view import TensorView, tensor
from chainrule.lens.tensors.words import as_tensor, dtype_name, shape_words

__all__ = [
    "WHOLE_ELEMENTS",
    "Sharing",
    "TensorView",
    "Viewing",
    "as_tensor",
    "block",
    "dtype_name",
    "numbers_text",
    "require_strided",
    "shape_words",
    "shares",
    "tensor",
    "viewing",
    "whole_shape",
]
