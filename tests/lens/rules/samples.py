"""All samples, by the name of the rule that they prove, and what each proves."""

from functools import cache

import lens.rules.samples_layers as layers
import lens.rules.samples_pointwise as pointwise
import lens.rules.samples_reduce as reduce
import lens.rules.samples_shape as shape
from lens.rules.proof import Proof, prove

SAMPLES = {**pointwise.SAMPLES, **reduce.SAMPLES, **layers.SAMPLES, **shape.SAMPLES}
AT_CORNERS = pointwise.AT_CORNERS

# The same rule under another name, for an operation that needs a GPU.
SAME_AS = {
    "cudnn_batch_norm": "native_batch_norm",
    "_scaled_dot_product_flash_attention": "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention": "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_cudnn_attention": "_scaled_dot_product_flash_attention_for_cpu",
}
# Proved by a file of their own: not in float64, not on a CPU, or not what differences can see.
ELSEWHERE = {
    "mkldnn_rnn_layer": "test_recurrent.py",
    "_fused_rms_norm": "test_norm.py",
    "convert_element_type": "test_index.py",
    "unseen_write": "test_shape.py",
}


@cache
def proofs(name: str) -> list[Proof]:
    return [prove(function, tensors) for function, tensors in SAMPLES[name]]
