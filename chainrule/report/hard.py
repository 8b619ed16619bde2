"""Which words are hard: held-out text coloured by how surprised the model was, and what looking back is worth."""

from collections.abc import Sequence

from chainrule.report.sections import bars, section
from chainrule.run import EvalRow, Facts, Surprise
from chainrule.show import Html, join, tag

# Nats of surprise at which a piece has the darkest of the shades; one in three thousand.
DARKEST, SHADES = 8.0, 9


def hard(facts: Facts) -> Html | None:
    """Stretches of text and the loss by place; None where neither is known."""
    text = [_stretch(one) for one in facts.surprise if one.pieces]
    places = _places(facts.looks)
    if not text and not places:
        return None
    legend = tag("span", "easily foreseen", class_="q1"), " to ", tag("span", "one in three thousand", class_="q9")
    return section(
        "hard",
        "Which words are hard",
        tag("p", _sentence(facts.surprise), class_="verdict") if text else None,
        tag("div", join(text), class_="stretches") if text else None,
        places,
        note=tag("span", "Held-out text, piece by piece, by how likely the model held it: from ", *legend, ".")
        if text
        else None,
    )


def _sentence(rows: Sequence[Surprise]) -> str:
    """How few pieces have half of the surprise."""
    nats = sorted((one for row in rows for one in row.nats if one is not None), reverse=True)
    total, held, count = sum(nats), 0.0, 0
    while count < len(nats) and held < total / 2:
        held += nats[count]
        count += 1
    return f"Half of all the surprise lies in the hardest {count / max(1, len(nats)):.0%} of the pieces."


def _stretch(row: Surprise) -> Html:
    pieces = [_piece(text, nats) for text, nats in zip(row.pieces, row.nats, strict=False)]
    caption = tag("figcaption", row.source) if row.source else None
    return tag("figure", tag("pre", join(pieces), tabindex="0"), caption, class_="stretch")


def _piece(text: str, nats: float | None) -> Html:
    shade = 0 if nats is None else min(SHADES, max(0, round(nats / DARKEST * SHADES)))
    return tag("i", text, class_=f"q{shade}" if shade else None, title="–" if nats is None else f"{nats:.2f} nats")


def _places(looks: Sequence[EvalRow]) -> Html | None:
    """The last loss by place in the context."""
    last = next((row for row in reversed(looks) if row.places), None)
    known = [] if last is None else _lines(last)
    if last is None or len(known) < 2:
        return None
    return tag(
        "div",
        tag("h3", "What looking back is worth"),
        tag("p", f"Loss (nats per token) by place in the context, at step {last.step:,}.", class_="note"),
        bars(known),
    )


def _lines(row: EvalRow) -> list[tuple[str, float, str]]:
    starts = [1, *(end + 1 for end in row.places)]
    return [
        (f"token {start:,}" if start == end else f"tokens {start:,} to {end:,}", loss, f"{loss:.3f}")
        for start, end, loss in zip(starts, row.places, row.place_losses, strict=False)
        if loss is not None
    ]
