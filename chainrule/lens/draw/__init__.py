"""Pictures of a recording: the graph, its tensors and the chain rule, as data and as pages."""

from chainrule.lens.draw.data import Picture
from chainrule.lens.draw.drawing import picture
from chainrule.lens.draw.formats import picture_text
from chainrule.lens.draw.html import to_html
from chainrule.lens.draw.svg import to_svg

__all__ = [
    "Picture",
    "picture",
    "picture_text",
    "to_html",
    "to_svg",
]
