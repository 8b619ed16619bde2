"""What a saved classifier says of texts: the likeliest label, and how likely each is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.base import DataError
from chainrule.finetune.classifier import encoded, label_shares
from chainrule.finetune.classifier_folder import SavedClassifier, open_classifier


@dataclass(frozen=True)
class Prediction:
    """The likeliest label of a text, and the probability of each, the likeliest first; they add up to 1."""

    text: str
    label: str
    probabilities: Mapping[str, float]
    cut: bool
    """Whether the text is longer than the context, so that its end was not read."""

    @property
    def probability(self) -> float:
        """Of the label."""
        return self.probabilities[self.label]


def predict(classifier: SavedClassifier | str | Path, texts: Sequence[str]) -> list[Prediction]:
    """What a classifier, opened or by its folder, says of each text.

    A probability is the classifier's own; how often it is right is in its figures. Raises DataError for a text that
    is empty, CheckpointError as `open_classifier` does.
    """
    saved = classifier if isinstance(classifier, SavedClassifier) else open_classifier(classifier)
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            raise DataError(f"text {number} is empty; there is nothing to tell its label by")
    longest = saved.classifier.model.config.context_length
    rows, _ = encoded(saved.tokenizer, texts, longest + 1)
    shares = label_shares(saved.classifier, [row[:longest] for row in rows])
    return [_told(saved, *each) for each in zip(texts, rows, shares, strict=True)]


def _told(saved: SavedClassifier, text: str, ids: list[int], shares: list[float]) -> Prediction:
    ordered = dict(sorted(zip(saved.labels, shares, strict=True), key=lambda item: -item[1]))
    cut = len(ids) > saved.classifier.model.config.context_length
    return Prediction(text, next(iter(ordered)), ordered, cut)
