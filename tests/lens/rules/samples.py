"""All samples, by the name of the rule that they prove, and what each proves."""

from functools import cache

import lens.rules.samples_complex as complexes
import lens.rules.samples_groups as groups
import lens.rules.samples_layers as layers
import lens.rules.samples_linalg as linalg
import lens.rules.samples_pointwise as pointwise
import lens.rules.samples_reduce as reduce
import lens.rules.samples_shape as shape
import lens.rules.samples_special as special
from lens.rules.proof import Proof, prove

from chainrule.lens.rules.double import DOUBLE
from chainrule.lens.rules.drawn import DRAWN
from chainrule.lens.rules.fused import FUSED
from chainrule.lens.rules.primitives import VIEWS
from chainrule.lens.rules.quantising import QUANTISING

REAL = (pointwise, reduce, layers, shape, special, groups)
SAMPLES = {name: samples for chapter in (*REAL, complexes, linalg) for name, samples in chapter.SAMPLES.items()}
for _name, _samples in complexes.AS_WELL.items():
    SAMPLES[_name] = [*SAMPLES[_name], *_samples]
AT_CORNERS = {**pointwise.AT_CORNERS, **special.AT_CORNERS}

# The same rule under another name, for an operation that needs a GPU.
SAME_AS = {
    **{f"{name}_copy": name for name in VIEWS},
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
    **dict.fromkeys(DRAWN, "test_drawn.py"),
    **dict.fromkeys(QUANTISING, "test_quantising.py"),
    **{name: "test_fused.py" for name in FUSED if name.startswith("torch_nn") or "grouped" in name},
    **dict.fromkeys(DOUBLE, "test_double.py"),
}


@cache
def proofs(name: str) -> list[Proof]:
    return [prove(function, tensors) for function, tensors in SAMPLES[name]]
