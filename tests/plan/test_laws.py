"""Laws of loss: published examples, their own inverses, and what they refuse."""

import math

import pytest

from chainrule.base import ConfigError
from chainrule.plan import EPOCH, HOFFMANN, step_law
from chainrule.plan.laws import MUENNIGHOFF, law_for


def test_a_repeated_text_gives_the_published_example():
    """25 billion tokens of one's own at 1e22 operations: 7.02B parameters, 237.3B tokens, 9.49 readings."""
    found = MUENNIGHOFF.best(1e22, unique=25e9)
    assert found.parameters == pytest.approx(7.02e9, rel=2e-3)
    assert found.tokens == pytest.approx(237.3e9, rel=2e-3)
    assert found.tokens / 25e9 == pytest.approx(9.49, abs=0.01)


@pytest.mark.parametrize("law", [EPOCH, HOFFMANN, MUENNIGHOFF], ids=lambda law: law.source[:10])
def test_the_best_size_is_the_one_of_the_closed_form(law):
    """N = G (C / 6)^(beta / (alpha + beta)), G = (alpha A / beta B)^(1 / (alpha + beta)): Hoffmann's equation 4."""
    g = (law.alpha * law.A / (law.beta * law.B)) ** (1 / (law.alpha + law.beta))
    closed = g * (1e21 / 6) ** (law.beta / (law.alpha + law.beta))
    assert law.best(1e21).parameters == pytest.approx(closed, rel=1e-5)


def test_epochs_refit_gives_chinchilla_some_twenty_tokens_a_parameter():
    found = EPOCH.best(5.76e23)
    assert 15 < found.tokens / found.parameters < 25


@pytest.mark.parametrize("unique", [None, 30e9])
def test_what_reaches_a_loss_has_that_loss(unique):
    found = MUENNIGHOFF.best_for_loss(2.5, unique)
    assert found.loss == pytest.approx(2.5, abs=1e-6)
    assert MUENNIGHOFF.best(0.9 * found.compute, unique).loss > 2.5


@pytest.mark.parametrize(("loss", "unique", "why"), [(1.8, None, "large enough"), (2.2, 1e9, "text end there")])
def test_a_loss_that_nothing_reaches_is_refused_with_the_lowest(loss, unique, why):
    with pytest.raises(ConfigError, match=why):
        (EPOCH if unique is None else MUENNIGHOFF).best_for_loss(loss, unique)


def test_a_text_read_once_is_worth_its_tokens_and_forty_times_less_than_forty():
    assert MUENNIGHOFF.worth(1e8, 2e9, 2e9) == (1e8, 2e9)
    _, worth = MUENNIGHOFF.worth(1e8, 80e9, 2e9)
    assert worth == pytest.approx(2e9 * (1 + 15.387756 * (1 - math.exp(-39 / 15.387756))))
    assert law_for(2e9, 2e9) is EPOCH
    assert law_for(3e9, 2e9) is MUENNIGHOFF


def test_step_law_gives_the_published_rate_and_batch():
    """Table 1 of arXiv 2503.04715, rounded: 1.79 N^-0.713 D^0.307 and 0.58 D^0.571."""
    lr, batch = step_law(1e9, 100e9)
    assert lr == pytest.approx(1.79 * 1e9**-0.713 * 1e11**0.307, rel=0.01)
    assert batch == pytest.approx(0.58 * 1e11**0.571, rel=0.01)
