"""The model card (README.md) of an exported model: what it is, what it was trained on, how well it does."""

from collections.abc import Iterator, Mapping

from chainrule.base import bytes_text, count_text, duration_text
from chainrule.checkpoint import OpenedModel
from chainrule.config import load_toml, resolve, to_toml
from chainrule.export.proof import ExportProof
from chainrule.run import (
    DataReport,
    RunFolder,
    Summary,
    read_manifest,
    read_summary,
    sealed_path,
)
from chainrule.show import markdown, printable
from chainrule.verdict import known_baselines, removed, task_words

SECTIONS = ("[model]", "[optimizer]", "[schedule]", "[training]")


def model_card(
    opened: OpenedModel, proof: ExportProof, run: RunFolder | None, *, library: str = "", use: str = ""
) -> str:
    """The card, in Hugging Face's Markdown with its YAML head; sections without facts are left out.

    `library` is what Hugging Face calls the tool that reads the folder, and `use` says how, in Markdown.
    """
    summary = read_summary(run) if run else Summary()
    report = read_manifest(run).report if run else None
    name = run.name if run else proof.folder.name
    parts = [
        *_head(library),
        f"# {markdown(name)}",
        "",
        *_model(opened),
        *_use(use),
        *_spoken_to(opened),
        *_metrics(summary),
        *_data(report),
        *_proof(opened, proof),
    ]
    parts += _settings(run) if run else []
    return "\n".join(parts)


def _head(library: str) -> Iterator[str]:
    yield "---"
    if library:
        yield f"library_name: {library}"
    yield from ("pipeline_tag: text-generation", "tags: [chainrule]", "---", "")


def _model(opened: OpenedModel) -> Iterator[str]:
    config = opened.config
    n_parameters = sum(parameter.numel() for parameter in opened.model.parameters())
    yield f"A language model of {count_text(n_parameters)} parameters ({n_parameters:,}), trained with chainrule."
    yield ""
    yield from _table(
        {
            "Architecture": config.architecture,
            "Layers, width": f"{config.n_layers}, {config.emb_dim}",
            "Heads, of them with own keys": f"{config.n_heads}, {config.n_kv_heads}",
            "Context": f"{config.context_length:,} tokens",
            "Vocabulary": f"{opened.tokenizer.vocab_size:,} entries ({opened.tokenizer.kind})",
        }
    )


def _use(use: str) -> Iterator[str]:
    if use:
        yield from ("## Use", "", use, "")


def _spoken_to(opened: OpenedModel) -> Iterator[str]:
    """What a base model is not, or how a conversation is written for one that has a template."""
    if opened.template is None:
        yield from ("It continues text; it was not trained to follow instructions or to tell the truth.", "")
        return
    ends = [word for word, number in opened.template.words.items() if number in opened.template.stop]
    text = opened.template.render([{"role": "user", "content": "Is it raining?"}], reply=True)
    yield from ("## How it is spoken to", "")
    yield (
        "A conversation is written by the chat template that lies in the folder; an answer is over at "
        f"{' or '.join(f'<code>{markdown(word)}</code>' for word in ends)}. A question reaches the model as"
    )
    # Indented, it is text to every reader of Markdown, whatever it says.
    yield from ("", *(f"    {printable(line)}" for line in text.split("\n")), "")
    yield from ("It was not trained to tell the truth.", "")


def _metrics(summary: Summary) -> Iterator[str]:
    if summary.val_loss is None:
        return
    rows = {"Held-out loss": f"{summary.val_loss:.4f} nats per token"}
    if summary.val_perplexity is not None:
        rows["Held-out perplexity"] = f"{summary.val_perplexity:.2f}"
    if summary.val_bits_per_byte is not None:
        rows["Held-out bits per byte"] = f"{summary.val_bits_per_byte:.4f}"
    known = known_baselines(summary.baselines)
    rows |= {f"{words}, bits per byte": f"{bits:.4f}" for words, bits in known.items()}
    rows |= {f"Task {result.task}": task_words(result) for result in summary.tasks}
    if summary.tokens is not None and summary.seconds is not None:
        rows["Trained on"] = f"{summary.tokens:,} tokens in {duration_text(summary.seconds)}"
    yield from ("## How good it is", "", *_table(rows))


def _data(report: DataReport | None) -> Iterator[str]:
    if report is None:
        return
    counts = {"Files": report.files, "Documents": report.documents}
    rows = {words: f"{count:,}" for words, count in counts.items() if count is not None}
    if without := removed(report):
        rows["Left out"] = ", ".join(f"{count:,} {words}" for words, count in without)
    if report.bytes is not None:
        rows["Text"] = bytes_text(report.bytes)
    if report.tokens:
        rows["Tokens"] = ", ".join(f"{side} {count:,}" for side, count in report.tokens.items())
    yield from ("## What it was trained on", "", *_table(rows))


def _proof(opened: OpenedModel, proof: ExportProof) -> Iterator[str]:
    yield from ("## Proof of the export", "")
    yield (
        f"{proof.read_by} ({proof.architecture}) read this folder: {proof.n_logits:,} logits over {proof.n_sequences} "
        f"texts differ from the trained model's by at most {proof.largest_difference:.1e} (the largest logit is "
        f"{proof.largest_logit:.1f}), and {proof.n_greedy_tokens} tokens of greedy text are equal."
    )
    if proof.rounding_difference:
        yield (
            f"The trained model is meant with its weights rounded as this format rounds them, which changes a logit of "
            f"those texts by at most {proof.rounding_difference:.1e}."
        )
    if opened.step is not None:
        yield f"The weights are those of step {opened.step}."
    yield ""


def _settings(run: RunFolder) -> Iterator[str]:
    """What shaped the training; the section on the text is left out, because its paths are nobody else's business."""
    sections = to_toml(resolve([load_toml(sealed_path(run, run.config))]).config).split("\n\n")
    shown = [text.strip() for text in sections if text.strip().startswith(SECTIONS)]
    # Indented, it is code to every reader of Markdown, whatever stands in it.
    lines = "\n\n".join(shown).split("\n")
    yield from ("## Configuration", "", *(f"    {printable(line)}".rstrip() for line in lines), "")


def _table(rows: Mapping[str, str]) -> Iterator[str]:
    yield from ("| | |", "|---|---|")
    yield from (f"| {markdown(name)} | {markdown(value)} |" for name, value in rows.items())
    yield ""
