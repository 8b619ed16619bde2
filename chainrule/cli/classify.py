"""`chainrule classify`: teach a model to tell texts apart and judge it, or ask one that was taught."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from chainrule.base import ConfigError
from chainrule.cli.generate import opened_here
from chainrule.cli.loading import load_torch
from chainrule.cli.named import named
from chainrule.cli.options import AsJson, Device, device_setting
from chainrule.cli.output import print_json, print_table, put, say
from chainrule.show import printable

if TYPE_CHECKING:
    from chainrule.finetune import ClassifierReport, Confusion, Prediction

FOLDER = "classifiers"
SHOWN = 60  # letters of a text in the table of answers


def classify(
    source: str,
    rows: str | None = None,
    /,
    *,
    text: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    save: Path | None = None,
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
    """Teach a model to tell texts apart, and judge it on texts that it has not seen; or ask one that was taught.

    70 % of the rows are learnt from, 10 % choose the best epoch, 20 % judge; of each label alike, and no text is on two
    sides. Beside the model's figures stand those of TF-IDF with logistic regression on the same rows, which needs no
    model at all (scikit-learn: `pip install 'chainrule[baseline]'`). Shares are given with 95 % intervals (Wilson).

    What was taught is saved in a folder, which is then asked: for the text of `--text`, a file, or standard input.

    For example:

    - `chainrule classify runs/NAME rows.csv`
    - `chainrule classify runs/NAME rows.csv --folds 5`
    - `chainrule classify gpt2 rows.jsonl --judged others.jsonl --text-column sms --label-column kind`
    - `chainrule classify classifiers/rows --text "You have won a prize"`
    - `chainrule classify classifiers/rows new_texts.txt --json`

    Parameters
    ----------
    source
        A run folder, a checkpoint, a Hugging Face folder, or a name on the Hugging Face hub; or a classifier that was
        saved, to ask it.
    rows
        A .csv, .tsv, .jsonl, .json or .parquet file, also compressed, with a text and a label in each row. For a
        classifier: such a file with texts alone, or any other, in which each line is a text. Default: standard input.
    text
        A text to tell the label of; may be given several times.
    save
        A new folder for what was taught. Default: classifiers/ and the name of the rows' file.
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
        Judge every row once, in so many divisions of the rows; each learns anew, and none is saved. Default: one
        division.
    """
    if rows is not None and not text and not Path(source).exists():
        source = named(source)
    load_torch()
    from chainrule import finetune

    if finetune.is_classifier(source):
        _refuse_teaching(source, save=save, judged=judged)
        _ask(source, rows, text, text_column, device, as_json=as_json)
        return
    if text or rows is None:
        raise ConfigError(
            f"{source} is no classifier that was saved; teach one: chainrule classify {source} rows.csv, with a text "
            "and a label in each row"
        )
    settings = finetune.ClassifySettings(how, epochs, batch, lr, rank, folds, seed)
    learnt = finetune.read_labelled(rows, text_column, label_column)
    others = finetune.read_labelled(judged, text_column, label_column) if judged else ()
    folder = None if folds and save is None else save or _free(Path(FOLDER), rows)
    opened = opened_here(source, device)
    say(opened.origin)
    report = finetune.classify(opened, learnt, settings, judged=others, save=folder, say=say)
    if as_json:
        print_json(report.row() | {"saved": str(folder) if folder else None})
    else:
        _print(report)
    if folder:
        say(f'saved in {printable(str(folder))}; ask it: chainrule classify {printable(str(folder))} --text "…"')


def _free(folder: Path, rows: str) -> Path:
    """A folder that is not there yet, called after the file of the rows."""
    stem = Path(rows).name.split(".")[0] or "rows"
    names = (folder / (stem if number == 1 else f"{stem}-{number}") for number in range(1, sys.maxsize))
    return next(name for name in names if not name.exists())


def _refuse_teaching(source: str, **given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise ConfigError(
                f"{source} is a classifier that was taught, and is only asked: leave out --{name}. To teach one, give "
                "the model that it was made of"
            )


def _ask(
    source: str, rows: str | None, text: tuple[str, ...], column: str, device: str | None, *, as_json: bool
) -> None:
    """Says the label of each text."""
    from chainrule import finetune
    from chainrule.device import choose_device

    if text and rows:
        raise ConfigError(f"both --text and {rows} are given; ask for the texts of one of them")
    texts = list(text) or (finetune.read_texts(rows, column) if rows else _typed(source))
    saved = finetune.open_classifier(source, device=choose_device(device_setting(device).device)[0])
    for sentence in saved.unchecked:
        say(sentence)
    found = finetune.predict(saved, texts)
    cut = sum(one.cut for one in found)
    if cut:
        context = saved.classifier.model.config.context_length
        say(f"{cut} of {len(found)} texts are longer than the {context:,} tokens that are read; their ends were not")
    if as_json:
        print_json({"classifier": source, "labels": list(saved.labels), "answers": [_row(one) for one in found]})
    elif len(found) == 1:
        shares = found[0].probabilities.items()
        print_table("", ("label", "probability"), ((printable(label), f"{share:.1%}") for label, share in shares))
    else:
        answers = ((printable(one.label), f"{one.probability:.1%}", printable(_short(one.text))) for one in found)
        print_table("", ("label", "probability", "text"), answers)


def _typed(source: str) -> list[str]:
    """The lines of standard input that are not blank."""
    if sys.stdin.isatty():
        raise ConfigError(
            f'nothing to tell the label of: give --text "…", a file, or pipe lines in: '
            f"cat texts.txt | chainrule classify {source}"
        )
    try:
        texts = [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
    except UnicodeDecodeError as fault:
        raise ConfigError(f"standard input is no UTF-8 text: {fault.reason} at byte {fault.start}") from None
    if not texts:
        raise ConfigError("standard input has no line with a text in it")
    return texts


def _row(one: "Prediction") -> dict[str, object]:
    return {"text": one.text, "label": one.label, "probabilities": dict(one.probabilities), "cut": one.cut}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def _print(report: "ClassifierReport") -> None:
    known = {"the model": report.confusion, "TF-IDF and logistic regression": report.baseline}
    figures = [(name, *_figures(one)) for name, one in known.items() if one is not None]
    print_table("", ("judged by texts it has not seen", "right", "accuracy", "95 % interval", "macro-F1"), figures)
    labels = [printable(label) for label in report.confusion.labels]
    rows = [
        (label, *map(str, report.confusion.counts[place]), _found(report, place)) for place, label in enumerate(labels)
    ]
    print_table("", ("is ↓ was taken for →", *labels, "found"), rows)
    put(f"{report.n_learning:,} numbers learnt ({report.how}), {report.seconds:.0f} s")


def _figures(one: "Confusion") -> tuple[str, ...]:
    low, high = one.interval
    return f"{one.right:,} of {one.n:,}", f"{one.accuracy:.1%}", f"{low:.1%} to {high:.1%}", f"{one.macro_f1:.3f}"


def _found(report: "ClassifierReport", place: int) -> str:
    hits, there, interval = report.confusion.found(place)
    return f"{hits / there:.0%} ({interval[0]:.0%} to {interval[1]:.0%})" if interval else "none was there"
