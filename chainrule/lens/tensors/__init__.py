"""One tensor: shape, memory, values, and what shares them."""

from chainrule.lens.tensors.layout import Viewing, viewing, whole_shape
from chainrule.lens.tensors.listing import TensorList, list_facts, list_lines
from chainrule.lens.tensors.memory import Sharing, block, require_strided, shares
from chainrule.lens.tensors.text import numbers_text
from chainrule.lens.tensors.values import WHOLE_ELEMENTS
from chainrule.lens.tensors.view import TensorView, tensor
from chainrule.lens.tensors.words import as_tensor, dtype_name, dtype_words, numpy_way, rank_name, shape_words
from chainrule.lens.tensors.written import tensor_facts, tensor_html, tensor_markdown, tensor_picture, tensor_text

__all__ = [
    "WHOLE_ELEMENTS",
    "Sharing",
    "TensorList",
    "TensorView",
    "Viewing",
    "as_tensor",
    "block",
    "dtype_name",
    "dtype_words",
    "list_facts",
    "list_lines",
    "numbers_text",
    "numpy_way",
    "rank_name",
    "require_strided",
    "shape_words",
    "shares",
    "tensor",
    "tensor_facts",
    "tensor_html",
    "tensor_markdown",
    "tensor_picture",
    "tensor_text",
    "viewing",
    "whole_shape",
]
