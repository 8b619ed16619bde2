"""The automatic choice keeps to the time, the memory, the text and what the user said."""

import itertools

import pytest

from chainrule.base import ConfigError
from chainrule.config import Layer, preset, resolve
from chainrule.plan import Machine, choose, memory_bytes, parameters, run_tokens, training_seconds, with_automatic
from chainrule.plan.choice import LADDER

LAPTOP = Machine(cores=2, memory_bytes=8 * 2**30, peak_flops=2e12)
WORKSTATION = Machine(cores=16, memory_bytes=80 * 2**30, peak_flops=6e14, device="cuda")


def chosen(machine=LAPTOP, minutes=5.0, text_bytes=None, layers=()):
    automatic = choose(machine, minutes=minutes, text_bytes=text_bytes, layers=layers)
    return resolve(with_automatic(layers, automatic))


@pytest.mark.parametrize("machine", [LAPTOP, WORKSTATION], ids=["laptop", "workstation"])
@pytest.mark.parametrize("minutes", [0.5, 5, 60, 600])
def test_the_run_fits_in_the_time(machine, minutes):
    config = chosen(machine, minutes).config
    assert minutes * 60 * 0.2 < training_seconds(config, machine) <= minutes * 60


def test_more_time_never_gives_a_smaller_model():
    sizes = [parameters(chosen(minutes=minutes).config.model).total for minutes in (1, 5, 30, 240, 3000)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_the_ladder_rises():
    for lower, higher in itertools.pairwise(LADDER):
        assert lower.wanted_tokens < higher.wanted_tokens
        assert lower.emb_dim <= higher.emb_dim


def test_the_model_fits_in_memory_however_much_time_there_is():
    small = Machine(cores=64, memory_bytes=2 * 2**30, peak_flops=1e14)
    config = chosen(small, minutes=10_000).config
    assert memory_bytes(config, micro_batch=8).total < small.memory_bytes


def test_a_short_text_is_not_repeated_for_ever_and_has_a_small_vocabulary():
    config = chosen(minutes=60, text_bytes=300_000).config
    unique = 300_000 / 2.7  # bytes a token of 512 entries
    assert run_tokens(config) <= 17 * unique
    assert config.model.vocab_size == 512
    assert config.model.drop_rate > 0


def test_a_preset_keeps_its_shape_and_gets_its_steps_from_the_time():
    layers = [preset("cpu-small")]
    resolved = chosen(minutes=3, layers=layers)
    assert resolved.config.model == resolve(layers).config.model
    assert resolved.sources["training.steps"] == "automatic: 3 minutes on cpu"
    assert resolved.sources["model.emb_dim"] == "preset cpu-small"


def test_a_flag_wins_over_the_choice_and_the_steps_follow_it():
    deep = chosen(layers=[Layer("flag", {"model": {"n_layers": 24}})])
    assert deep.config.model.n_layers == 24
    assert deep.sources["model.n_layers"] == "flag"
    assert run_tokens(deep.config) < run_tokens(chosen().config) / 2


@pytest.mark.parametrize("emb_dim", [320, 128, 96, 1024])
def test_a_width_alone_gets_heads_that_divide_it(emb_dim):
    model = chosen(layers=[Layer("flag", {"model": {"emb_dim": emb_dim}})]).config.model
    assert model.emb_dim == emb_dim
    assert emb_dim % model.n_heads == 0


def test_a_given_shape_is_not_asked_again():
    shape = {"emb_dim": 80, "n_layers": 2, "n_heads": 2, "vocab_size": 700, "context_length": 64}
    model = chosen(layers=[Layer("flag", {"model": shape})]).config.model
    assert shape.items() <= model.model_dump().items()
    assert model.norm == "layernorm"


def test_a_vocabulary_that_is_not_trained_keeps_its_size():
    automatic = choose(LAPTOP, minutes=5, layers=[Layer("flag", {"vocabulary": {"kind": "gpt2"}})])
    assert "vocab_size" not in automatic.values["model"]


def test_intervals_are_shares_of_the_run():
    training = chosen().config.training
    assert 15 <= training.steps / training.eval_every <= 20
    assert 9 <= training.steps / training.sample_every <= 12
    assert 3 <= training.steps / training.save_every <= 4


@pytest.mark.parametrize("minutes", [5, 15, 60])
def test_looks_cost_a_fiftieth_of_what_is_learnt_from(minutes):
    config = chosen(minutes=minutes).config
    training = config.training
    learnt = training.steps * training.batch_tokens
    # A look costs a third of learning from the same tokens, and there are no fewer than eight windows of it.
    looked = training.steps / training.eval_every * training.eval_tokens / 3
    assert 0.012 < looked / learnt < 0.025 or training.eval_tokens == 8 * config.model.context_length


@pytest.mark.parametrize("minutes", [0, -3, float("nan"), float("inf")])
def test_a_budget_that_is_no_time_is_refused(minutes):
    with pytest.raises(ConfigError, match="no time to train in"):
        choose(LAPTOP, minutes=minutes)


def test_a_budget_and_steps_together_are_refused():
    with pytest.raises(ConfigError, match=r"training\.steps is given, and minutes=5 would choose it"):
        choose(LAPTOP, minutes=5, layers=[Layer("flag", {"training": {"steps": 10}})])


def test_given_steps_set_the_intervals():
    training = chosen(minutes=None, layers=[Layer("flag", {"training": {"steps": 100}})]).config.training
    assert (training.steps, training.eval_every, training.save_every) == (100, 5, 25)


def test_without_a_budget_a_run_is_planned_for_a_quarter_of_an_hour():
    assert chosen(minutes=None).config == chosen(minutes=15).config


def test_the_layer_stands_between_preset_and_file():
    layers = [preset("cpu-tiny"), Layer("my.toml", {}), Layer("flag", {})]
    order = [layer.source for layer in with_automatic(layers, Layer("automatic", {}))]
    assert order == ["preset cpu-tiny", "automatic", "my.toml", "flag"]


def test_muon_remembers_a_fortieth_of_the_run_and_a_flag_wins():
    def momentum(n, *layers):
        given = [*layers, Layer("flag", {"training": {"steps": n}})]
        return chosen(minutes=None, layers=given).config.optimizer.momentum

    assert [momentum(n) for n in (50, 200, 400, 800, 10**6)] == [0.8, 0.8, 0.9, 0.95, 0.95]
    assert momentum(200, preset("cpu-tiny")) == 0.8
    assert momentum(200, preset("gpt2-124m")) == 0.95  # AdamW has no such memory: the setting stays as it is
    assert momentum(200, Layer("flag", {"optimizer": {"momentum": 0.7}})) == 0.7
