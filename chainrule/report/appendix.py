"""The page's lower half: text, tokenizer, machine, settings, events, and how to go on."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from chainrule.base import bytes_text, count_text, duration_text, ratio_text
from chainrule.report.sections import bars, folded, section
from chainrule.report.settings import Setting, read_settings
from chainrule.run import (
    Copied,
    DataReport,
    Extreme,
    Facts,
    Machine,
    PhasesRow,
    Plan,
    Removal,
    Scores,
    Source,
    as_sealed,
)
from chainrule.show import Html, join, percent, rows, tag
from chainrule.verdict import removed

MOST_SOURCES = 20
PHASES = {
    "step": "steps",
    "data": "reading text",
    "look": "looks at held-out text",
    "samples": "samples",
    "save": "checkpoints",
    "page": "this page",
}


def data(facts: Facts) -> Html | None:
    """The report of the data preparation and of the tokenizer, warnings first."""
    report = facts.data
    if report == DataReport():
        return None
    warned = [*report.warnings, *facts.tokenizer.warnings]
    warnings = [tag("li", tag("b", "!", class_="bad"), tag("span", warning)) for warning in warned]
    warnings += [tag("li", tag("b", "·"), tag("span", note)) for note in report.notes]
    return section(
        "data",
        "Text and tokenizer",
        tag("ul", join(warnings), class_="findings") if warnings else None,
        tag("div", rows(_text_rows(report)), rows(_token_rows(facts)), class_="columns"),
        _sources(report.sources, facts.summary.by_source),
        _removals(report.removals),
    )


def _text_rows(report: DataReport) -> list[tuple[object, object]]:
    without = [f"{count:,} {words}" for words, count in removed(report)]
    return [
        ("files", _number(report.files)),
        (
            "files passed over",
            ", ".join(f"{n:,} {kind}" for kind, n in report.skipped_by.items()) or _number(report.skipped),
        ),
        ("documents kept", _number(report.documents)),
        ("documents removed", ", ".join(without) or "none"),
        ("size kept", None if report.bytes is None else bytes_text(report.bytes)),
        ("longest document", _extreme(report.longest)),
        ("shortest document", _extreme(report.shortest)),
        ("encoding errors", _number(report.encoding_errors)),
        ("addresses masked", _number(report.masked or None)),
    ]


def _token_rows(facts: Facts) -> list[tuple[object, object]]:
    report, tokenizer, manifest = facts.data, facts.tokenizer, facts.manifest
    tokens, sizes = report.tokens, report.split_bytes
    unused, embedding = tokenizer.unused_share, tokenizer.embedding_share
    return [
        ("tokenizer", tokenizer.kind),
        ("vocabulary", f"{manifest.vocab_size:,} entries" if manifest.vocab_size else None),
        ("bytes per token", f"{tokenizer.bytes_per_token:.2f}" if tokenizer.bytes_per_token else None),
        ("entries never used", None if unused is None else f"{unused:.1%}"),
        ("parameters in it", None if embedding is None else f"{embedding:.0%} of the model’s"),
        ("to train on", _tokens(tokens.get("train"), sizes.get("train"))),
        ("held out", _tokens(tokens.get("validation"), sizes.get("validation"))),
        ("held-out text copied", _copied(report.copied)),
        ("the run reads the text", f"{ratio_text(report.epochs)} times" if report.epochs else None),
        ("fingerprint", tag("code", manifest.fingerprint[:16], "…") if manifest.fingerprint else None),
    ]


def _copied(found: Copied | None) -> str | None:
    """The share of held-out text that stands word for word in the training text."""
    if found is None or found.share is None:
        return None
    return f"{found.share:.1%} stands word for word in the training text"


def _tokens(tokens: int | None, n_bytes: int | None) -> str | None:
    size = "" if n_bytes is None else f", {bytes_text(n_bytes)}"
    return None if tokens is None else f"{tokens:,} tokens{size}"


def _number(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _extreme(value: Extreme | None) -> object:
    return None if value is None else join([bytes_text(value.bytes), " ", tag("small", value.file)])


def _sources(sources: Mapping[str, Source], scores: Mapping[str, Scores]) -> Html | None:
    """Documents and size of each source, and how well the model knows its held-out text."""
    if len(sources) < 2:
        return None
    order = sorted(sources.items(), key=lambda item: -item[1].bytes)
    lines = [_source(name, row, scores.get(name, Scores())) for name, row in order[:MOST_SOURCES]]
    head = tag("tr", join(tag("th", word) for word in ("source", "documents", "size", "bits per held-out byte")))
    rest = f", the largest {MOST_SOURCES}" if len(order) > MOST_SOURCES else ""
    return folded(f"{len(order):,} sources{rest}", tag("table", head, join(lines), class_="grid"))


def _removals(removals: Mapping[str, Removal]) -> Html | None:
    """What each rule and step removed, with the first documents of it."""
    if not removals:
        return None
    head = tag("tr", join(tag("th", word) for word in ("removed by", "documents", "such as")))
    lines = [
        tag("tr", tag("th", rule, scope="row"), tag("td", f"{one.documents:,}"), tag("td", _examples(one)))
        for rule, one in removals.items()
    ]
    return folded("What was removed, with examples", tag("table", head, join(lines), class_="grid"))


def _examples(removal: Removal) -> Html:
    return join(
        tag("div", tag("small", f"{one.file}: {one.found}"), tag("br") if one.begins else None, one.begins or None)
        for one in removal.examples
    )


def _source(name: str, row: Source, scored: Scores) -> Html:
    bits = scored.bits_per_byte
    cells = (f"{row.documents:,}", bytes_text(row.bytes), "–" if bits is None else f"{bits:.3f}")
    return tag("tr", tag("th", name, scope="row"), join(tag("td", cell) for cell in cells))


def machine(facts: Facts) -> Html | None:
    """The machine, what it is capable of, and what the run made of it."""
    about, plan, summary = facts.machine, facts.plan, facts.summary
    if about == Machine() and plan == Plan():
        return None
    peak, share = about.peak_flops, summary.peak_share or facts.last.peak_share
    here = [
        ("processor", about.cpu),
        ("cores, threads", f"{about.cores}, {about.threads or '–'}" if about.cores else None),
        ("memory", bytes_text(about.memory_bytes) if about.memory_bytes else None),
        ("device", about.device),
        ("why this device", about.reason),
        ("precision", join([about.precision, " ", tag("small", about.precision_reason or "")])),
        ("kernels", join([about.kernels, " ", tag("small", about.kernels_reason or "")]) if about.kernels else None),
        ("measured peak", f"{peak / 1e9:,.0f} GFLOP/s" if peak else None),
        ("torch", about.torch),
    ]
    planned, took = plan.seconds, summary.seconds or facts.last.seconds
    speed = summary.tokens_per_second or facts.last.tokens_per_second
    there = [
        ("architecture", plan.architecture),
        ("parameters", _number(summary.parameters or plan.parameters)),
        ("steps", _number(plan.steps or summary.steps)),
        ("tokens per step", _number(plan.batch_tokens)),
        ("FLOP per token", count_text(plan.flops_per_token) if plan.flops_per_token else None),
        ("throughput", f"{speed:,.0f} tokens/s" if speed else None),
        ("share of the peak", percent(share) if share else None),
        ("planned, taken", f"{duration_text(planned)}, {duration_text(took)}" if planned and took else None),
        ("with everything", duration_text(summary.total_seconds) if summary.total_seconds else None),
    ]
    return section(
        "machine", "The machine", tag("div", rows(here), rows(there), class_="columns"), _phases(facts.phases)
    )


def _phases(recorded: Sequence[PhasesRow]) -> Html | None:
    """What the time went into; nothing for a run that did not record it."""
    spent = dict.fromkeys(PHASES, 0.0)
    for row in recorded:
        for phase, seconds in row.spent.items():
            spent[phase] = spent.get(phase, 0.0) + seconds
    whole = sum(spent.values())
    lines = [
        (PHASES.get(phase, phase), seconds, f"{duration_text(seconds)}, {percent(seconds / whole)}")
        for phase, seconds in spent.items()
        if seconds > 0
    ]
    if not lines:
        return None
    return tag("div", tag("h3", "Where the time went, from the first step to the last look"), bars(lines))


def settings(facts: Facts) -> Html | None:
    """Every setting with its value, where it came from and what it does; what was set is emphasised."""
    path = as_sealed(facts.run, facts.run.config)
    known = read_settings(path) if path else []
    if not known:
        return None
    parts = []
    for name, group in groupby(known, key=lambda setting: setting.section):
        entries = list(group)
        given = sum(not entry.source.startswith(("default", "automatic")) for entry in entries)
        said = f"{name} · {given} of {len(entries)} set" if given else name
        parts.append(folded(said, tag("table", join(map(_setting, entries)), class_="grid settings")))
    return section("settings", "Settings", *parts, note="Each with its value, where it came from, and what it does.")


def _setting(entry: Setting) -> Html:
    written = (
        {True: "true", False: "false"}.get(entry.value, entry.value) if isinstance(entry.value, bool) else entry.value
    )
    cells = (
        tag("th", entry.key, scope="row"),
        tag("td", tag("code", written)),
        tag("td", entry.source, class_="source"),
        tag("td", entry.help, class_="help"),
    )
    return tag("tr", *cells, class_="default" if entry.source == "default" else None)


def events(facts: Facts) -> Html | None:
    """Starts, resumes, skipped steps and interruptions, oldest first."""
    if not facts.events:
        return None
    lines = []
    for row in facts.events:
        step = "" if row.step is None else f"step {row.step:,}"
        lines.append(tag("tr", tag("td", row.time), tag("td", step), tag("td", row.message)))
    return section("events", "What happened", tag("table", join(lines), class_="grid events"))
