"""`chainrule classify`: teach a model to tell texts apart, and judge it beside a baseline without any model."""

from typing import TYPE_CHECKING, Literal

from chainrule.cli.generate import opened_here
from chainrule.cli.options import AsJson, Device
from chainrule.cli.output import print_json, print_table, say
from chainrule.show import printable

if TYPE_CHECKING:
    from chainrule.finetune import ClassifierReport, Confusion


def classify(
    source: str,
    rows: str,
    /,
    *,
    judged: str | None = None,
    text_column: str = "text",
    label_column: str = "label",
    how: Literal["auto", "all", "last", "lora"] = "auto",
    epochs: int = 5,
    batch: int = 16,
    lr: float | None = None,
    rank: int = 16,
    folds: int = 0,
    seed: int = 0,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Teach a model to tell texts apart, and judge it on texts that it has not seen.

    70 % of the rows are learnt from, 10 % choose the best epoch, 20 % judge; of each label alike, and no text is on two
    sides. Beside the model's figures stand those of TF-IDF with logistic regression on the same rows, which needs no
    model at all (scikit-learn: `pip install 'chainrule[baseline]'`). Shares are given with 95 % intervals (Wilson).

    For example:

    - `chainrule classify runs/NAME rows.csv`
    - `chainrule classify runs/NAME rows.csv --folds 5`
    - `chainrule classify gpt2 rows.jsonl --judged others.jsonl --text-column sms --label-column kind`

    Parameters
    ----------
    source
        A run folder, a checkpoint, a Hugging Face folder, or a name on the Hugging Face hub.
    rows
        A .csv, .tsv, .jsonl, .json or .parquet file, also compressed, with a text and a label in each row.
    judged
        Rows to judge on instead of a fifth of `rows`, which are then all learnt from.
    text_column
        The column of the texts.
    label_column
        The column of the labels.
    how
        What learns besides the head: all weights, the last block, or an adapter (lora). auto: all of a model of up to
        50 million parameters, else an adapter.
    epochs
        How often each text is learnt from; the best epoch is kept.
    batch
        Texts of one update.
    lr
        Peak learning rate. Default: by `how`.
    rank
        Of the adapter.
    folds
        Judge every row once, in so many divisions of the rows; each learns anew. Default: one division.
    """
    from chainrule import finetune

    settings = finetune.ClassifySettings(how, epochs, batch, lr, rank, folds, seed)
    learnt = finetune.read_labelled(rows, text_column, label_column)
    others = finetune.read_labelled(judged, text_column, label_column) if judged else ()
    opened = opened_here(source, device)
    say(opened.origin)
    report = finetune.classify(opened, learnt, settings, judged=others, say=lambda line: say(printable(line)))
    if as_json:
        print_json(report.row())
    else:
        _print(report)


def _print(report: "ClassifierReport") -> None:
    known = {"the model": report.confusion, "TF-IDF and logistic regression": report.baseline}
    figures = [(name, *_figures(one)) for name, one in known.items() if one is not None]
    print_table("", ("judged by texts it has not seen", "right", "accuracy", "95 % interval", "macro-F1"), figures)
    labels = [printable(label) for label in report.confusion.labels]
    rows = [
        (label, *map(str, report.confusion.counts[place]), _found(report, place)) for place, label in enumerate(labels)
    ]
    print_table("", ("is ↓ was taken for →", *labels, "found"), rows)
    print(f"{report.n_learning:,} numbers learnt ({report.how}), {report.seconds:.0f} s")


def _figures(one: "Confusion") -> tuple[str, ...]:
    low, high = one.interval
    return f"{one.right:,} of {one.n:,}", f"{one.accuracy:.1%}", f"{low:.1%} to {high:.1%}", f"{one.macro_f1:.3f}"


def _found(report: "ClassifierReport", place: int) -> str:
    hits, there, interval = report.confusion.found(place)
    return f"{hits / there:.0%} ({interval[0]:.0%} to {interval[1]:.0%})" if interval else "none was there"
