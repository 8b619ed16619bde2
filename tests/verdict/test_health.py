"""Numbers of a run become sentences; those of a healthy run do not alarm."""

import pytest

from chainrule.run import HealthRecord, mean_noise
from chainrule.verdict import judge

LAYERS = ["token_embedding", *(f"blocks.{n}.{part}" for n in range(4) for part in ("attention", "feed_forward"))]
HEAD = {"kind": "layers", "step": 0, "layers": LAYERS, "samples": 16, "sample_tokens": 256}


def norms(step, *, gradient=None, ratio=None, scale=1.0, noise=None):
    gradients = [scale * (gradient or {}).get(layer, 0.1) for layer in LAYERS]
    ratios = [(ratio or {}).get(layer, 1e-3) for layer in LAYERS]
    return {
        "kind": "norms", "step": step, "n": 1, "gradient": gradients, "gradient_max": gradients,
        "weight": [1.0] * len(LAYERS), "ratio": ratios, "ratio_max": ratios, "noise": noise,
    }  # fmt: skip


def inside(step, *, std=1.0, dead=0.0, entropy=0.6, logit=10.0):
    return {
        "kind": "inside", "step": step, "outputs": {"blocks.0": [0.0, std, 3.0, 0.0]},
        "units": {"blocks.2.feed_forward.down": [dead, dead]},
        "attention": {"blocks.1.attention": {"entropy": [entropy, entropy], "largest_logit": logit}},
    }  # fmt: skip


def said(*rows):
    return {verdict.kind: verdict for verdict in judge(HealthRecord.of_rows([HEAD, *rows]))}


def steady(count=40, **more):
    return [norms(step, **more) for step in range(1, count + 1)]


def test_a_healthy_run_is_told_so_in_one_sentence():
    found = said(*steady(), inside(0), inside(40))
    assert [one.mark for one in found.values()] == ["good"]


@pytest.mark.parametrize(("weak", "mark"), [(1e-3 / 3.9, "note"), (1e-6, "bad")])
def test_a_layer_that_the_gradient_hardly_reaches_is_named_with_the_factor(weak, mark):
    found = said(*steady(gradient={"blocks.3.attention": weak}))["vanishing"]
    assert found.mark == mark
    assert found.sentence.startswith("Block 3’s attention gradients are 1/")
    if mark == "note":
        assert "1/390 of block 0’s attention’s" in found.sentence or "1/390 of block" in found.sentence


def test_a_layer_without_any_gradient_is_told_apart():
    assert "no gradient at all" in said(*steady(gradient={"blocks.1.feed_forward": 0.0}))["vanishing"].sentence


def test_factors_that_depth_alone_explains_are_not_named():
    gradient = {f"blocks.{n}.attention": 0.1 / (n + 1) for n in range(4)}
    assert set(said(*steady(gradient=gradient))) == {"healthy"}


def test_a_gradient_that_grew_is_named_with_the_layer_that_grew_most():
    rows = steady(30)
    rows += [norms(step, scale=20.0, gradient={"blocks.2.attention": 0.3}) for step in range(31, 41)]
    found = said(*rows)["exploding"]
    assert found.mark == "bad" and "block 2’s attention (60 times)" in found.sentence


@pytest.mark.parametrize(
    ("ratio", "kind", "mark"), [(0.15, "fast", "note"), (0.5, "fast", "bad"), (1e-8, "still", "note")]
)
def test_updates_out_of_proportion_are_named(ratio, kind, mark):
    found = said(*steady(ratio={"token_embedding": ratio}))
    assert found[kind].mark == mark
    assert "the token embedding" in found[kind].sentence.lower()


@pytest.mark.parametrize(
    ("look", "kind", "mark"),
    [
        ({"dead": 0.5}, "dead", "note"),
        ({"dead": 0.95}, "dead", "bad"),
        ({"entropy": 0.02, "logit": 50.0}, "collapse", "bad"),
        ({"logit": 400.0}, "logits", "note"),
        ({"logit": 2e4}, "logits", "bad"),
        ({"std": 300.0}, "spread", "note"),
        ({"std": None}, "non-finite", "bad"),
    ],
)
def test_what_a_look_inside_shows_is_named(look, kind, mark):
    found = said(*steady(), inside(0), inside(40, **look))
    assert found[kind].mark == mark
    assert "healthy" not in found


def test_heads_that_look_at_one_place_and_could_look_elsewhere_are_healthy():
    assert set(said(*steady(), inside(0), inside(40, entropy=0.02, logit=16.0))) == {"healthy"}


@pytest.mark.parametrize(
    ("variance", "mark", "words"), [(1600.0, "note", "mostly noise"), (16.0, "good", "suit"), (0.4, "note", "repeats")]
)
def test_the_batch_is_held_against_the_noise_scale(variance, mark, words):
    found = said(*steady(240, noise=[1.0, variance, 1]))["noise"]
    assert found.mark == mark and words in found.sentence


def test_a_noise_scale_of_few_steps_is_kept_quiet():
    assert "noise" not in said(*steady(40, noise=[1.0, 16.0, 1]))


def test_noise_is_averaged_before_it_is_divided():
    rows = [norms(1, noise=[1.0, 10.0, 1]), norms(2, noise=[3.0, 2.0, 3]), norms(3)]
    total = mean_noise(HealthRecord.of_rows([HEAD, *rows]).norms)
    assert (total.n_steps, total.gradient_squared, total.variance) == (4, 2.5, 4.0)


def test_spikes_are_counted_and_the_first_is_named():
    spike = {"kind": "spike", "step": 12, "what": [{"what": "loss", "value": None, "usual": 2.0, "score": None}]}
    found = said(*steady(), spike, {**spike, "step": 30})["spike"]
    assert "2 steps were out of line, the first at step 12 (loss not finite, usually 2)" in found.sentence


def test_rows_of_another_form_are_left_out():
    broken = [{"kind": "norms", "step": 3}, {"kind": "norms", "step": 4, "gradient": "x"}, {"kind": "inside"}, {"a": 1}]
    record = HealthRecord.of_rows([HEAD, *broken, {**norms(5), "gradient": [1.0]}])
    assert record.norms == () and record.inside == ()
    assert judge(record) == [] == judge(HealthRecord.of_rows([]))
