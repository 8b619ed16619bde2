"""Objectives of preference begin where they must, have the gradient that their formula says, and prefer the chosen."""

import dataclasses
import math

import pytest
import torch
from finetune_models import learn, made

from chainrule import lens
from chainrule.base import ConfigError, DataError, TrainingError
from chainrule.finetune.pairs import (
    Preference,
    TokenPair,
    batch_key,
    check_first,
    pair_batches,
    pair_logps,
    reference_logps,
)
from chainrule.finetune.preference import OBJECTIVES, Dpo, Ipo, Kto, Orpo, PairLogps, SimPo, margins, preference_row
from chainrule.model import IGNORED, LoraSettings, add_lora
from chainrule.verdict import preference_words

each_objective = pytest.mark.parametrize("kind", OBJECTIVES)
WITH_REFERENCE = [name for name, one in OBJECTIVES.items() if one.NEEDS_REFERENCE]


def some_pairs(n=6, seed=0):
    """Answers of several lengths; the chosen ones end with 7, the rejected ones with 9."""
    dice = torch.Generator().manual_seed(seed)

    def words(least, most, end=()):
        length = int(torch.randint(least, most, (1,), generator=dice))
        return (*torch.randint(10, 250, (length,), generator=dice).tolist(), *end)

    return [TokenPair(words(3, 9), words(1, 7, (7,)), words(1, 7, (9,))) for _ in range(n)]


def logps(chosen, rejected, n=(4, 5)):
    chosen, rejected = torch.tensor(chosen), torch.tensor(rejected)
    return PairLogps(chosen, rejected, torch.full_like(chosen, n[0]), torch.full_like(rejected, n[1]))


@pytest.fixture
def adapted():
    model = made("llama")
    add_lora(model, LoraSettings(4))
    return model


def test_a_log_probability_is_the_sum_over_the_answers_tokens_given_all_before_them():
    model, pairs = made("qwen3"), some_pairs(1)
    (batch,) = pair_batches(pairs, 1, 32)
    found = pair_logps(model, batch)
    for answer, value, count in (
        (pairs[0].chosen, found.chosen, found.n_chosen),
        (pairs[0].rejected, found.rejected, found.n_rejected),
    ):
        ids = torch.tensor([[*pairs[0].prompt, *answer]])
        scores = model(ids[:, :-1]).log_softmax(-1)[0, len(pairs[0].prompt) - 1 :]
        expected = scores.gather(1, torch.tensor(answer)[:, None]).sum()
        assert torch.allclose(value, expected, atol=1e-5) and int(count) == len(answer)


def test_padding_and_neighbours_change_nothing_but_rounding():
    model, pairs = made("llama"), some_pairs(6)
    together = torch.cat([pair_logps(model, batch).chosen for batch in pair_batches(pairs, 4, 32)]).sort().values
    alone = torch.cat([pair_logps(model, batch).chosen for batch in pair_batches(pairs, 1, 32)]).sort().values
    assert torch.allclose(together, alone, atol=1e-4)


def test_what_is_predicted_is_the_answer_and_its_stop_token_alone():
    pairs = some_pairs(3)
    for batch in pair_batches(pairs, 2, 32):
        for row in range(len(batch)):
            targets = batch.targets[row][batch.targets[row] != IGNORED].tolist()
            assert tuple(targets) in {pair.chosen for pair in pairs} | {pair.rejected for pair in pairs}
            assert targets[-1] == (7 if row % 2 == 0 else 9)


def test_a_long_prompt_loses_its_beginning_and_an_answer_is_never_cut():
    pair = TokenPair(tuple(range(10, 60)), (1, 2, 7), (3, 9))
    (batch,) = pair_batches([pair], 1, 16)
    assert batch.inputs.shape == (2, 16) and batch.inputs[0].tolist() == [*range(46, 60), 1, 2]
    for wrong, words in (
        (dataclasses.replace(pair, chosen=tuple(range(17))), "never cut"),
        (dataclasses.replace(pair, rejected=()), "rejected is empty"),
        (dataclasses.replace(pair, prompt=()), "prompt is empty"),
    ):
        with pytest.raises(DataError, match=f"pair 1: .*{words}"):
            pair_batches([wrong], 1, 16)


@pytest.mark.parametrize("form", ["adapter", "dora", "all weights", "bfloat16"])
def test_dpo_begins_at_ln_2_and_at_a_margin_of_exactly_0(form, tmp_path):
    model = made("llama")
    if form != "all weights":
        add_lora(model, LoraSettings(4, dora=form == "dora"))
    batches = pair_batches(some_pairs(9), 4, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=form == "bfloat16"):
        reference = reference_logps(model, batches, tmp_path / "reference.safetensors", "a test")
        for batch in batches:
            policy, start = pair_logps(model.train(), batch), reference[batch_key(batch)]
            assert torch.equal(policy.chosen, start.chosen) and torch.equal(policy.rejected, start.rejected)
            assert float(Dpo().loss(policy, start).detach()) == pytest.approx(math.log(2), abs=1e-7)
            for name in WITH_REFERENCE:
                check_first(OBJECTIVES[name](), policy, start)


def test_the_formulas_give_what_is_worked_out_by_hand():
    policy, start = logps([-4.0], [-10.0]), logps([-6.0], [-9.0])
    sigma = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    assert float(margins(policy, start)) == 3.0
    assert float(Dpo(0.5).loss(policy, start)) == pytest.approx(-math.log(sigma(1.5)))
    assert float(Ipo(0.5).loss(policy, start)) == pytest.approx((3 - 1) ** 2)
    assert float(SimPo(2.0, 0.5).loss(policy, start)) == pytest.approx(-math.log(sigma(2.0 * (-1 + 2) - 0.5)))
    odds = [math.log(math.exp(mean) / (1 - math.exp(mean))) for mean in (-1.0, -2.0)]
    assert float(Orpo(0.25).loss(policy, start)) == pytest.approx(1 - 0.25 * math.log(sigma(odds[0] - odds[1])))
    moved = max(0.0, (2.0 - 1.0) / 2)
    expected = ((1 - sigma(0.5 * (2 - moved))) + (1 - sigma(0.5 * (moved + 1)))) / 2
    assert float(Kto(0.5).loss(policy, start)) == pytest.approx(expected)


def test_kto_takes_unequal_numbers_and_answers_after_other_prompts():
    counts = torch.ones(3), torch.ones(1)
    one = PairLogps(torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([-4.0]), *counts, torch.tensor([-5.0, -1.0]))
    other = PairLogps(torch.tensor([-2.0, -2.0, -2.0]), torch.tensor([-2.0]), *counts, torch.tensor([-7.0, -3.0]))
    sigma = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    expected = [1 - sigma(0.1 * (gain - 2.0)) for gain in (1, 0, -1)] + [1 - sigma(0.1 * (2.0 + 2))]
    assert float(Kto().loss(one, other)) == pytest.approx(sum(expected) / 4, rel=1e-5)


def test_orpo_stays_finite_for_an_answer_that_is_certain():
    certain = logps([0.0], [-3.0])
    certain.chosen.requires_grad_(True)
    loss = Orpo().loss(certain, certain)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(certain.chosen.grad).all()


class Learning(torch.nn.Module):
    """A model and an objective as one module whose result is the loss."""

    def __init__(self, model, objective, batch, start):
        super().__init__()
        self.model, self.objective, self.batch, self.start = model, objective, batch, start

    def forward(self, shift):
        policy = pair_logps(self.model, self.batch)
        moved = {name: getattr(self.start, name).double() - shift for name in ("chosen", "rejected")}
        return self.objective.loss(policy, dataclasses.replace(self.start, **moved))


@each_objective
def test_the_gradient_of_each_objective_is_what_the_rules_of_the_lens_say(kind, tmp_path):
    """In float64, through an adapter with three As around the fused layer, against autograd and differences."""
    model = made("qwen3", n_layers=1, emb_dim=16, n_heads=2, vocab_size=260)
    add_lora(model, LoraSettings(2))
    learn(model, 1)
    (batch,) = pair_batches(some_pairs(2), 2, 32)
    start = reference_logps(model, [batch], tmp_path / "r.safetensors", "")[batch_key(batch)]
    report = lens.verify(
        Learning(model, OBJECTIVES[kind](), batch, start), torch.tensor(0.25), coordinates=8, seconds=4
    )
    assert report.ok and not report.not_independent, report
    moved = [one.name for one in report.parameters if one.name.endswith(("down", "up"))]
    assert len(moved) == 10


@each_objective
def test_learning_by_each_objective_prefers_the_chosen_answers(kind, adapted, tmp_path):
    objective, batches = OBJECTIVES[kind](), pair_batches(some_pairs(4), 4, 32)
    reference = reference_logps(adapted, batches, tmp_path / "reference.safetensors", "a test")
    goal = Preference(adapted, objective, reference)
    optimizer = torch.optim.AdamW([one for one in adapted.parameters() if one.requires_grad], 2e-2)
    for _ in range(12):
        optimizer.zero_grad()
        loss = goal.loss(batches[0])
        loss.backward()
        optimizer.step()
    row = preference_row(12, float(loss.detach()), pair_logps(adapted, batches[0]), reference[batch_key(batches[0])])
    assert row.margin > 0.5 and row.right == row.n == 4


def test_reference_log_probabilities_are_computed_once_for_the_same_base_template_and_data(
    adapted, tmp_path, monkeypatch
):
    batches, file = pair_batches(some_pairs(5), 2, 32), tmp_path / "reference.safetensors"
    first = reference_logps(adapted, batches, file, "base data")
    learn(adapted)
    with monkeypatch.context() as patched:
        patched.setattr("chainrule.finetune.pairs.pair_logps", lambda *_: pytest.fail("was computed again"))
        again = reference_logps(adapted, batches, file, "base data")
    assert all(torch.equal(again[key].chosen, first[key].chosen) for key in first)
    other = made("gpt2")
    about_others = reference_logps(other, batches, file, "other data")
    assert not torch.equal(about_others[batch_key(batches[0])].chosen, first[batch_key(batches[0])].chosen)
    file.write_bytes(file.read_bytes()[:-8])
    assert reference_logps(adapted, batches, file, "base data").keys() == first.keys()


def test_more_pairs_are_added_to_what_is_known(adapted, tmp_path):
    pairs, file = some_pairs(4), tmp_path / "reference.safetensors"
    reference_logps(adapted, pair_batches(pairs[:2], 2, 32), file, "x")
    assert (
        len(reference_logps(adapted, pair_batches(pairs[:2], 2, 32) + pair_batches(pairs[2:], 2, 32), file, "x")) == 2
    )


# --- planted faults ---------------------------------------------------------------------------------------------------


def test_a_reference_that_is_another_model_is_caught_before_the_first_step(adapted, tmp_path):
    (batch,) = pair_batches(some_pairs(2), 2, 32)
    other = made("llama")
    with torch.no_grad():
        other.blocks[0].attention.out.weight[0, 0] += 1e-3
    start = reference_logps(other, [batch], tmp_path / "r.safetensors", "")[batch_key(batch)]
    with pytest.raises(TrainingError, match="another model"):
        check_first(Dpo(), pair_logps(adapted, batch), start)


def test_dropout_and_an_exchanged_reference_are_caught_before_the_first_step(tmp_path):
    model = made("llama", drop_rate=0.2)
    (batch,) = pair_batches(some_pairs(2), 2, 32)
    start = reference_logps(model, [batch], tmp_path / "r.safetensors", "")[batch_key(batch)]
    with pytest.raises(TrainingError, match="dropout"):
        check_first(Dpo(), pair_logps(model.train(), batch), start)
    policy = pair_logps(model.eval(), batch)
    check_first(Dpo(), policy, start)
    with pytest.raises(TrainingError, match="exchanged"):
        check_first(Dpo(), start, policy)
    check_first(SimPo(), start, policy)


def test_a_loss_that_is_not_ln_2_at_the_start_is_caught(adapted, tmp_path):
    class Wrong(Dpo):
        def loss(self, policy, reference):
            return super().loss(policy, reference) + 0.01

    (batch,) = pair_batches(some_pairs(2), 2, 32)
    start = reference_logps(adapted, [batch], tmp_path / "r.safetensors", "")[batch_key(batch)]
    with pytest.raises(TrainingError, match="not ln 2"):
        check_first(Wrong(), pair_logps(adapted, batch), start)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [(Dpo, {"beta": 0.0}), (Ipo, {"tau": -1.0}), (Kto, {"desirable": 0.0}), (SimPo, {"beta": math.nan})],
)
def test_settings_that_would_teach_nothing_are_refused(kind, wrong):
    with pytest.raises(ConfigError, match="teach nothing"):
        kind(**wrong)


def test_half_a_pair_is_refused(adapted):
    (batch,) = pair_batches(some_pairs(2), 2, 32)
    with pytest.raises(ConfigError, match="splits a pair"):
        pair_logps(adapted, dataclasses.replace(batch, inputs=batch.inputs[:3], targets=batch.targets[:3]))


def test_chosen_answers_that_become_unlikely_themselves_are_said():
    start = logps([-4.0, -8.0], [-5.0, -5.0])
    fallen = preference_row(9, 0.3, logps([-6.0, -12.0], [-25.0, -25.0]), start)
    assert fallen.margin == pytest.approx(17.0) and fallen.chosen_fall == pytest.approx(0.5)
    assert "less likely, by 50%" in preference_words(fallen) and "2 of 2 pairs" in preference_words(fallen)
    fine = preference_row(9, 0.3, logps([-3.0, -7.0], [-6.0, -6.0]), start)
    assert "less likely" not in preference_words(fine) and fine.chosen_fall < 0
