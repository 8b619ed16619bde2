"""One tensor in words, as Markdown, as a page, as a picture and as figures."""

import json
from dataclasses import asdict, fields
from typing import Any

from chainrule.base import finite
from chainrule.lens.tensors.attributes import TensorFacts
from chainrule.lens.tensors.facts import sections, title
from chainrule.lens.tensors.page import tensor_page, tensor_svg
from chainrule.lens.tensors.text import heatmap_text, histogram_text, numbers_text, sections_text
from chainrule.lens.tensors.words import dtype_name, rank_name
from chainrule.show import markdown


def tensor_text(facts: TensorFacts, width: int = 100) -> str:
    """The facts, a small tensor whole, else a histogram and a heatmap."""
    lines = [title(facts), *sections_text(sections(facts), width)]
    if facts.elements is not None and facts.n_elements:
        lines += ["", "whole", *numbers_text(facts.elements, facts.shape, width)]
    elif facts.values is not None:
        if facts.values.histogram is not None:
            lines += ["", "histogram", *histogram_text(facts.values.histogram)]
        if facts.values.heatmap is not None:
            lines += ["", "heatmap", *heatmap_text(facts.values.heatmap, width)]
    return "\n".join(lines)


def tensor_markdown(facts: TensorFacts) -> str:
    """The same with headings and tables."""
    lines = [f"# {markdown(title(facts))}"]
    for heading, told in sections(facts):
        lines += ["", f"## {heading}", "", "| | |", "|---|---|"]
        lines += [f"| {label} | {markdown(fact)} |" for label, fact in told]
    pictures = tensor_text(facts).split("\n\n")[1 + len(sections(facts)) :]
    for picture in pictures:
        heading, _, drawn = picture.partition("\n")
        lines += ["", f"## {heading}", "", "```text", drawn, "```"]
    return "\n".join(lines) + "\n"


def tensor_html(facts: TensorFacts) -> str:
    """One self-contained page."""
    return tensor_page(title(facts), sections(facts), facts.values, facts.elements, facts.shape)


def tensor_picture(facts: TensorFacts) -> str:
    """Histogram and heatmap as one SVG; of a tensor without values only its title."""
    return tensor_svg(title(facts), facts.values)


def tensor_facts(facts: TensorFacts) -> dict[str, Any]:
    """All of it as values that JSON can hold; NaN and infinity are None."""
    told = {one.name: getattr(facts, one.name) for one in fields(facts)}
    told = {name: asdict(one) if hasattr(one, "__dataclass_fields__") else one for name, one in told.items()}
    told["dtype"] = dtype_name(facts.dtype)
    told["rank_name"], told["rank"] = rank_name(facts.shape).split(" ", 1)[1], facts.rank
    told["n_elements"], told["n_bytes"] = facts.n_elements, facts.n_bytes
    if facts.dtype.is_complex and facts.elements is not None:
        told["elements"] = json.loads(json.dumps(facts.elements, default=lambda z: [z.real, z.imag]))
    if told["values"]:
        quantiles = told["values"]["quantiles"]
        told["values"]["quantiles"] = {f"{share:.0%}": one for share, one in quantiles.items()}
    return dict(finite(told))
