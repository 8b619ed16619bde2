"""How what an instrument found is shown: text, JSON, a page, a drawing, Markdown, LaTeX; printed or in a file."""

from chainrule.lens.renderers.rendering import formats_of, render, renderer_for, save

__all__ = [
    "formats_of",
    "render",
    "renderer_for",
    "save",
]
