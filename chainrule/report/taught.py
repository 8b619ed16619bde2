"""The page's part on fine-tuning: the first examples with what of them counts, and what was looked at on the way."""

from collections.abc import Sequence

from chainrule.base import count_text
from chainrule.report.sections import chart, section
from chainrule.run import Facts, ShownExample, Tuning
from chainrule.show import Html, join, tag
from chainrule.verdict import preference_words

MOST_CHARACTERS = 1600
OBJECTIVES = {
    "answers": "the answers of the examples",
    "dpo": "which of two answers is better (DPO)",
    "ipo": "which of two answers is better (IPO)",
    "orpo": "which of two answers is better, and the better one itself (ORPO)",
    "simpo": "which of two answers is better (SimPO)",
    "kto": "which answers are good (KTO)",
}


def taught(facts: Facts) -> Html | None:
    """What was taught and how it went; None for a run of pretraining."""
    if facts.tuning is None:
        return None
    charts = [
        ("answers", "Held-out questions, share of answers", facts.answers and facts.answers[-1].exact is not None),
        ("base", "Bits per byte of base text", any(row.base_bits_per_byte is not None for row in facts.answers)),
        ("margin", "Margin of chosen over rejected, nats", bool(facts.preferences)),
        ("judged", "Log-probability of an answer, nats per token", bool(facts.preferences)),
    ]
    drawn = [chart(key, title, "") for key, title, there in charts if there]
    last = facts.preferences[-1] if facts.preferences else None
    return section(
        "taught",
        "What it was taught",
        tag("p", preference_words(last), class_="verdict") if last else None,
        tag("div", join(drawn), class_="charts") if drawn else None,
        _examples(facts.examples),
        note=_sentence(facts.tuning),
    )


def _sentence(tuning: Tuning) -> str:
    """How much of what, and what of the model learnt it."""
    what = OBJECTIVES.get(tuning.objective, tuning.objective)
    lora = tuning.lora
    kind = "" if lora is None else ("DoRA" if lora.dora else "LoRA") + f" of rank {lora.rank}"
    who = "All weights" if lora is None else f"An adapter ({kind}) around weights that stay"
    replay = f", {tuning.replay:.0%} of them of base text" if tuning.replay else ""
    return (
        f"{who} learnt {what}: {tuning.n_train:,} examples, {count_text(tuning.trained_tokens)} tokens that "
        f"count{replay}; {tuning.n_held_out:,} examples were held out. Begun from {tuning.source}."
    )


def _examples(examples: Sequence[ShownExample]) -> Html | None:
    if not examples:
        return None
    marks = tag("mark", "what is learnt"), " and ", tag("span", "what is only read", class_="read")
    legend = tag("p", "The first examples, from the tensors themselves: ", *marks, ".")
    return tag("div", legend, join(_example(one) for one in examples), class_="examples")


def _example(example: ShownExample) -> Html:
    left, parts = MOST_CHARACTERS, list[Html]()
    for span in example.spans:
        text = span.text[:left]
        left -= len(text)
        parts.append(tag("mark", text) if span.learnt else tag("span", text, class_="read"))
    kind = None if example.good else tag("figcaption", tag("b", "rejected"), ": made less likely")
    return tag("figure", tag("pre", join(parts), "…" if left <= 0 else "", tabindex="0"), kind, class_="copied")
