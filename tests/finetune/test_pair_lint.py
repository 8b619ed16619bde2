"""What would be learnt from pairs instead of what was meant is found before they are learnt from."""

import math

from chainrule.finetune.pair_lint import TextPair, lint_pairs


def test_good_pairs_leave_nothing_to_say():
    pairs = [TextPair(f"question {n}", "a" * (5 + n % 3), "b" * (5 + (n + 1) % 3)) for n in range(30)]
    assert lint_pairs(pairs).lines() == []
    assert lint_pairs([]).lines() == []


def test_each_kind_of_bad_pair_is_named_by_its_number():
    prompt = "please tell me about the sea"
    found = lint_pairs(
        [
            TextPair("a", "x", "y"),
            TextPair("b", "same", "same"),
            TextPair("a", "x", "y"),
            TextPair("a", "y", "x"),
            TextPair(prompt, f"{prompt}: it is wet", "it is wet"),
            TextPair("c", "  ", "y"),
        ]
    )
    assert (found.identical, found.duplicates, found.contradictory) == ((2,), (3,), (4,))
    assert (found.leaks, found.empty) == ((5,), (6,))
    told = "\n".join(found.lines())
    assert all(word in told for word in ("identical", "before", "contradict", "quote the prompt", "empty"))


def test_the_bias_of_length_is_an_effect_size_that_does_not_grow_with_the_number_of_pairs():
    def effect(n):
        return lint_pairs([TextPair(str(k), "a" * (20 + k % 5), "b" * (10 + k % 7)) for k in range(n)]).length_effect

    assert effect(70) > 2 and abs(effect(70) - effect(700)) < 0.1
    longer = lint_pairs([TextPair(str(k), "a" * (20 + k % 5), "b" * (10 + k % 7)) for k in range(70)])
    assert longer.n_longer == 70 and "longer" in longer.lines()[0]
    shorter = lint_pairs([TextPair(str(k), "b" * (10 + k % 7), "a" * (20 + k % 5)) for k in range(70)])
    assert math.isclose(shorter.length_effect, -longer.length_effect) and "shorter" in shorter.lines()[0]
