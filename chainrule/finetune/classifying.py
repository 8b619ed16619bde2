"""Teach a model to tell texts apart, judge it on others, and print beside it what needs no model at all."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from chainrule.base import ConfigError, MissingPackageError, TrainingError
from chainrule.checkpoint import OpenedModel, open_model
from chainrule.config import Layer, resolve
from chainrule.device import Precision
from chainrule.finetune.baseline import baseline_predictions
from chainrule.finetune.classifier import WAYS, Classifier, LabelLoss, encoded, predictions, shuffled_batches
from chainrule.finetune.classifier_folder import check_free, save_classifier
from chainrule.finetune.classifier_report import ClassifierReport, Confusion
from chainrule.finetune.labelled import LabelledText, Parts, checked, folded, judged_on, parted
from chainrule.finetune.weights import is_large
from chainrule.optim import Optimizer, rate_factor
from chainrule.train import StepSettings, seed_step, train_step

Say = Callable[[str], None]
# Peak rates. That of all weights taught 1.1 million parameters SMS spam to 96.9 % (benchmarks/classify.py); no others
# were compared. An adapter takes a higher one (trl's default for adapters is ten times that for weights).
RATES = {"all": 3e-4, "last": 3e-4, "lora": 5e-4}


@dataclass(frozen=True)
class ClassifySettings:
    """How a classifier learns: `how` is all weights, the last block alone, an adapter (lora), or chosen by size (auto).

    `lr` None: by the way of learning. `folds` 0: one division into parts; else every row is judged once.
    """

    how: str = "auto"
    epochs: int = 5
    batch: int = 16
    lr: float | None = None
    rank: int = 16
    folds: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.how != "auto" and self.how not in WAYS:
            raise ConfigError(f"how={self.how!r} is no way to learn; use auto, {', '.join(WAYS)}")
        for name, least in (("epochs", 1), ("batch", 1), ("rank", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}={getattr(self, name)} is too few; use at least {least}")
        if self.folds < 0 or self.folds == 1:
            raise ConfigError(f"folds={self.folds}: use 0 for one division of the rows, or at least 2")

    def way(self, opened: OpenedModel) -> str:
        """The way of learning for this model."""
        if self.how != "auto":
            return self.how
        return "lora" if is_large(opened.model) else "all"


def classify(
    source: str | Path | OpenedModel,
    rows: Sequence[LabelledText],
    settings: ClassifySettings | None = None,
    *,
    judged: Sequence[LabelledText] = (),
    save: Path | None = None,
    say: Say = lambda _: None,
) -> ClassifierReport:
    """Teaches the model of `source` the rows' labels, and tells how it fares on rows that it has not seen.

    70 % are learnt from, 10 % choose the epoch, 20 % judge; with `judged` those rows judge instead. The model of an
    OpenedModel stays as it is; what was judged goes to the new folder `save`, for `predict`. Raises DataError for rows
    of which nothing can be learnt (empty texts, one label alone, a label that is only among `judged`), TrainingError
    when the loss is no number, ConfigError for a folder that is not empty.
    """
    settings = settings or ClassifySettings()
    _check_save(save, settings)
    opened = source if isinstance(source, OpenedModel) else open_model(source)
    kept, left_out = checked(rows)
    for line in left_out:
        say(line)
    labels = tuple(sorted({row.label for row in kept}))
    began, ours, n_cut, n_learning = time.perf_counter(), Confusion.of(labels), 0, 0
    baseline: Confusion | None = Confusion.of(labels)
    for number, parts in enumerate(_divisions(kept, judged, settings), start=1):
        if settings.folds:
            say(f"fold {number} of {settings.folds}")
        found = _taught(opened, parts, labels, settings, say)
        ours, n_cut, n_learning = ours.adding(parts.asked, found.labels), n_cut + found.n_cut, found.n_learning
        baseline = _with_baseline(baseline, parts, labels, say)
    if n_cut:
        left_out.append(f"{n_cut} texts that were learnt from are longer than the context; their ends were cut")
    report = ClassifierReport(
        origin=opened.origin,
        how=settings.way(opened),
        n_learning=n_learning,
        n_rows=len(kept),
        n_folds=settings.folds,
        confusion=ours,
        baseline=baseline,
        seconds=time.perf_counter() - began,
        left_out=tuple(left_out),
    )
    if save is not None:
        save_classifier(found.classifier, opened, report, save)
    return report


def _check_save(save: Path | None, settings: ClassifySettings) -> None:
    """Before hours of learning: whether there is one classifier, and a place for it."""
    if save is not None and settings.folds:
        raise ConfigError("folds teach a classifier each, and none of them is the one to save; leave out folds or save")
    if save is not None:
        check_free(save)


@dataclass(frozen=True)
class _Taught:
    """A classifier, what it said of the rows that judge, and how it came about."""

    classifier: Classifier
    labels: list[str]
    n_cut: int
    n_learning: int


def _divisions(
    rows: Sequence[LabelledText], judged: Sequence[LabelledText], settings: ClassifySettings
) -> Iterator[Parts]:
    if judged and settings.folds:
        raise ConfigError("folds are made of the rows themselves; leave out either folds or the rows to judge on")
    if judged:
        yield judged_on(rows, judged, settings.seed)
    elif settings.folds:
        for fold in range(settings.folds):
            yield folded(rows, settings.seed, settings.folds, fold)
    else:
        yield parted(rows, settings.seed)


def _taught(
    opened: OpenedModel, parts: Parts, labels: tuple[str, ...], settings: ClassifySettings, say: Say
) -> _Taught:
    """Learns from one part, keeps the epoch that another chooses, and answers for the third."""
    way = settings.way(opened)
    # A copy: folds begin alike, and the caller's model stays as it is.
    classifier = Classifier(copy.deepcopy(opened.model), len(labels), settings.seed)
    WAYS[way](classifier.model, settings.rank, settings.seed)
    (learnt, n_cut), (chosen, _), (asked, _) = (
        _rows(opened, part, labels) for part in (parts.training, parts.choosing, parts.asked)
    )
    best, best_right = _learning_tensors(classifier), -1
    for epoch, loss in enumerate(_epochs(classifier, learnt, settings, way), start=1):
        right = sum(a == b for a, (_, b) in zip(predictions(classifier, [i for i, _ in chosen]), chosen, strict=True))
        say(f"epoch {epoch} of {settings.epochs}: loss {loss:.4f}, {right} of {len(chosen)} right")
        if right > best_right:
            best, best_right = _learning_tensors(classifier), right
    with torch.no_grad():
        for name, parameter in classifier.named_parameters():
            if name in best:
                parameter.copy_(best[name])
    answers = predictions(classifier, [ids for ids, _ in asked])
    n_learning = sum(one.numel() for one in best.values())
    return _Taught(classifier, [labels[answer] for answer in answers], n_cut, n_learning)


def _epochs(
    classifier: Classifier, rows: list[tuple[list[int], int]], settings: ClassifySettings, way: str
) -> Iterator[float]:
    """The mean loss of each epoch, after it."""
    lr = RATES[way] if settings.lr is None else settings.lr
    chosen = {"optimizer": {"lr": lr, "beta2": 0.999}, "schedule": {"warmup_share": 0.1}}
    config = resolve([Layer("classify", chosen)]).config
    optimizer = Optimizer(classifier, config)
    precision = Precision(classifier.head.weight.device.type, "float32")
    steps, step, goal = settings.epochs * -(-len(rows) // settings.batch), 0, LabelLoss(classifier)
    for epoch in range(settings.epochs):
        losses = list[float]()
        for windows in shuffled_batches(rows, settings.batch, settings.seed * 1000 + epoch):
            seed_step(settings.seed, step)
            classifier.train()
            made = StepSettings(
                rate_factor(step, steps, config.schedule), settings.batch, config.optimizer.grad_clip, precision
            )
            result = train_step(classifier, optimizer, goal, windows, made)
            if not result.applied:
                raise TrainingError(f"step {step} gave a loss of {result.loss}; lower lr={lr:g}")
            losses.append(result.loss)
            step += 1
        yield sum(losses) / len(losses)


def _rows(
    opened: OpenedModel, part: Sequence[LabelledText], labels: tuple[str, ...]
) -> tuple[list[tuple[list[int], int]], int]:
    """Tokens and the label's number of each, and how many texts were cut."""
    ids, n_cut = encoded(opened.tokenizer, [row.text for row in part], opened.config.context_length)
    return [(one, labels.index(row.label)) for one, row in zip(ids, part, strict=True)], n_cut


def _learning_tensors(classifier: Classifier) -> dict[str, torch.Tensor]:
    return {name: one.detach().clone() for name, one in classifier.named_parameters() if one.requires_grad}


def _with_baseline(known: Confusion | None, parts: Parts, labels: tuple[str, ...], say: Say) -> Confusion | None:
    """With what the baseline says of the part that judges; None where scikit-learn is not installed."""
    if known is None:
        return None
    training, choosing = (
        ([row.text for row in part], [labels.index(row.label) for row in part])
        for part in (parts.training, parts.choosing)
    )
    try:
        answers = baseline_predictions(training, choosing, [row.text for row in parts.asked])
    except MissingPackageError as fault:
        say(str(fault))
        return None
    return known.adding(parts.asked, [labels[place] for place in answers])
