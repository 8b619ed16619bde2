"""Each rule equals Hugging Face's processor of the same name."""

import math
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from chainrule.base import ConfigError
from chainrule.generate import Rule, Temperature, sampling_rules, usual_rules
from chainrule.generate.choosing import draw, uniforms
from chainrule.generate.prompts import numbered_seed
from chainrule.generate.rules import MinP, RepetitionPenalty, TopK, TopP, before_greedy
from chainrule.generate.usual import usual_temperature

PAIRS: list[tuple[Rule, Any]] = [
    *((Temperature(value), TemperatureLogitsWarper(value)) for value in (0.1, 1.0, 3.5)),
    *((TopK(count), TopKLogitsWarper(count)) for count in (1, 7, 50, 1000)),
    *((TopP(share), TopPLogitsWarper(share)) for share in (0.01, 0.5, 0.9, 0.999)),
    *((MinP(share), MinPLogitsWarper(share)) for share in (0.01, 0.1, 0.5, 1.0)),
    *((RepetitionPenalty(factor), RepetitionPenaltyLogitsProcessor(factor)) for factor in (0.5, 1.0, 1.3)),
]


def scores(seed: int = 0) -> torch.Tensor:
    return torch.randn(5, 50, generator=torch.Generator().manual_seed(seed)) * 3


def text() -> torch.Tensor:
    return torch.randint(50, (5, 12), generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize(
    ("ours", "theirs"), PAIRS, ids=lambda value: repr(value) if isinstance(value, Temperature) else ""
)
@pytest.mark.parametrize("ties", [False, True])
def test_a_rule_equals_hugging_faces(ours: Rule, theirs: Any, ties: bool) -> None:
    logits = scores().round() if ties and not isinstance(ours, TopP) else scores()  # equal scores: top_p may cut any
    before = logits.clone()
    assert torch.equal(ours.apply(logits, text()), theirs(text(), logits))
    assert torch.equal(logits, before)


def test_all_rules_together_equal_hugging_faces_in_its_order() -> None:
    ours = theirs = scores()
    for rule in sampling_rules(temperature=0.7, top_k=20, top_p=0.8, repetition_penalty=1.2):
        ours = rule.apply(ours, text())
    for processor in (
        RepetitionPenaltyLogitsProcessor(1.2),
        TemperatureLogitsWarper(0.7),
        TopKLogitsWarper(20),
        TopPLogitsWarper(0.8),
    ):
        theirs = processor(text(), theirs)
    assert torch.equal(ours, theirs)


def test_settings_that_are_none_add_no_rule() -> None:
    assert sampling_rules() == (Temperature(1.0),)
    assert sampling_rules(temperature=0, top_p=0.5) == (Temperature(0), TopP(0.5))


def test_temperature_zero_leaves_the_first_of_the_highest() -> None:
    logits = torch.tensor([[1.0, 3.0, 3.0, -math.inf]])
    left = Temperature(0).apply(logits, text()[:1])
    assert torch.isfinite(left).tolist() == [[False, True, False, False]]


def test_one_rule_always_leaves_a_token() -> None:
    for rule in (TopP(1e-9), TopK(1), Temperature(0), Temperature(1e-30)):
        assert (rule.apply(scores(), text()) > -math.inf).any(-1).all()


@pytest.mark.parametrize(
    ("make", "bad"),
    [
        (Temperature, (-0.1, math.nan, math.inf)),
        (TopK, (0, -3)),
        (TopP, (0, -0.1, 1.1, math.nan)),
        (RepetitionPenalty, (0, -1.0, math.nan, math.inf)),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[Any], Rule], bad: tuple[Any, ...]) -> None:
    for value in bad:
        with pytest.raises(ConfigError, match=r"out of range; use"):
            make(value)


def test_draws_follow_the_probabilities() -> None:
    logits = torch.tensor([0.5, 0.0, 0.3, 0.2]).log().expand(10_000, 4)
    drawn = draw(logits, torch.rand(10_000, generator=torch.Generator().manual_seed(0)))
    shares = torch.bincount(drawn, minlength=4) / 10_000
    assert torch.allclose(shares, torch.tensor([0.5, 0.0, 0.3, 0.2]), atol=0.015) and shares[1] == 0


def test_each_seed_and_each_token_has_a_number_of_its_own_and_all_of_them_follow_the_probabilities() -> None:
    """The first tokens of many seeds, and the tokens of one, are drawn as often as they are likely."""
    shares = torch.tensor([0.545, 0.0, 0.362, 0.093])
    firsts = [next(uniforms(numbered_seed(seed, 0))) for seed in range(3000)]
    of_one = list(islice(uniforms(numbered_seed(0, 0)), 3000))
    for numbers in (firsts, of_one):
        assert len(set(numbers)) > 2990
        drawn = draw(shares.log().expand(3000, 4), torch.tensor(numbers))
        # Four standard deviations of a share of one half among 3,000.
        assert torch.allclose(torch.bincount(drawn, minlength=4) / 3000, shares, atol=0.037)
    pairs = torch.corrcoef(torch.tensor([of_one[:-1], of_one[1:]]))
    assert abs(float(pairs[0, 1])) < 0.073


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-24, 1.0])
def test_a_draw_at_the_edge_never_takes_an_impossible_token(uniform: float) -> None:
    logits = torch.full((1, 1000), -math.inf)
    logits[0, 300:700] = scores().flatten().repeat(2)[:400]
    drawn = draw(logits, torch.tensor([uniform]))
    assert 300 <= int(drawn) < 700


def test_min_p_keeps_what_has_its_share_of_the_likeliest() -> None:
    shares = torch.tensor([[0.5, 0.3, 0.1, 0.06, 0.04], [0.2, 0.2, 0.2, 0.2, 0.2]])
    kept = sampling_rules(min_p=0.15)[-1].apply(shares.log(), torch.zeros(2, 1, dtype=torch.long)).isfinite()
    assert kept.tolist() == [[True, True, True, False, False], [True] * 5]
    assert (
        MinP(1.0).apply(shares.log(), torch.zeros(2, 1, dtype=torch.long)).isfinite()[0].tolist()
        == [True] + [False] * 4
    )
    for share in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="min_p"):
            MinP(share)


def test_what_is_usual_depends_on_the_size_and_gives_way_to_what_is_given() -> None:
    temperatures = [usual_temperature(10**n) for n in range(4, 11)]
    assert temperatures == sorted(temperatures) and len(set(temperatures)) > 2
    assert usual_rules(10**6) == (Temperature(temperatures[2]), MinP(0.05))
    assert usual_rules(10**6, top_k=5) == (Temperature(temperatures[2]), TopK(5))
    assert usual_rules(10**6, temperature=0.0, min_p=0.2) == (Temperature(0.0), MinP(0.2))


def test_what_is_sure_is_known_by_the_rules_and_is_what_the_dice_would_have_said() -> None:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 61, (4, 9), generator=generator)
    for settings in ({}, {"top_k": 3}, {"top_p": 0.4, "min_p": 0.1}, {"repetition_penalty": 1.3, "top_k": 1}):
        rules = sampling_rules(temperature=0, **settings)
        before = before_greedy(rules)
        assert before is not None and len(before) == ("repetition_penalty" in settings)
        logits = torch.randn(4, 61, generator=generator)
        logits[1, 7] = logits[1].max()  # of two that are equal the first
        slow, fast = logits, logits
        for rule in rules:
            slow = rule.apply(slow, ids)
        for rule in before:
            fast = rule.apply(fast, ids)
        assert torch.equal(fast.argmax(-1), draw(slow, torch.rand(4, generator=generator)))
        assert before_greedy(sampling_rules(temperature=0.1, **settings)) is None
    assert before_greedy((Temperature(0), RepetitionPenalty(1.1))) is None
