"""`chainrule evaluate`: how surprised a model is by text, and what it gets right of what it is asked."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from chainrule.base import ConfigError
from chainrule.cli.flags import TextFlags, flag_layer
from chainrule.cli.generate import opened_here
from chainrule.cli.loading import load_torch
from chainrule.cli.named import named
from chainrule.cli.options import AsJson, Device
from chainrule.cli.output import print_json, print_table, put, say
from chainrule.config import resolve
from chainrule.run import TaskResult, find_run
from chainrule.show import printable
from chainrule.verdict import task_figures, task_words

if TYPE_CHECKING:
    from chainrule.evaluate import Measurement

MOST_SHOWN = 200


def evaluate(
    source: str,
    /,
    *texts: str,
    task: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    on: Annotated[str | None, Parameter(show_default=False)] = None,
    by: Annotated[Literal["source", "document"], Parameter(show_default=False)] = "source",
    max_tokens: int | None = None,
    stride: int | None = None,
    micro_batch: int | None = None,
    precision: Literal["float32", "bfloat16"] | None = None,
    device: Device = None,
    as_json: AsJson = False,
    reading: TextFlags = None,
) -> None:
    """Measure loss, perplexity and bits per byte, of everything and by source or document; or tasks.

    Without texts it is the run's own held-out text, scored as the run scored it at its end: the same figure to the last
    digit. With texts it is all of them, in the model's own tokens: each document alone behind one end-of-text, each of
    its tokens once, copies as often as they are there, and no end of text that is not in it.

    With --task it is what the model gets right of what it is asked: python-functions (functions that it writes and
    Python can parse), or the questions of a file of yours. choices:FILE has rows with context or question, choices and
    answer; pairs:FILE with sentence_good and sentence_bad (as BLiMP); cloze:FILE with text, whose last word is to be
    foreseen (as LAMBADA), or context and completion. FILE alone is recognised by its columns.

    For example:

    - `chainrule evaluate runs/NAME`
    - `chainrule evaluate runs/NAME other_texts/ --stride 128`
    - `chainrule evaluate gpt2 my_texts/ --json`
    - `chainrule evaluate runs/NAME rows.jsonl --text.field story --by document`
    - `chainrule evaluate gpt2 --on runs/NAME`
    - `chainrule evaluate runs/NAME --task python-functions --task choices:my_questions.jsonl`

    Parameters
    ----------
    source
        A run folder, a checkpoint, a Hugging Face folder, or a name on the Hugging Face hub.
    texts
        Folders, files or globs of text.
    task
        A task instead of text; may be given several times.
    on
        A run whose held-out text is scored, byte for byte, by another model: GPT-2, say, whose bits per byte the report
        then draws beside the run's. At most 65,536 tokens unless --max-tokens says otherwise.
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
    given: dict[str, Any] = {
        "max_tokens": max_tokens,
        "stride": stride,
        "micro_batch": micro_batch,
        "precision": precision,
    }
    for name, value in given.items():
        if isinstance(value, int) and value < 1:
            raise ConfigError(f"{name}={value} measures nothing; use at least 1")
    asked = flag_layer(reading, {"text.paths": texts or None})
    if not texts and (asked.values or by == "document"):
        what = "--by document" if by == "document" else "--text.…"
        raise ConfigError(f"{what} is for texts that are named; a run's own held-out text is scored as one row")
    if on is not None and (texts or task):
        raise ConfigError(f"--on {on} is a text of its own; give it without other texts and without --task")
    text = resolve([asked]).config.text
    source = named(source)
    beside = None if on is None else find_run(on)
    load_torch()
    from chainrule.evaluate import measure_anchor, measure_own, measure_tasks, measure_texts

    model = opened_here(source, device)
    say(model.origin)
    told: dict[str, Any] = {"model": model.origin}
    if beside is not None:
        told |= _said(measure_anchor(model, source, beside, **given))
    elif texts:
        told |= _said(measure_texts(model, text, by_document=by == "document", **given))
    elif not task:
        told |= _said(measure_own(model, source, **given))
    found = _heard(measure_tasks(model, task, **given), task, quiet=as_json)
    if task:
        told["tasks"] = [task_figures(result) for result in found]
    if as_json:
        print_json(told)
    elif "by_source" in told:
        _print(told, by)


def _said(found: "Measurement") -> dict[str, Any]:
    """The figures; what was done and left out is said."""
    for reason in found.left_out[:MOST_SHOWN]:
        say(f"left out: {reason}")
    if len(found.left_out) > MOST_SHOWN:
        say(f"left out: {len(found.left_out) - MOST_SHOWN:,} more")
    for line in found.said:
        say(line)
    return found.row()


def _heard(results: Iterable[TaskResult], words: Sequence[str], *, quiet: bool) -> list[TaskResult]:
    """The results, each printed when it is there."""
    heard = []
    if words:
        say(f"asking: {', '.join(map(printable, words))} …")
    for result in results:
        heard.append(result)
        if not quiet:
            more = "".join(f", {name.replace('_', ' ')} {value:.4g}" for name, value in result.figures.items())
            put(f"{result.task}: {task_words(result)}{more}")
    return heard


def _print(told: dict[str, Any], by: str) -> None:
    rows = told.get("by_document") or [{"name": name, **figures} for name, figures in told["by_source"].items()]
    shown = [(row["name"], *_figures(row)) for row in rows] if len(rows) > 1 else []
    if len(shown) > MOST_SHOWN:
        say(f"the first {MOST_SHOWN} of {len(shown):,} documents; --json gives all")
    columns = (by, "bits/byte", "loss", "perplexity", "nats", "tokens", "bytes")
    print_table("", columns, [*shown[:MOST_SHOWN], ("everything", *_figures(told))])


def _figures(row: dict[str, Any]) -> tuple[str, ...]:
    figures = f"{row['bits_per_byte']:.4f}", f"{row['loss']:.4f}", f"{row['perplexity']:.2f}", f"{row['nats']:.2f}"
    return *figures, f"{row['n_tokens']:,}", f"{row['n_bytes']:,}"
