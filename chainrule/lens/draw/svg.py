"""A picture as one SVG file, folded to a depth: for a paper, a slide or a README; it follows light and dark."""

from chainrule.lens.draw.data import Picture
from chainrule.lens.draw.place import Card, curve, place
from chainrule.lens.draw.words import shown_depth, title_facts
from chainrule.show import escaped

MOST_SHOWN = 60
TITLE = 52.0
STYLE = """
svg { --paper: #fcfcfa; --card: #fff; --raised: #f4f3ee; --ink: #1c1e22; --quiet: #66686d;
  --line: #d9d6cd; --edge: #a9a79f; --value: #2560bd; --gradient: #b23f0d;
  --good: #1d7a46; --bad: #b3261e; --warn: #8a6100; }
@media (prefers-color-scheme: dark) { svg { --paper: #131518; --card: #1f2329; --raised: #1b1e23; --ink: #e9e8e3;
  --quiet: #a0a2a7; --line: #343942; --edge: #5d626b; --value: #7fb0f7; --gradient: #f79256; --good: #5cc98c;
  --bad: #ff8a80; --warn: #e5b84b; } }
text { font: 13px Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: var(--ink); }
.paper { fill: var(--paper); } .title { font-weight: 600; } .h1 { font-size: 20px; font-weight: 700; }
.quiet, .facts { fill: var(--quiet); } .value { fill: var(--value); } .gradient { fill: var(--gradient); }
.card { fill: var(--card); stroke: var(--line); } .open { fill: var(--ink); fill-opacity: 0.03; stroke: var(--line); }
.leaf { fill: var(--raised); } .leaf.parameter { stroke: var(--edge); stroke-width: 1.5; }
.constant { fill: var(--paper); }
.right { stroke: var(--good); } .wrong { stroke: var(--bad); stroke-width: 3; }
.follows { stroke: var(--warn); stroke-width: 1.5; stroke-dasharray: 4 3; } .agrees { stroke: var(--edge); }
.wire { fill: none; stroke: var(--edge); stroke-width: 1.4; } .wire.off { stroke: var(--line); }
.tip { fill: var(--edge); } .met { fill: var(--card); stroke: var(--gradient); stroke-width: 1.5; }
"""


def to_svg(picture: Picture, depth: int | None = None) -> str:
    """The graph with modules unfolded down to `depth`; without it as deep as leaves about sixty things to see."""
    placed = place(picture, shown_depth(picture, depth, MOST_SHOWN))
    width, height = placed.width + 16, placed.height + TITLE + 8
    boxes = "".join(_open(card) for card in placed.cards if card.style == "open")
    wires = "".join(
        f'<path class="wire{"" if flows else " off"}" d="{curve(points)}" marker-end="url(#tip)"/>'
        for points, flows in placed.wires
    )
    cards = "".join(_card(card) for card in placed.cards if card.style != "open")
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto" '
        'markerUnits="userSpaceOnUse"><path class="tip" d="M0 0.5L8 4L0 7.5z"/></marker>'
    )
    title = escaped(picture.title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="Graph of {title}">'
        f"<title>{title}</title><style>{STYLE}</style><defs>{tip}</defs>"
        f'<rect class="paper" width="100%" height="100%"/><text class="h1" x="16" y="27">{title}</text>'
        f'<text class="facts" x="16" y="45">{escaped(title_facts(picture))}</text>'
        f'<g transform="translate(8 {TITLE})">{boxes}{wires}{cards}</g></svg>\n'
    )


def _open(card: Card) -> str:
    return (
        f'<rect class="open" x="{card.x:.1f}" y="{card.y:.1f}" width="{card.width:.1f}" '
        f'height="{card.height:.1f}" rx="14"/>'
        f'<text x="{card.x + 14:.1f}" y="{card.y + 20:.1f}"><tspan class="title">{escaped(card.lines[0])}</tspan> '
        f'<tspan class="quiet">{escaped(card.lines[1])}</tspan></text>'
    )


def _card(card: Card) -> str:
    left, right, line = card.x + 12, card.x + card.width - 12, card.y + 24
    round_ = card.height / 2 if card.style.startswith("leaf") else 10
    parts = [
        f'<rect class="card {card.style}" x="{card.x:.1f}" y="{card.y:.1f}" width="{card.width:.1f}" '
        f'height="{card.height:.1f}" rx="{round_:.0f}"/>'
    ]
    if card.style.startswith("leaf"):
        left, right = left + 6, right - 6
    for place_, text in enumerate(card.lines[:-1]):
        kind = "quiet" if place_ else "title"
        parts.append(f'<text class="{kind}" x="{left:.1f}" y="{line + 18 * place_:.1f}">{escaped(text)}</text>')
    below = line + 18 * (len(card.lines) - 1)
    parts.append(f'<text class="value" x="{left:.1f}" y="{below:.1f}">{escaped(card.value)}</text>')
    if card.gradient:
        parts.append(
            f'<text class="gradient" x="{right:.1f}" y="{below:.1f}" text-anchor="end">'
            f"∇ {escaped(card.gradient)}</text>"
        )
    if card.met:
        parts.append(
            f'<rect class="met" x="{right - 16:.1f}" y="{card.y - 9:.1f}" width="34" height="18" rx="9"/>'
            f'<text class="gradient" x="{right + 1:.1f}" y="{card.y + 4.5:.1f}" text-anchor="middle">'
            f"Σ {card.met}</text>"
        )
    return "".join(parts)
