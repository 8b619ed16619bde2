import pytest

from chainrule.report import verdict

BASELINES = {"unigram": 3.0, "bigram": 2.0, "gzip": 1.9, "xz": 1.6, "xz_seen": 1.4, "whole": True}


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
    assert said in verdict(bits, BASELINES)


def test_without_baselines_there_is_no_verdict():
    assert verdict(1.5, {"xz": None}).endswith("nothing was measured beside it.")
