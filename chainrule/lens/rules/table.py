"""All rules: in chapters, and by the name of the operation without overload."""

from collections.abc import Mapping

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

# In the order of the book. A new chapter is a line here, a new rule a line in the table of its chapter.
CHAPTERS: Mapping[str, Mapping[str, Rule]] = {
    "Arithmetic": POINTWISE,
    "Elementary functions": ELEMENTARY,
    "Functions with corners and steps": CORNERS,
    "Smooth activations and dropout": ACTIVATION,
    "Products of matrices": MATMUL,
    "Vectors in space": GEOMETRY,
    "Softmax": SOFTMAX,
    "Attention": ATTENTION,
    "Normalisation": NORM,
    "Convolution": CONVOLUTION,
    "Pooling and resizing": POOLING,
    "Recurrence": RECURRENT,
    "Losses": LOSSES,
    "Reductions": REDUCE,
    "Picking by size": ORDER,
    "Shapes": SHAPE,
    "Pieces and joins": PIECE,
    "Indices": INDEX,
    "Writing in place": WRITE,
}

RULES: dict[str, Rule] = {name: rule for rules in CHAPTERS.values() for name, rule in rules.items()}
