"""All rules, by the name of the operation without overload."""

from chainrule.lens.rules.activation import ACTIVATION
from chainrule.lens.rules.attention import ATTENTION
from chainrule.lens.rules.convolution import CONVOLUTION
from chainrule.lens.rules.corners import CORNERS
from chainrule.lens.rules.elementary import ELEMENTARY
from chainrule.lens.rules.geometry import GEOMETRY
from chainrule.lens.rules.index import INDEX
from chainrule.lens.rules.losses import LOSSES
from chainrule.lens.rules.matmul import MATMUL
from chainrule.lens.rules.norm import NORM
from chainrule.lens.rules.order import ORDER
from chainrule.lens.rules.piece import PIECE
from chainrule.lens.rules.pointwise import POINTWISE
from chainrule.lens.rules.pooling import POOLING
from chainrule.lens.rules.recurrent import RECURRENT
from chainrule.lens.rules.reduce import REDUCE
from chainrule.lens.rules.rule import Rule
from chainrule.lens.rules.shape import SHAPE
from chainrule.lens.rules.softmax import SOFTMAX
from chainrule.lens.rules.write import WRITE

# Operations whose result does not depend on any input in a way that can be differentiated, or that cut the gradient:
# new tensors in the form of another, random numbers, truth values.
FACTORIES = {f"{content}_like" for content in ("empty", "zeros", "ones", "full", "rand", "randn", "randint")} | {
    f"new_{content}" for content in ("empty", "empty_strided", "zeros", "ones", "full")
}
RANDOM = {"bernoulli", "uniform", "normal", "exponential", "cauchy", "log_normal", "geometric", "random", "multinomial"}
TRUTHS = {"eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "signbit", "any", "all"} | {
    f"logical_{word}" for word in ("and", "or", "xor", "not")
}
CONSTANT = frozenset({"detach", "detach_copy", "set_data", *FACTORIES, *RANDOM, *TRUTHS})

RULES: dict[str, Rule] = {
    **POINTWISE,
    **ELEMENTARY,
    **CORNERS,
    **ACTIVATION,
    **REDUCE,
    **ORDER,
    **MATMUL,
    **GEOMETRY,
    **SOFTMAX,
    **NORM,
    **ATTENTION,
    **CONVOLUTION,
    **POOLING,
    **RECURRENT,
    **LOSSES,
    **SHAPE,
    **PIECE,
    **INDEX,
    **WRITE,
}
