"""The short blocks before and after the live panel: machine, plan, tokenizer, data; result and what to type next."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from chainrule.base import bytes_text, count_text, duration_text
from chainrule.panel.layout import rows_table, sample_text
from chainrule.show import number, percent, printable
from chainrule.verdict import BASELINE_NAMES, against_baselines, more_time, removed, scored

Row = Mapping[str, Any]
LONGEST_BAR = 24
COMPLETION_LINES = 12


def block(kind: str, row: Row) -> RenderableType | None:
    """The block of a row of kind machine, plan, tokenizer, data, notice; None for the other kinds."""
    lines = sentences(kind, row)
    if not lines:
        return None
    table = rows_table()
    for label, sentence, warning in lines:
        table.add_row(label, Text(printable(sentence), style="yellow" if warning else ""))
    return table


def sentences(kind: str, row: Row) -> list[tuple[str, str, bool]]:
    """What a row says, as (label, sentence, is a warning); empty for kinds that are figures."""
    if kind not in WORDS:
        return []
    warnings = [("warning", str(warning), True) for warning in row.get("warnings", ())]
    notes = [("note", str(note), False) for note in row.get("notes", ())]
    return [(label, sentence, kind == "notice") for label, sentence in WORDS[kind](row)] + notes + warnings


def _machine(row: Row) -> list[tuple[str, str]]:
    peak = row.get("peak_flops")
    speed = f"{peak / 1e9:,.0f} GFLOP/s measured in " if peak else ""
    memory = f", {bytes_text(row['memory_bytes'])} of memory" if row.get("memory_bytes") else ""
    threads = f", {row['threads']} threads" if row.get("threads") else ""
    cores = row.get("cores", "?")
    return [
        (
            "machine",
            f"{row.get('cpu', 'unknown processor')}, {cores} {'core' if cores == 1 else 'cores'}{threads}{memory}",
        ),
        ("device", f"{row.get('device')}: {row.get('reason')}"),
        ("speed", f"{speed}{row.get('precision')}, torch {row.get('torch', '?')}"),
    ]


def _plan(row: Row) -> list[tuple[str, str]]:
    time = f", about {duration_text(row['seconds'])}" if row.get("seconds") else ""
    memory = f", {bytes_text(row['memory_bytes'])} of memory" if row.get("memory_bytes") else ""
    steps = f"{row['steps']:,} steps of {count_text(row['batch_tokens'])} = {count_text(row['tokens'])} tokens"
    return [
        ("model", f"{row.get('architecture', 'gpt')}, {row['parameters']:,} parameters{memory}"),
        ("plan", f"{steps}{time}"),
    ]


def _measured_plan(row: Row) -> list[tuple[str, str]]:
    """The second plan of a run, after a step was tried: only what can have changed."""
    return _plan(row)[1:]


def _tokenizer(row: Row) -> list[tuple[str, str]]:
    unused = row.get("unused_share")
    rest = f", {percent(unused)} of them unused" if unused is not None else ""
    time = f", in {duration_text(row['seconds'])}" if row.get("seconds") is not None else ""
    per_token = f": {row['bytes_per_token']:.2f} bytes per token" if row.get("bytes_per_token") else ""
    return [("tokenizer", f"{row.get('kind')}, {row.get('vocab_size', 0):,} entries{rest}{per_token}{time}")]


def _data(row: Row) -> list[tuple[str, str]]:
    without = [f"{count:,} {words}" for words, count in removed(row)]
    if row.get("skipped"):
        without.append(f"{row['skipped']:,} files that were passed over")
    tokens = row.get("tokens", {})
    split = ""
    if isinstance(tokens, Mapping):
        split = ", ".join(f"{count_text(n)} {_SPLITS.get(name, name)}" for name, n in tokens.items())
    epochs = f"; the run sees the text {row['epochs']:.2g} times" if row.get("epochs") else ""
    size = _total(row.get("bytes", 0))
    text = f"{row.get('documents', 0):,} documents from {row.get('files', 0):,} files, {bytes_text(size)}"
    lines = [("data", text + (f"; left out: {', '.join(without)}" if without else ""))]
    return lines + ([("tokens", split + epochs)] if split else [])


_SPLITS = {"train": "to train on", "validation": "held out"}


def _total(value: Any) -> float:
    return sum(value.values()) if isinstance(value, Mapping) else value


def _notice(row: Row) -> list[tuple[str, str]]:
    return [("note", str(row.get("message", "")))]


WORDS = {
    "machine": _machine,
    "plan": _plan,
    "measured plan": _measured_plan,
    "tokenizer": _tokenizer,
    "data": _data,
    "notice": _notice,
}


def result(row: Row, report: str | None, run: str | None, width: int = 80) -> RenderableType:
    """The end of a run: the model among the baselines, functions that parse, completions, what to type next."""
    parts: list[RenderableType] = [Rule(Text(headline(row), style="bold"), style="green", align="left")]
    if row.get("val_bits_per_byte") is not None:
        parts += [Text("bits per byte of the held-out text; less is better", style="dim")]
        parts += _ladder(row["val_bits_per_byte"], row.get("baselines") or {}, width)
    table = rows_table()
    for label, sentence in measured(row):
        table.add_row(label, Text(printable(sentence)))
    for completion in list(row.get("completions") or ())[:3]:
        text = sample_text(str(completion["prompt"]), str(completion["text"]).rstrip())
        table.add_row("it writes", Text("\n").join(text.split("\n")[:COMPLETION_LINES]))
    for label, sentence in what_next(report, run):
        table.add_row(label, Text(printable(sentence)))
    return Group(*parts, Text(), table)


def headline(row: Row) -> str:
    """How the run ended, where, and after how long."""
    status = str(row.get("status", "finished"))
    if row.get("step") is None:
        return f"{status} before the first step"
    return f"{status} at step {row['step']} after {duration_text(row.get('seconds') or 0)} of training"


def _ladder(bits: float, baselines: Row, width: int) -> list[Text]:
    rows = sorted([*measured_baselines(baselines), ("this model", bits)], key=lambda pair: -pair[1])
    label_width = max(len(label) for label, _ in rows)
    bar_width = max(4, min(LONGEST_BAR, width - label_width - 9))
    lines = []
    for label, value in rows:
        bar = "█" * max(1, round(bar_width * value / rows[0][1]))
        style = "bold green" if label == "this model" else "dim"
        lines.append(Text(f"{label:>{label_width}}  {value:.3f} {bar}", style=style, no_wrap=True))
    return lines


def measured_baselines(baselines: Row) -> list[tuple[str, float]]:
    """Plain words and bits per byte of the baselines that were measured."""
    return [
        (words, float(baselines[name])) for name, words in BASELINE_NAMES.items() if baselines.get(name) is not None
    ]


def measured(row: Row) -> list[tuple[str, str]]:
    """What the end of a run found, as (label, sentence)."""
    lines = []
    if row.get("val_bits_per_byte") is not None:
        lines.append(("verdict", against_baselines(row["val_bits_per_byte"], row.get("baselines") or {})))
        loss, perplexity = number(row.get("val_loss")), number(row.get("val_perplexity"), 1)
        part = f"; {words}" if (words := scored(row)) else ""
        lines.append(("held out", f"loss {loss}, perplexity {perplexity}{part}"))
    if said := more_time(row):
        lines.append(("more", said))
    for name, words in (("new", "new text"), ("old", "old text")):
        if row.get(name):
            lines.append((words, f"{row[name]['before']:.3f} bits per byte before, {row[name]['after']:.3f} after"))
    python = row.get("python")
    if python and python.get("functions"):
        share = f"{python['parsed']} of {python['functions']} sampled functions ({percent(python['share'])})"
        lines.append(("Python", f"{share} parse"))
    if row.get("n_skipped"):
        lines.append(("skipped", f"non-finite numbers in {row['n_skipped']} of {row.get('steps', '?')} steps"))
    return lines


def what_next(report: str | None, run: str | None) -> list[tuple[str, str]]:
    """Where the report is and what to type next, as (label, sentence)."""
    lines = [("report", report)] if report else []
    if run:
        lines += [("next", f"chainrule generate {run}"), ("or", f"chainrule export hf {run} out/")]
    return lines
