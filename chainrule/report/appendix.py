"""The page's lower half: text, tokenizer, machine, settings, events, and how to go on."""

import shlex
from collections.abc import Mapping
from itertools import groupby

from chainrule.base import bytes_text, count_text, duration_text
from chainrule.report.sections import section
from chainrule.report.settings import Setting, read_settings
from chainrule.run import Facts, Row
from chainrule.show import Html, join, rows, tag
from chainrule.verdict import removed

MOST_SOURCES = 20


def data(facts: Facts) -> Html | None:
    """The report of the data preparation and of the tokenizer, warnings first."""
    report = facts.data
    if not report:
        return None
    warned = [*(report.get("warnings") or ()), *(facts.tokenizer.get("warnings") or ())]
    warnings = [tag("li", tag("b", "!", class_="bad"), tag("span", warning)) for warning in warned]
    warnings += [tag("li", tag("b", "·"), tag("span", note)) for note in report.get("notes") or ()]
    return section(
        "data",
        "Text and tokenizer",
        tag("ul", join(warnings), class_="findings") if warnings else None,
        tag("div", rows(_text_rows(report)), rows(_token_rows(facts)), class_="columns"),
        _sources(report.get("sources"), facts.summary.get("by_source")),
    )


def _text_rows(report: Row) -> list[tuple[object, object]]:
    without = [f"{count:,} {words}" for words, count in removed(report)]
    skipped = report.get("skipped_by") or {}
    return [
        ("files", _number(report.get("files"))),
        (
            "files passed over",
            ", ".join(f"{n:,} {kind}" for kind, n in skipped.items()) or _number(report.get("skipped")),
        ),
        ("documents kept", _number(report.get("documents"))),
        ("documents removed", ", ".join(without) or "none"),
        ("size kept", bytes_text(report["bytes"]) if "bytes" in report else None),
        ("longest document", _extreme(report.get("longest"))),
        ("shortest document", _extreme(report.get("shortest"))),
        ("encoding errors", _number(report.get("encoding_errors"))),
    ]


def _token_rows(facts: Facts) -> list[tuple[object, object]]:
    report, tokenizer, manifest = facts.data, facts.tokenizer, facts.manifest
    tokens, sizes = report.get("tokens") or {}, report.get("split_bytes") or {}
    unused, embedding = tokenizer.get("unused_share"), tokenizer.get("embedding_share")
    return [
        ("tokenizer", tokenizer.get("kind")),
        ("vocabulary", f"{manifest['vocab_size']:,} entries" if manifest.get("vocab_size") else None),
        ("bytes per token", f"{tokenizer['bytes_per_token']:.2f}" if tokenizer.get("bytes_per_token") else None),
        ("entries never used", None if unused is None else f"{unused:.1%}"),
        ("parameters in it", None if embedding is None else f"{embedding:.0%} of the model’s"),
        ("to train on", _tokens(tokens.get("train"), sizes.get("train"))),
        ("held out", _tokens(tokens.get("validation"), sizes.get("validation"))),
        ("held-out text copied", _copied(report.get("copied"))),
        ("the run reads the text", f"{report['epochs']:.2f} times" if report.get("epochs") else None),
        ("fingerprint", tag("code", str(manifest["fingerprint"])[:16], "…") if manifest.get("fingerprint") else None),
    ]


def _copied(found: object) -> str | None:
    """The share of held-out text that stands word for word in the training text."""
    if not isinstance(found, Mapping) or not isinstance(share := found.get("share"), int | float):
        return None
    return f"{share:.1%} stands word for word in the training text"


def _tokens(tokens: object, n_bytes: object) -> str | None:
    size = f", {bytes_text(n_bytes)}" if isinstance(n_bytes, int) else ""
    return f"{tokens:,} tokens{size}" if isinstance(tokens, int) else None


def _number(value: object) -> str | None:
    return f"{value:,}" if isinstance(value, int | float) else None


def _extreme(value: object) -> object:
    if not isinstance(value, Mapping):
        return _number(value)
    return join([bytes_text(value.get("bytes", 0)), " ", tag("small", value.get("file", ""))])


def _sources(sources: object, scores: object) -> Html | None:
    """Documents and size of each source, and how well the model knows its held-out text."""
    if not isinstance(sources, Mapping) or len(sources) < 2:
        return None
    known = scores if isinstance(scores, Mapping) else {}
    order = sorted(sources.items(), key=lambda item: -item[1].get("bytes") or 0)
    lines = [_source(name, row, known.get(name) or {}) for name, row in order[:MOST_SOURCES]]
    head = tag("tr", join(tag("th", word) for word in ("source", "documents", "size", "bits per held-out byte")))
    rest = f", the largest {MOST_SOURCES}" if len(order) > MOST_SOURCES else ""
    return _folded(f"{len(order):,} sources{rest}", tag("table", head, join(lines), class_="grid"))


def _source(name: str, row: Row, scored: Row) -> Html:
    bits = scored.get("bits_per_byte")
    cells = (
        f"{row.get('documents') or 0:,}",
        bytes_text(row.get("bytes") or 0),
        "–" if bits is None else f"{bits:.3f}",
    )
    return tag("tr", tag("th", name, scope="row"), join(tag("td", cell) for cell in cells))


def machine(facts: Facts) -> Html | None:
    """The machine, what it is capable of, and what the run made of it."""
    about, plan, summary = facts.machine, facts.plan, facts.summary
    if not about and not plan:
        return None
    peak, share = about.get("peak_flops"), summary.get("peak_share") or facts.last.get("peak_share")
    here = [
        ("processor", about.get("cpu")),
        ("cores, threads", f"{about.get('cores', '–')}, {about.get('threads', '–')}" if about.get("cores") else None),
        ("memory", bytes_text(about["memory_bytes"]) if about.get("memory_bytes") else None),
        ("device", about.get("device")),
        ("why this device", about.get("reason")),
        ("precision", join([about.get("precision"), " ", tag("small", about.get("precision_reason", ""))])),
        ("measured peak", f"{peak / 1e9:,.0f} GFLOP/s" if peak else None),
        ("torch", about.get("torch")),
    ]
    planned, took = plan.get("seconds"), summary.get("seconds") or facts.last.get("seconds")
    speed = summary.get("tokens_per_second") or facts.last.get("tokens_per_second")
    there = [
        ("architecture", plan.get("architecture")),
        ("parameters", _number(summary.get("parameters") or plan.get("parameters"))),
        ("steps", _number(plan.get("steps") or summary.get("steps"))),
        ("tokens per step", _number(plan.get("batch_tokens"))),
        ("FLOP per token", count_text(plan["flops_per_token"]) if plan.get("flops_per_token") else None),
        ("throughput", f"{speed:,.0f} tokens/s" if speed else None),
        ("share of the peak", f"{share:.0%}" if share else None),
        ("planned, taken", f"{duration_text(planned)}, {duration_text(took)}" if planned and took else None),
        ("with everything", duration_text(summary["total_seconds"]) if summary.get("total_seconds") else None),
    ]
    return section("machine", "The machine", tag("div", rows(here), rows(there), class_="columns"))


def settings(facts: Facts) -> Html | None:
    """Every setting with its value, where it came from and what it does; what was set is emphasised."""
    known = read_settings(facts.run.config)
    if not known:
        return None
    parts = []
    for name, group in groupby(known, key=lambda setting: setting.section):
        entries = list(group)
        given = sum(not entry.source.startswith(("default", "automatic")) for entry in entries)
        said = f"{name} · {given} of {len(entries)} set" if given else name
        parts.append(_folded(said, tag("table", join(map(_setting, entries)), class_="grid settings")))
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
        said = row.get("message") or ", ".join(f"{k} {v}" for k, v in row.items() if k not in {"time", "step"})
        step = f"step {row['step']:,}" if isinstance(row.get("step"), int) else ""
        lines.append(tag("tr", tag("td", row.get("time", "")), tag("td", step), tag("td", said)))
    return section("events", "What happened", tag("table", join(lines), class_="grid events"))


def going_on(facts: Facts) -> Html:
    """The command that makes this run again, and what can be done with it now."""
    run = shlex.quote(str(facts.run.path))
    again = str(facts.summary.get("command") or f"chainrule pretrain --config {shlex.quote(str(facts.run.config))}")
    steps = [
        ("Let it write", f"chainrule generate {run}"),
        ("Load it in transformers", f"chainrule export hf {run} out/"),
        ("Teach it your text", f"chainrule pretrain --from {run} my_texts/"),
    ]
    if facts.status in {"interrupted", "stopped", "unfinished"}:
        steps.insert(0, ("Go on where it stopped", f"chainrule pretrain --resume {run}"))
    versions = facts.summary.get("versions")
    used = ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, Mapping) else None
    return section(
        "next",
        "Again, and onwards",
        _command("This run, again", again),
        join(_command(*step) for step in steps),
        tag("p", "Made with ", used, ".", class_="note") if used else None,
    )


def _command(words: str, command: str) -> Html:
    copy = tag("button", "Copy", type="button", class_="copy")
    return tag("div", tag("span", words), tag("pre", command, tabindex="0"), copy, class_="command")


def _folded(title: str, content: Html) -> Html:
    return tag("details", tag("summary", title), tag("div", content, class_="scroll"))
