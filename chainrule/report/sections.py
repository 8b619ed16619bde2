"""A part of the page, a place for a curve, and how the run learnt: findings and curves."""

from collections.abc import Sequence

from chainrule.report.earlier import Earlier
from chainrule.report.foretold import on_the_way, twice
from chainrule.run import Facts
from chainrule.show import Html, join, tag
from chainrule.verdict import findings

MARKS = {"good": "✓", "note": "→", "bad": "!"}


def section(key: str, title: str, *children: object, note: object = None) -> Html:
    """A part of the page with its heading and, below it, one quiet sentence."""
    heading = tag("h2", title, id=f"{key}-title")
    quiet = tag("p", note, class_="note") if note else None
    return tag("section", heading, quiet, *children, id=key, aria_labelledby=f"{key}-title")


def folded(title: object, content: Html) -> Html:
    """Content behind a title that opens it."""
    return tag("details", tag("summary", title), tag("div", content, class_="scroll"))


def loss_unit(facts: Facts) -> str:
    """What the loss is counted in: of preferences, in a unit of its own."""
    judged = facts.tuning is not None and facts.tuning.objective != "answers"
    return "of the preferences" if judged else "nats per token"


def learning(facts: Facts, before: Sequence[Earlier] = ()) -> Html:
    """Findings and charts; the charts are drawn by the page's script from the figures in the page."""
    found = [tag("li", tag("b", MARKS[f.mark], class_=f.mark), tag("span", f.text)) for f in findings(facts)]
    for said in filter(None, (on_the_way(facts), twice(facts))):
        found.append(tag("li", tag("b", MARKS["note"], class_="note"), tag("span", said)))
    axes = [("step", "Steps"), ("tokens", "Tokens"), ("seconds", "Time")]
    scales = [("zoom", "Zoom"), ("all", "All"), ("log", "Log")]
    charts = [
        ("loss", f"Loss, {loss_unit(facts)}", "wide"),
        ("bits", "Bits per held-out byte", "wide"),
        ("lr", "Learning rate", ""),
        ("grad_norm", "Gradient norm", ""),
        ("tokens_per_second", "Tokens per second", ""),
        ("sources", "Bits per held-out byte, by source", "wide"),
        ("memory", "Memory held", "wide"),
    ]
    return section(
        "learning",
        "How it learnt",
        tag("ul", join(found), class_="findings") if found else None,
        tag("div", _switch("axis", "Horizontal axis", axes), _switch("scale", "Scale", scales), class_="switches"),
        tag("div", join(chart(*one) for one in charts), class_="charts"),
        tag("p", _named(before), class_="note faint") if before else None,
        tag("noscript", tag("p", "The curves need the page’s own script, which this browser does not run.")),
    )


def _named(before: Sequence[Earlier]) -> str:
    """What the faint lines are."""
    names = ", ".join(one.name for one in before)
    return f"Faint lines among the bits: earlier runs in the same folder that hold out the same text ({names})."


def _switch(name: str, label: str, choices: list[tuple[str, str]]) -> Html:
    buttons = [
        tag("button", words, type="button", data_value=value, aria_pressed="true" if place == 0 else "false")
        for place, (value, words) in enumerate(choices)
    ]
    return tag("div", join(buttons), class_="switch", role="group", aria_label=label, data_switch=name)


def chart(key: str, title: str, size: str) -> Html:
    """A place for a curve, which the page's script draws; `size` is "wide" or nothing."""
    caption = tag("figcaption", tag("span", title), tag("output", class_="readout", aria_live="off"))
    plot = tag("div", class_="plot", tabindex="0", role="img", aria_label=f"{title}: curve over the run")
    return tag("figure", caption, plot, class_=f"chart {size}".strip(), data_chart=key)


def bars(values: list[tuple[str, float, str]], own: str = "") -> Html:
    """Words, numbers and their bars, in this order; the line called `own` stands out."""
    most = max((value for _, value, _ in values), default=0.0) or 1.0
    return tag("table", join(_bar(*line, most=most, own=line[0] == own) for line in values), class_="bars")


def _bar(words: str, value: float, figure: str, *, most: float, own: bool) -> Html:
    rect = tag("rect", width=f"{100 * max(value, 0.0) / most:.2f}%", height="100%", rx="3")
    picture = tag("svg", rect, height="14", width="100%", aria_hidden="true")
    cells = (tag("th", words, scope="row"), tag("td", figure), tag("td", picture, class_="bar"))
    return tag("tr", *cells, class_="own" if own else None)
