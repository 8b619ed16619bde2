"""The page's upper half: what the run is, how it went, what it writes, who it beats."""

from collections.abc import Iterable

from chainrule.base import bytes_text, count_text, duration_text
from chainrule.report.copied import Copied, CopiedSample
from chainrule.run import Facts, Sample
from chainrule.show import Html, join, tag
from chainrule.verdict import against_baselines, findings, known_baselines, scored

MOST_ROUNDS = 40
MOST_CHARACTERS = 1600
LONGEST_QUOTE = 90
PILLS = {"finished": "good", "running": "good", "interrupted": "note", "stopped": "bad"}
MARKS = {"good": "✓", "note": "→", "bad": "!"}


def section(key: str, title: str, *children: object, note: object = None) -> Html:
    """A part of the page with its heading and, below it, one quiet sentence."""
    heading = tag("h2", title, id=f"{key}-title")
    quiet = tag("p", note, class_="note") if note else None
    return tag("section", heading, quiet, *children, id=key, aria_labelledby=f"{key}-title")


def header(facts: Facts) -> Html:
    """Name, state, one sentence, and the figures that matter."""
    pill = tag("span", facts.status, class_=f"pill {PILLS.get(facts.status, 'note')}")
    theme = tag("button", "◐", id="theme", type="button", title="Light or dark", aria_label="Light or dark")
    return tag(
        "header",
        tag("div", tag("span", "chainrule"), theme, class_="top"),
        tag("h1", facts.run.name, " ", pill),
        tag("p", lead(facts), class_="lead"),
        tag("dl", join(_tile(*tile) for tile in _tiles(facts)), class_="tiles"),
    )


def lead(facts: Facts) -> str:
    """What was done, in one sentence made of what is known."""
    parameters = facts.summary.parameters or facts.plan.parameters
    size = f"A model of {count_text(parameters)} parameters" if parameters else "A model"
    text = facts.data.bytes
    running = facts.status == "running"
    verb = "is learning from" if running else "learnt from"
    about = f" {verb} {bytes_text(text)} of text" if text is not None else " was trained"
    seconds = facts.summary.seconds or facts.last.seconds
    time = f", {duration_text(seconds)} so far" if running else f" in {duration_text(seconds)}"
    where = facts.machine.cpu if facts.machine.device in {None, "cpu"} else facts.machine.device_name
    return f"{size}{about}{time if seconds else ''}{f', on {where}' if where else ''}."


def _tiles(facts: Facts) -> Iterable[tuple[str, str, str]]:
    bits, loss = facts.bits_per_byte, facts.held_out_loss
    perplexity = facts.summary.val_perplexity
    part = scored(facts.summary)
    said = f"of held-out text ({part}); less is better" if part else "of held-out text; less is better"
    yield "bits per byte", "–" if bits is None else f"{bits:.3f}", said
    note = f"perplexity {perplexity:.1f}" if perplexity else loss_unit(facts)
    yield "held-out loss", "–" if loss is None else f"{loss:.3f}", note
    tokens = facts.summary.tokens or facts.last.tokens
    steps = facts.summary.step or facts.last.step
    yield "tokens", count_text(tokens) if tokens else "–", f"{steps:,} steps" if steps else "no step yet"
    speed = facts.summary.tokens_per_second or facts.last.tokens_per_second
    peak = facts.summary.peak_share or facts.last.peak_share
    share = f"{peak:.0%} of the machine’s peak" if peak else "while training"
    yield "tokens per second", "–" if speed is None else count_text(speed), share
    for result in facts.summary.tasks:
        if result.share is not None:
            yield result.task, f"{result.share:.0%}", f"{result.right:,} of {result.n:,} {result.told}"


def loss_unit(facts: Facts) -> str:
    """What the loss is counted in: of preferences, in a unit of its own."""
    judged = facts.tuning is not None and facts.tuning.objective != "answers"
    return "of the preferences" if judged else "nats per token"


def _tile(name: str, value: str, note: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", value, tag("small", note)))


def learning(facts: Facts) -> Html:
    """Findings and charts; the charts are drawn by the page's script from the figures in the page."""
    found = [tag("li", tag("b", MARKS[f.mark], class_=f.mark), tag("span", f.text)) for f in findings(facts)]
    axes = [("step", "Steps"), ("tokens", "Tokens"), ("seconds", "Time")]
    scales = [("zoom", "Zoom"), ("all", "All"), ("log", "Log")]
    charts = [
        ("loss", f"Loss, {loss_unit(facts)}", "wide"),
        ("bits", "Bits per held-out byte", "wide"),
        ("lr", "Learning rate", ""),
        ("grad_norm", "Gradient norm", ""),
        ("tokens_per_second", "Tokens per second", ""),
    ]
    return section(
        "learning",
        "How it learnt",
        tag("ul", join(found), class_="findings") if found else None,
        tag("div", _switch("axis", "Horizontal axis", axes), _switch("scale", "Scale", scales), class_="switches"),
        tag("div", join(chart(*one) for one in charts), class_="charts"),
        tag("noscript", tag("p", "The curves need the page’s own script, which this browser does not run.")),
    )


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


def samples(facts: Facts) -> Html | None:
    """What the model wrote at each round, one round visible at a time."""
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
        note="The same prompts, all through the run: drag the slider to watch words form.",
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
    cut = written[:MOST_CHARACTERS] + ("…" if len(written) > MOST_CHARACTERS else "")
    return tag("pre", tag("b", prompt), cut, tabindex="0")


def baselines(facts: Facts) -> Html | None:
    """The model among the baselines, as bars of bits per byte."""
    known = known_baselines(facts.baselines)
    if not known or facts.bits_per_byte is None:
        return None
    bars = sorted([*known.items(), ("this model", facts.bits_per_byte)], key=lambda bar: -bar[1])
    lines = [_bar(words, value, bars[0][1]) for words, value in bars]
    cap = ""
    if facts.baselines.whole is False:
        sizes = [bytes_text(size or 0) for size in (facts.baselines.train_bytes, facts.baselines.held_out_bytes)]
        cap = f" The baselines were measured on evenly spread pieces: {sizes[0]} to learn from, {sizes[1]} held out."
    return section(
        "baselines",
        "Against honest baselines",
        tag("p", against_baselines(facts.bits_per_byte, facts.baselines), class_="verdict"),
        tag("table", join(lines), class_="bars"),
        _forgetting(facts),
        note=f"Bits that each needs for one byte of the same held-out text; less is better.{cap}",
    )


def _forgetting(facts: Facts) -> Html | None:
    """For a run that went on from another model: bits per byte of new and old held-out text, before and after."""
    pairs = (("the new text", facts.summary.new), ("the old text", facts.summary.old))
    said = [f"{words} {pair.before:.3f} → {pair.after:.3f}" for words, pair in pairs if pair]
    return tag("p", f"Before and after this run: {', '.join(said)}.", class_="verdict") if said else None


def _bar(words: str, value: float, most: float) -> Html:
    rect = tag("rect", width=f"{100 * value / most:.2f}%", height="100%", rx="3")
    picture = tag("svg", rect, height="14", width="100%", aria_hidden="true")
    own = "own" if words == "this model" else None
    cells = (tag("th", words, scope="row"), tag("td", f"{value:.3f}"), tag("td", picture, class_="bar"))
    return tag("tr", *cells, class_=own)


def copying(copied: Copied) -> Html:
    """The last samples with what stands word for word in the training text marked."""
    title = "Is it copied?"
    if copied.why_not:
        return section("copying", title, tag("p", copied.why_not))
    order = sorted(copied.samples, key=lambda sample: (-sample.copy.share, -sample.copy.length))
    longest = max(order, key=lambda sample: sample.copy.length)
    searched = f"{count_text(copied.searched_tokens)} training tokens"
    searched = f"all {searched}" if copied.whole else f"the first {searched}"
    match = f"the longest match is {longest.copy.length} tokens" if longest.copy.length else "no match is worth naming"
    said = (
        f"{copied.share:.1%} of the last samples lie in runs of at least {copied.min_run} tokens that stand word for "
        f"word in the training text; {match}."
    )
    return section(
        "copying",
        title,
        tag("p", said, class_="verdict"),
        tag("div", join(_copied(sample) for sample in order), class_="copies"),
        note=f"Each of the last samples was compared exactly with {searched}; copied runs are marked.",
    )


def _copied(sample: CopiedSample) -> Html:
    text = join(tag("mark", piece) if marked else piece for piece, marked in sample.stretches)
    place = f", in {sample.source}" if sample.source else ""
    match = f"longest match {sample.copy.length} tokens{place}: " if sample.copy.length else "no match worth naming"
    quote = tag("q", sample.longest.strip()[:LONGEST_QUOTE]) if sample.copy.length else None
    caption = tag("figcaption", tag("b", f"{sample.copy.share:.0%} copied"), " · ", match, quote)
    return tag("figure", tag("pre", text, tabindex="0"), caption, class_="copied")
