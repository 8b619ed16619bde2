"""Words and how often they stand there: what needs no pretraining gets right. scikit-learn's one door."""

from collections.abc import Sequence
from typing import Any

from chainrule.base import MissingPackageError

# Of the inverse regularisation; the best on the rows held out for such choices is taken.
STRENGTHS = (1.0, 10.0, 100.0)
Texts = Sequence[str]


def require_sklearn() -> Any:
    """The package; raises MissingPackageError when it is not installed."""
    try:
        import sklearn.feature_extraction.text
        import sklearn.linear_model
        import sklearn.pipeline
    except ImportError:
        raise MissingPackageError("the baseline of a classifier", "scikit-learn", "baseline") from None
    return sklearn


def baseline_predictions(
    training: tuple[Texts, Sequence[int]], choosing: tuple[Texts, Sequence[int]], asked: Texts
) -> list[int]:
    """What TF-IDF of words and pairs of them with logistic regression says of the texts that are asked.

    Trained on `training`; how strongly it is held back is chosen by `choosing`, as the classifier beside it chooses.
    """
    sklearn = require_sklearn()

    def right(strength: float) -> tuple[int, Any]:
        # The default pattern drops words of one letter; texts of nothing else would leave an empty vocabulary.
        pattern = r"(?u)\b\w+\b|[^\w\s]"
        words = sklearn.feature_extraction.text.TfidfVectorizer(
            ngram_range=(1, 2),
            sublinear_tf=True,
            token_pattern=pattern,
        )
        machine = sklearn.linear_model.LogisticRegression(C=strength, max_iter=1000)
        model = sklearn.pipeline.make_pipeline(words, machine).fit(list(training[0]), list(training[1]))
        return int((model.predict(list(choosing[0])) == list(choosing[1])).sum()), model

    _, best = max((right(strength) for strength in STRENGTHS), key=lambda one: one[0])
    return [int(label) for label in best.predict(list(asked))]
