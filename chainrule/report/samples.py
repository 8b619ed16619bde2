"""What the model wrote at each round, one round visible at a time."""

from chainrule.report.sections import section
from chainrule.run import Facts, Sample
from chainrule.show import Html, join, tag

MOST_ROUNDS = 40
MOST_CHARACTERS = 1600


def samples(facts: Facts) -> Html | None:
    """The rounds with a slider over them; None where nothing was written."""
    rounds: dict[int, list[Sample]] = {}
    for row in facts.samples:
        rounds.setdefault(row.step, []).append(row)
    if not rounds:
        return None
    steps = sorted(rounds)
    if len(steps) > MOST_ROUNDS:
        steps = [steps[i * (len(steps) - 1) // (MOST_ROUNDS - 1)] for i in range(MOST_ROUNDS)]
    last = len(steps) - 1
    slider = tag("input", type="range", id="round", min=0, max=last, value=last, aria_label="Step of the samples")
    play = tag("button", "▶", type="button", id="play", title="Play", aria_label="Play from the beginning")
    shown = tag("output", f"step {steps[-1]:,}", id="round-step", for_="round")
    parts = [_round(step, rounds[step], hidden=step != steps[-1]) for step in steps]
    return section(
        "samples",
        "What it writes",
        tag("div", play, slider, shown, class_="slider") if last else None,
        *parts,
        _quality(facts),
        note="The same prompts, all through the run: drag the slider to watch words form." if last else None,
    )


def _quality(facts: Facts) -> Html | None:
    """What can be told of the completions without an opinion, beside held-out text of the same length."""
    own = facts.summary.quality
    people = own.held_out if own else None
    if own is None or people is None:
        return None
    words = {
        "known_words": "of the words are words of the training text",
        "repeated_runs": "of the runs of four words stood there before",
        "with_an_end": "of the texts have a sentence that ends",
    }
    shares = {said: (getattr(own, key), getattr(people, key)) for key, said in words.items()}
    told = [f"{a:.0%} {said} ({b:.0%})" for said, (a, b) in shares.items() if a is not None and b is not None]
    said = f"Of the completions at the end, and in brackets of held-out text: {', '.join(told)}."
    return tag("p", said, class_="verdict") if told else None


def _round(step: int, rows: list[Sample], *, hidden: bool) -> Html:
    texts = [_written(row.prompt, row.text) for row in rows]
    return tag("div", join(texts), class_="round", data_step=step, hidden=hidden)


def _written(prompt: str, written: str) -> Html:
    """Prompt and text without the empty lines at their beginning: a prompt may be nothing but line breaks."""
    prompt = prompt.lstrip("\r\n")
    written = written if prompt else written.lstrip("\r\n")
    cut = written[:MOST_CHARACTERS] + ("…" if len(written) > MOST_CHARACTERS else "")
    return tag("pre", tag("b", prompt) if prompt else None, cut, tabindex="0")
