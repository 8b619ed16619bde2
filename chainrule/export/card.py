"""The model card (README.md) of an exported model: what it is, what it was trained on, how well it does."""

from collections.abc import Iterator, Mapping
from typing import Any

from chainrule.base import bytes_text, count_text, duration_text
from chainrule.checkpoint import OpenedModel
from chainrule.config import load_toml, resolve, to_toml
from chainrule.export.proof import ExportProof
from chainrule.run import RunFolder, read_record
from chainrule.verdict import BASELINE_NAMES, removed

SECTIONS = ("[model]", "[optimizer]", "[schedule]", "[training]")


def model_card(opened: OpenedModel, proof: ExportProof, run: RunFolder | None) -> str:
    """The card, in Hugging Face's Markdown with its YAML head; sections without facts are left out."""
    summary = read_record(run.summary) if run else {}
    report = read_record(run.manifest).get("report") if run else None
    name = run.name if run else proof.folder.name
    parts = [
        _HEAD,
        f"# {name}",
        "",
        *_model(opened),
        *_use(),
        *_metrics(summary),
        *_data(report if isinstance(report, dict) else {}),
        *_proof(opened, proof),
    ]
    parts += _settings(run) if run else []
    return "\n".join(parts)


_HEAD = """---
library_name: transformers
pipeline_tag: text-generation
tags: [chainrule]
---
"""


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


def _use() -> Iterator[str]:
    yield from ("## Use", "", "```python", "from transformers import AutoModelForCausalLM, AutoTokenizer", "")
    yield 'model = AutoModelForCausalLM.from_pretrained("PATH_OF_THIS_FOLDER")'
    yield 'tokenizer = AutoTokenizer.from_pretrained("PATH_OF_THIS_FOLDER")'
    yield 'ids = tokenizer("Once upon a time", return_tensors="pt")'
    yield "print(tokenizer.decode(model.generate(**ids, max_new_tokens=50)[0]))"
    yield from ("```", "", "It continues text; it was not trained to follow instructions or to tell the truth.", "")


def _metrics(summary: Mapping[str, Any]) -> Iterator[str]:
    if summary.get("val_loss") is None:
        return
    rows = {"Held-out loss": f"{summary['val_loss']:.4f} nats per token"}
    if summary.get("val_perplexity") is not None:
        rows["Held-out perplexity"] = f"{summary['val_perplexity']:.2f}"
    if summary.get("val_bits_per_byte") is not None:
        rows["Held-out bits per byte"] = f"{summary['val_bits_per_byte']:.4f}"
    baselines = summary.get("baselines") or {}
    known = {words: baselines.get(name) for name, words in BASELINE_NAMES.items()}
    rows |= {f"{words}, bits per byte": f"{value:.4f}" for words, value in known.items() if value}
    if summary.get("tokens") is not None and summary.get("seconds") is not None:
        rows["Trained on"] = f"{summary['tokens']:,} tokens in {duration_text(summary['seconds'])}"
    yield from ("## How good it is", "", *_table(rows))


def _data(report: Mapping[str, Any]) -> Iterator[str]:
    if not report:
        return
    counts = {"Files": "files", "Documents": "documents"}
    rows = {words: f"{report[key]:,}" for words, key in counts.items() if report.get(key) is not None}
    if without := removed(report):
        rows["Left out"] = ", ".join(f"{count:,} {words}" for words, count in without)
    if report.get("bytes") is not None:
        rows["Text"] = bytes_text(report["bytes"])
    tokens = report.get("tokens")
    if isinstance(tokens, dict):
        sides = ((side, count) for side, count in tokens.items() if isinstance(count, int))
        rows["Tokens"] = ", ".join(f"{side} {count:,}" for side, count in sides)
    yield from ("## What it was trained on", "", *_table(rows))


def _proof(opened: OpenedModel, proof: ExportProof) -> Iterator[str]:
    yield from ("## Proof of the export", "")
    yield (
        f"transformers ({proof.architecture}) read this folder: {proof.n_logits:,} logits over {proof.n_sequences} "
        f"texts differ from the trained model's by at most {proof.largest_difference:.1e} (the largest logit is "
        f"{proof.largest_logit:.1f}), and {proof.n_greedy_tokens} tokens of greedy text are equal."
    )
    if opened.step is not None:
        yield f"The weights are those of step {opened.step}."
    yield ""


def _settings(run: RunFolder) -> Iterator[str]:
    """What shaped the training; the section on the text is left out, because its paths are nobody else's business."""
    sections = to_toml(resolve([load_toml(run.config)]).config).split("\n\n")
    shown = [text.strip() for text in sections if text.strip().startswith(SECTIONS)]
    yield from ("## Configuration", "", "```toml", "\n\n".join(shown), "```", "")


def _table(rows: Mapping[str, str]) -> Iterator[str]:
    yield from ("| | |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in rows.items())
    yield ""
