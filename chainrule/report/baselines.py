"""The model among what needs no model and among other models, as bars of bits per byte; and what such a bit is."""

from chainrule.base import bytes_text, count_text
from chainrule.report.sections import bars, section
from chainrule.run import Anchor, Facts
from chainrule.show import Html, tag
from chainrule.verdict import against_baselines, known_baselines

OWN = "this model"


def baselines(facts: Facts) -> Html | None:
    """The bars, and what they mean; None where nothing was measured beside the model."""
    bits, known = facts.bits_per_byte, known_baselines(facts.baselines)
    values = [*known.items(), *((anchor_name(one), one.bits_per_byte) for one in facts.anchors)]
    if not values or bits is None:
        return None
    lines = sorted([*values, (OWN, bits)], key=lambda line: -line[1])
    cap = ""
    if facts.baselines.whole is False:
        sizes = [bytes_text(size or 0) for size in (facts.baselines.train_bytes, facts.baselines.held_out_bytes)]
        cap = f" The baselines were measured on evenly spread pieces: {sizes[0]} to learn from, {sizes[1]} held out."
    return section(
        "baselines",
        "Against honest baselines",
        tag("p", against_baselines(bits, facts.baselines), class_="verdict") if known else None,
        bars([(words, value, f"{value:.3f}") for words, value in lines], OWN),
        *(tag("p", anchor_words(one, bits), class_="verdict") for one in facts.anchors),
        _before_and_after(facts),
        note=f"How many bits each needs, on average, for the next byte of the same held-out text; less is better. 8 is "
        f"pure chance, and 0 would be a text known by heart.{cap}",
    )


def anchor_name(anchor: Anchor) -> str:
    """`gpt2 (124M)`."""
    return f"{anchor.name} ({count_text(anchor.parameters)})" if anchor.parameters else anchor.name


def anchor_words(anchor: Anchor, bits: float) -> str:
    """The other model against this one, and on how much of the text it was measured."""
    share = abs(anchor.bits_per_byte - bits) / max(anchor.bits_per_byte, bits)
    how = (
        "as many bits as"
        if share < 0.0005
        else f"{share:.1%} {'more' if anchor.bits_per_byte > bits else 'fewer'} than"
    )
    part = "all" if anchor.n_bytes == anchor.of_bytes else "evenly spread windows"
    sizes = f", {bytes_text(anchor.n_bytes)}" if anchor.n_bytes else ""
    about = f" ({anchor.how})" if anchor.how else ""
    name = anchor_name(anchor)
    return f"{name} needs {how} this model, on {part} of the same held-out text{sizes}{about}."


def _before_and_after(facts: Facts) -> Html | None:
    """For a run that went on from another model: bits per byte of new and old held-out text, before and after."""
    pairs = (("the new text", facts.summary.new), ("the old text", facts.summary.old))
    said = [f"{words} {pair.before:.3f} → {pair.after:.3f}" for words, pair in pairs if pair]
    return tag("p", f"Before and after this run: {', '.join(said)}.", class_="verdict") if said else None
