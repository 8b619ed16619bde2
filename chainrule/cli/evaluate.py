"""`chainrule evaluate`: how surprised a model is by text, over all, by source and by document."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from chainrule.base import ConfigError
from chainrule.cli.flags import TextFlags, flag_layer
from chainrule.cli.generate import opened
from chainrule.cli.options import AsJson, Device, model_source
from chainrule.cli.output import print_json, print_table, say
from chainrule.config import resolve

if TYPE_CHECKING:
    from chainrule.checkpoint import OpenedModel
    from chainrule.evaluate import Scores

MOST_SHOWN = 200
Given = dict[str, Any]


def evaluate(
    source: str,
    /,
    *texts: str,
    by: Annotated[Literal["source", "document"], Parameter(show_default=False)] = "source",
    max_tokens: int | None = None,
    stride: int | None = None,
    micro_batch: int | None = None,
    precision: Literal["float32", "bfloat16"] | None = None,
    device: Device = None,
    as_json: AsJson = False,
    reading: TextFlags = None,
) -> None:
    """Measure loss, perplexity and bits per byte, of everything and by source or document.

    Without texts it is the run's own held-out text, scored as the run scored it at its end: the same figure to the last
    digit. With texts it is all of them, in the model's own tokens: each document alone behind one end-of-text, each of
    its tokens once, copies as often as they are there, and no end of text that is not in it.

    For example:

    - `chainrule evaluate runs/NAME`
    - `chainrule evaluate runs/NAME other_texts/ --stride 128`
    - `chainrule evaluate gpt2 my_texts/ --json`
    - `chainrule evaluate runs/NAME pairs.jsonl --text.field sentence_good --by document`

    Parameters
    ----------
    source
        A run folder, a checkpoint, a Hugging Face folder, or a name on the Hugging Face hub.
    texts
        Folders, files or globs of text.
    by
        What the figures are told by: source (the top files or folders), or document. Default: source.
    max_tokens
        Score at most so many, in windows spread evenly over the documents and within them.
    stride
        Tokens from one window to the next. Smaller gives each token more to look back on, and takes longer. Default:
        the context length; for the run's own text, as the run did.
    micro_batch
        Windows of one forward pass. Default: 8; for the run's own text, as the run did.
    precision
        Number format of matrix products. Default: float32; for the run's own text, as the run did.
    """
    given = {"max_tokens": max_tokens, "stride": stride, "micro_batch": micro_batch, "precision": precision}
    for name, value in given.items():
        if isinstance(value, int) and value < 1:
            raise ConfigError(f"{name}={value} measures nothing; use at least 1")
    asked = flag_layer(reading, {"text.paths": texts or None})
    if not texts and (asked.values or by == "document"):
        what = "--by document" if by == "document" else "--text.…"
        raise ConfigError(f"{what} is for texts that are named; {source}'s own held-out text is scored as one row")
    text = resolve([asked]).config.text
    model = opened(source, device)
    say(model.origin)
    told = _of_texts(model, text, given, by) if texts else _own(model, model_source(source), given)
    if as_json:
        print_json({"model": model.origin, **told})
        return
    rows = told.get("by_document") or [{"name": name, **figures} for name, figures in told["by_source"].items()]
    shown = [(row["name"], *_figures(row)) for row in rows] if len(rows) > 1 else []
    if len(shown) > MOST_SHOWN:
        say(f"the first {MOST_SHOWN} of {len(shown):,} documents; --json gives all")
    columns = (by, "bits/byte", "loss", "perplexity", "nats", "tokens", "bytes")
    print_table("", columns, [*shown[:MOST_SHOWN], ("everything", *_figures(told))])


def _of_texts(model: "OpenedModel", text: Any, given: Given, by: str) -> dict[str, Any]:
    """The figures of texts, and what was done with them."""
    import torch

    from chainrule.data import all_documents
    from chainrule.evaluate import encode_texts, score_documents

    left_out: list[str] = []
    texts = encode_texts(all_documents(text, left_out.append), model.tokenizer)
    for reason in islice(left_out, MOST_SHOWN):
        say(f"left out: {reason}")
    if len(left_out) > MOST_SHOWN:
        say(f"left out: {len(left_out) - MOST_SHOWN:,} more")
    limits = {key: given[key] for key in ("max_tokens", "stride")} | {"micro_batch": given["micro_batch"] or 8}
    autocast = torch.bfloat16 if given["precision"] == "bfloat16" else None
    found = score_documents(model.model, texts, model.tokenizer.byte_lengths, autocast=autocast, **limits)
    total, context = found.total, model.config.context_length
    used = {**limits, "stride": given["stride"] or context, "precision": given["precision"] or "float32"}
    empty = f"; {texts.n_empty:,} have no token" if texts.n_empty else ""
    say(
        f"{texts.n_documents:,} documents, each behind one end-of-text{empty}; "
        f"{total.n_tokens:,} of {len(texts.tokens) - texts.n_documents:,} tokens scored, {_windows(used, context)}"
    )
    told: dict[str, Any] = {**_told(total), "documents": texts.n_documents, "empty": texts.n_empty}
    told |= {"left_out": left_out, "scored": used}
    if by == "document":
        told["by_document"] = [{"name": name, **one.figures()} for name, one in found.by_document()]
    return told


def _own(model: "OpenedModel", source: str, given: Given) -> dict[str, Any]:
    """The figures of the run's own held-out text, beside those that it wrote down itself."""
    from chainrule.evaluate import held_out_text, own_scoring, run_beside

    run = run_beside(source)
    scoring, summary = own_scoring(run)
    used = replace(scoring, **{key: value for key, value in given.items() if value is not None})
    store = held_out_text(run, model)
    scores = used.of(model, store)
    how = _windows(used.row(), model.config.context_length)
    say(f"the run's own held-out text: {scores.n_tokens:,} of {store.n_tokens - 1:,} tokens scored, {how}")
    for line in _compared(model, scores, summary, used == scoring):
        say(line)
    return {**_told(scores), "scored": used.row()}


def _compared(model: "OpenedModel", scores: "Scores", summary: Given, as_scored: bool) -> Iterator[str]:
    """In what the figure is not the run's own, and why."""
    own = summary.get("val_bits_per_byte")
    if own is None or summary.get("status") != "finished":
        yield "the run has not scored itself yet"
        return
    if own == scores.bits_per_byte and as_scored:
        yield "the same figure as in the run's summary, to the last digit"
        return
    why = []
    if model.step != summary.get("step"):
        why.append(f"it is of step {summary.get('step')}, and this is step {model.step}")
    if not as_scored:
        why.append("other settings were asked for")
    yield f"the run's own figure is {own:.6f} bits per byte: {'; '.join(why) or 'other machine, or other versions'}"


def _windows(used: Given, context_length: int) -> str:
    thinned = f", at most {used['max_tokens']:,} tokens evenly spread" if used["max_tokens"] else ""
    return f"windows of {context_length} moving by {used['stride']}, {used['precision']}{thinned}"


def _told(scores: "Scores") -> dict[str, Any]:
    return {**scores.figures(), "by_source": {name: part.figures() for name, part in scores.by_source.items()}}


def _figures(row: Given) -> tuple[str, ...]:
    figures = f"{row['bits_per_byte']:.4f}", f"{row['loss']:.4f}", f"{row['perplexity']:.2f}", f"{row['nats']:.2f}"
    return *figures, f"{row['n_tokens']:,}", f"{row['n_bytes']:,}"
