"""Pictures of a recording: the graph, its tensors and the chain rule, as data and as pages."""

from chainrule.lens.draw.data import Picture
from chainrule.lens.draw.drawing import picture
from chainrule.lens.draw.html import to_html
from chainrule.lens.draw.plain import to_json
from chainrule.lens.draw.svg import to_svg
from chainrule.lens.draw.written import to_latex, to_markdown, to_terminal

__all__ = [
    "Picture",
    "picture",
    "to_html",
    "to_json",
    "to_latex",
    "to_markdown",
    "to_svg",
    "to_terminal",
]
