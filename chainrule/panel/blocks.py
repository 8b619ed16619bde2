"""The short blocks before and after the live panel: machine, plan, tokenizer, data; result and what to type next."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from chainrule.base import bytes_text, count_text, duration_text, ratio_text
from chainrule.panel.layout import rows_table, sample_text
from chainrule.run import (
    AnswersRow,
    Baselines,
    DataReport,
    Event,
    Machine,
    Plan,
    PreferenceRow,
    Record,
    RunFolder,
    Summary,
    TokenizerFacts,
    read_tuning,
)
from chainrule.show import number, percent, printable
from chainrule.verdict import (
    against_baselines,
    judge_forgetting,
    known_baselines,
    more_time,
    preference_words,
    removed,
    scored,
    skipped_words,
    task_words,
)

LONGEST_BAR = 24
COMPLETION_LINES = 8


def block(record: Record, *, again: bool = False) -> RenderableType | None:
    """The block of a machine, a plan, a tokenizer, a data report or an event; None for the others."""
    lines = sentences(record, again=again)
    if not lines:
        return None
    table = rows_table()
    for label, sentence, warning in lines:
        table.add_row(label, Text(printable(sentence), style="yellow" if warning else ""))
    return table


def sentences(record: Record, *, again: bool = False) -> list[tuple[str, str, bool]]:
    """What a record says, as (label, sentence, is a warning); empty for figures.

    Of a plan that is told `again`, after a step was tried, only what can have changed.
    """
    match record:
        case Machine():
            return _plainly(_machine(record)) + _warned(record.warnings)
        case Plan():
            return _plainly(_plan(record)[1:] if again else _plan(record))
        case TokenizerFacts():
            return _plainly(_tokenizer(record)) + _warned(record.warnings)
        case DataReport():
            notes = [("note", note) for note in record.notes]
            return _plainly([*_data(record), *notes]) + _warned(record.warnings)
        case AnswersRow():
            return _plainly([("answers", _answers(record))])
        case PreferenceRow():
            return _plainly([("preferences", preference_words(record))])
        case Event():
            return [("note", record.message, True)]
    return []


def _plainly(lines: Sequence[tuple[str, str]]) -> list[tuple[str, str, bool]]:
    return [(label, sentence, False) for label, sentence in lines]


def _warned(warnings: Sequence[str]) -> list[tuple[str, str, bool]]:
    return [("warning", warning, True) for warning in warnings]


def _answers(row: AnswersRow) -> str:
    said = [] if row.exact is None else [f"{row.exact:.0%} of {row.n} held-out ones exact"]
    said += [] if row.stopped is None else [f"{row.stopped:.0%} end by themselves"]
    said += [] if row.mean_tokens is None else [f"{row.mean_tokens:.0f} tokens on average"]
    said += [] if row.base_bits_per_byte is None else [f"base text at {row.base_bits_per_byte:.4f} bits per byte"]
    return f"step {row.step}: " + ", ".join(said or ["nothing was asked"])


def _machine(machine: Machine) -> list[tuple[str, str]]:
    speed = f"{machine.peak_flops / 1e9:,.0f} GFLOP/s measured in " if machine.peak_flops else ""
    memory = f", {bytes_text(machine.memory_bytes)} of memory" if machine.memory_bytes else ""
    threads = f", {machine.threads} threads" if machine.threads else ""
    cores = f"{machine.cores or '?'} {'core' if machine.cores == 1 else 'cores'}"
    return [
        ("machine", f"{machine.cpu or 'unknown processor'}, {cores}{threads}{memory}"),
        ("device", f"{machine.device}: {machine.reason}"),
        ("speed", f"{speed}{machine.precision}, torch {machine.torch or '?'}"),
        *([("kernels", f"{machine.kernels}: {machine.kernels_reason}")] if machine.kernels else []),
    ]


def _plan(plan: Plan) -> list[tuple[str, str]]:
    time = f", about {duration_text(plan.seconds)}" if plan.seconds else ""
    memory = f", {bytes_text(plan.memory_bytes)} of memory" if plan.memory_bytes else ""
    tokens = f"{count_text(plan.batch_tokens or 0)} = {count_text(plan.tokens or 0)} tokens"
    return [
        ("model", f"{plan.architecture or 'gpt'}, {plan.parameters or 0:,} parameters{memory}"),
        ("plan", f"{plan.steps or 0:,} steps of {tokens}{time}"),
    ]


def _tokenizer(about: TokenizerFacts) -> list[tuple[str, str]]:
    rest = f", {percent(about.unused_share)} of them unused" if about.unused_share is not None else ""
    per_token = f": {about.bytes_per_token:.2f} bytes per token" if about.bytes_per_token else ""
    return [("tokenizer", f"{about.kind}, {about.vocab_size or 0:,} entries{rest}{per_token}")]


def _data(report: DataReport) -> list[tuple[str, str]]:
    without = [f"{count:,} {words}" for words, count in removed(report)]
    split = ", ".join(f"{count_text(n)} {_SPLITS.get(name, name)}" for name, n in report.tokens.items())
    epochs = f"; the run sees the text {ratio_text(report.epochs)} times" if report.epochs else ""
    size = bytes_text(report.bytes or 0)
    text = f"{report.documents or 0:,} documents from {report.files or 0:,} files, {size}"
    parts = [text, *([f"left out: {', '.join(without)}"] if without else [])]
    lines = [("data", "; ".join([*parts, *([skipped_words(report)] if report.skipped else [])]))]
    return lines + ([("tokens", split + epochs)] if split else [])


_SPLITS = {"train": "to train on", "validation": "held out"}


def result(summary: Summary, report: str | None, run: str | None, width: int = 80) -> RenderableType:
    """The end of a run: what it writes, the model among the baselines, the verdict, what to type next.

    What a person must not miss stands last, where the eye is when the terminal has scrolled.
    """
    parts: list[RenderableType] = [Rule(Text(headline(summary), style="bold"), style="green", align="left")]
    written = rows_table()
    for completion in summary.completions[:3]:
        text = sample_text(completion.prompt, completion.text.rstrip())
        written.add_row("it writes", Text("\n").join(text.split("\n")[:COMPLETION_LINES]))
    parts += [written, Text()] if summary.completions else []
    if summary.val_bits_per_byte is not None:
        parts += [Text("bits per byte of the held-out text; less is better", style="dim")]
        parts += _ladder(summary.val_bits_per_byte, summary.baselines, width)
    table = rows_table()
    for label, sentence in measured(summary, run):
        table.add_row(label, Text(printable(sentence)))
    for label, sentence in what_next(report, run):
        table.add_row(label, Text(printable(sentence)))
    return Group(*parts, Text(), table)


def headline(summary: Summary) -> str:
    """How the run ended, where, and after how long."""
    status = summary.status or "finished"
    if summary.step is None:
        return f"{status} before the first step"
    return f"{status} at step {summary.step} after {duration_text(summary.seconds or 0)} of training"


def _ladder(bits: float, baselines: Baselines | None, width: int) -> list[Text]:
    rows = sorted([*known_baselines(baselines).items(), ("this model", bits)], key=lambda pair: -pair[1])
    label_width = max(len(label) for label, _ in rows)
    bar_width = max(4, min(LONGEST_BAR, width - label_width - 9))
    lines = []
    for label, value in rows:
        bar = "█" * max(1, round(bar_width * value / rows[0][1]))
        style = "bold green" if label == "this model" else "dim"
        lines.append(Text(f"{label:>{label_width}}  {value:.3f} {bar}", style=style, no_wrap=True))
    return lines


def measured(summary: Summary, run: str | None = None) -> list[tuple[str, str]]:
    """What the end of a run found, as (label, sentence); `run` is its folder, where that is known."""
    lines = []
    if summary.val_bits_per_byte is not None:
        lines.append(("verdict", against_baselines(summary.val_bits_per_byte, summary.baselines)))
        loss, perplexity = number(summary.val_loss), number(summary.val_perplexity, 1)
        part = f"; {words}" if (words := scored(summary)) else ""
        lines.append(("held out", f"loss {loss}, perplexity {perplexity}{part}"))
    if said := more_time(summary):
        lines.append(("more", said))
    for pair, words in ((summary.new, "new text"), (summary.old, "old text")):
        if pair:
            lines.append((words, f"{pair.before:.3f} bits per byte before, {pair.after:.3f} after"))
    if summary.old:
        tuning = read_tuning(RunFolder(Path(run))) if run else None
        lines.append(("forgetting", judge_forgetting(summary.old, tuning).text))
    lines += [("task", f"{result.task}: {task_words(result)}") for result in summary.tasks]
    if summary.n_skipped:
        lines.append(("skipped", f"non-finite numbers in {summary.n_skipped} of {summary.steps or '?'} steps"))
    return lines


def what_next(report: str | None, run: str | None) -> list[tuple[str, str]]:
    """Where the report is and what to type next, as (label, sentence)."""
    lines = [("report", report)] if report else []
    if run:
        # What was taught by examples is asked; what has only read is given a beginning.
        verb = "chat" if read_tuning(RunFolder(Path(run))) else "generate"
        lines += [("next", f"chainrule {verb} {run}"), ("or", f"chainrule export hf {run} out/")]
    return lines
