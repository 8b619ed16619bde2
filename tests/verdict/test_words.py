import pytest

from chainrule.run import Baselines, DataReport, Summary
from chainrule.verdict import against_baselines, more_time, skipped_words

BASELINES = Baselines(unigram=3.0, bigram=2.0, gzip=1.9, xz=1.6, xz_seen=1.4, whole=True)
BAD = (None, True, "<b>1</b>", float("nan"), float("inf"))


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (1.26, "The model beats every baseline: it needs 10.0% fewer bits than the best of them, xz that has seen"),
        (1.75, "beats 3 of 5 baselines; the best, xz that has seen the training text, needs 20.0% fewer bits than it."),
        (1.4002, "beats 4 of 5 baselines; the best, xz that has seen the training text, does as well as it."),
        (3.5, "beats no baseline yet; the best, xz that has seen the training text, needs 60.0% fewer bits"),
    ],
)
def test_the_verdict_names_the_winner_whoever_it_is(bits, said):
    assert said in against_baselines(bits, BASELINES)


def test_without_baselines_there_is_no_verdict():
    assert against_baselines(1.5, Baselines()).endswith("nothing was measured beside it.")


def test_what_more_time_would_give_is_one_sentence_with_its_interval():
    told = {"minutes": 10, "bits_per_byte": 1.0349, "low": 0.98, "high": 1.091}
    said = more_time(Summary.of({"more_minutes": told}))
    assert said is not None and "10 more minutes" in said and "1.03 bits per byte (0.98 to 1.09" in said


@pytest.mark.parametrize(
    "told", [None, 3, [], {}, {"minutes": 10}, *({"minutes": 10, "low": 1, "high": 2, "bits_per_byte": v} for v in BAD)]
)
def test_of_what_was_not_foretold_nothing_is_said(told):
    assert more_time(Summary.of({"more_minutes": told})) is None and more_time(Summary()) is None


def test_what_was_skipped_is_named_most_frequent_first():
    by = {".png": 5, ".pdf (pip install 'chainrule[documents]')": 7}
    words = skipped_words(DataReport(skipped=12, skipped_by=by))
    assert words == "12 skipped: 7 .pdf (pip install 'chainrule[documents]'), 5 .png"


def test_of_many_kinds_the_rest_is_a_number():
    words = skipped_words(DataReport(skipped=1234, skipped_by={**{f".{n}": 100 for n in range(12)}, ".x": 34}))
    assert words.startswith("1,234 skipped: 100 .0, ") and words.endswith(", 434 of other kinds")
    assert skipped_words(DataReport(skipped=3)) == "3 skipped"
