"""The rules that stand by themselves, in chapters: those of operations that are made of others use them."""

from collections.abc import Mapping

from chainrule.lens.rules.activation import ACTIVATION
from chainrule.lens.rules.attention import ATTENTION
from chainrule.lens.rules.complex_numbers import COMPLEX
from chainrule.lens.rules.connectionist import CONNECTIONIST
from chainrule.lens.rules.convolution import CONVOLUTION
from chainrule.lens.rules.corners import CORNERS
from chainrule.lens.rules.drawn import DRAWN
from chainrule.lens.rules.elementary import ELEMENTARY
from chainrule.lens.rules.factorisations import FACTORISATIONS
from chainrule.lens.rules.fourier import FOURIER
from chainrule.lens.rules.geometry import GEOMETRY
from chainrule.lens.rules.index import INDEX
from chainrule.lens.rules.linear_systems import LINEAR_SYSTEMS
from chainrule.lens.rules.losses import LOSSES
from chainrule.lens.rules.matmul import MATMUL
from chainrule.lens.rules.norm import NORM
from chainrule.lens.rules.order import ORDER
from chainrule.lens.rules.piece import PIECE
from chainrule.lens.rules.pointwise import POINTWISE
from chainrule.lens.rules.pooling import POOLING
from chainrule.lens.rules.quantising import QUANTISING
from chainrule.lens.rules.recurrent import RECURRENT
from chainrule.lens.rules.reduce import REDUCE
from chainrule.lens.rules.rule import Rule, conjugated
from chainrule.lens.rules.scatter import SCATTER
from chainrule.lens.rules.shape import SHAPE
from chainrule.lens.rules.softmax import SOFTMAX
from chainrule.lens.rules.special import SPECIAL
from chainrule.lens.rules.write import WRITE

VIEWS = (
    *(
        "alias",
        "as_strided",
        "diagonal",
        "expand",
        "permute",
        "select",
        "slice",
        "split",
        "split_with_sizes",
        "squeeze",
        "t",
    ),
    *("transpose", "unbind", "unfold", "unsqueeze", "view", "view_as_complex", "view_as_real", "_conj", "_neg_view"),
)

# In the order of the book. A new chapter is a line here, a new rule a line in the table of its chapter.
_WRITTEN: Mapping[str, Mapping[str, Rule]] = {
    "Arithmetic": POINTWISE,
    "Elementary functions": ELEMENTARY,
    "Special functions": SPECIAL,
    "Functions with corners and steps": CORNERS,
    "Smooth activations and dropout": ACTIVATION,
    "Complex numbers": COMPLEX,
    "Quantisation": QUANTISING,
    "Random draws": DRAWN,
    "Products of matrices": MATMUL,
    "Linear systems and determinants": LINEAR_SYSTEMS,
    "Factorisations of matrices": FACTORISATIONS,
    "Fourier transforms": FOURIER,
    "Vectors in space": GEOMETRY,
    "Softmax": SOFTMAX,
    "Attention": ATTENTION,
    "Normalisation": NORM,
    "Convolution": CONVOLUTION,
    "Pooling and resizing": POOLING,
    "Recurrence": RECURRENT,
    "Losses": LOSSES,
    "Alignment": CONNECTIONIST,
    "Reductions": REDUCE,
    "Picking by size": ORDER,
    "Shapes": SHAPE,
    "Pieces and joins": PIECE,
    "Indices": INDEX,
    "Groups and blocks": SCATTER,
    "Writing in place": WRITE,
}


def for_complex_numbers(chapters: Mapping[str, Mapping[str, Rule]]) -> dict[str, dict[str, Rule]]:
    """The chapters with each rule made to hold for complex numbers; operations that shared a rule share it still."""
    made = {id(rule): conjugated(rule) for rules in chapters.values() for rule in rules.values()}
    return {chapter: {name: made[id(rule)] for name, rule in rules.items()} for chapter, rules in chapters.items()}


def with_copies(chapters: dict[str, dict[str, Rule]]) -> dict[str, dict[str, Rule]]:
    """The chapters with torch's copying form of each view (`expand_copy`), whose rule is that of the view."""
    return {
        chapter: {**rules, **{f"{name}_copy": rules[name] for name in VIEWS if name in rules}}
        for chapter, rules in chapters.items()
    }


PRIMITIVE_CHAPTERS = with_copies(for_complex_numbers(_WRITTEN))
PRIMITIVES: dict[str, Rule] = {name: rule for rules in PRIMITIVE_CHAPTERS.values() for name, rule in rules.items()}
