"""A run on many machines: plans that agree with themselves, and bounds that are named."""

from dataclasses import replace

import pytest

from chainrule.base import ConfigError
from chainrule.config import preset, resolve
from chainrule.plan import DEVICES, EPOCH, Layout, Machines, Wish, parameters, parse_machines, plan_machines
from chainrule.plan.memory_of_ranks import rank_memory
from chainrule.plan.placing import place
from chainrule.plan.shapes import shape_for

DAY = 86400.0


@pytest.mark.parametrize("wanted", [3e6, 1.24e8, 1e9, 7e9, 7e10, 4e11])
def test_a_shape_has_about_the_wanted_parameters_and_heads_that_divide(wanted):
    model = resolve([shape_for(wanted)]).config.model
    assert parameters(model).total == pytest.approx(wanted, rel=0.12)
    assert model.emb_dim == model.n_heads * model.head_dim
    if wanted >= 7e9:
        assert model.n_heads % 4 == 0


def test_the_days_are_used_up_and_the_size_is_the_best_for_them():
    found = plan_machines(Wish(parse_machines("8xH100"), seconds=3 * DAY))
    assert found.unmet is None and found.seconds == pytest.approx(3 * DAY, rel=0.02)
    count = parameters(found.config.model).total
    best = EPOCH.best(6 * count * found.tokens)
    assert count == pytest.approx(best.parameters, rel=0.15)
    assert found.loss.value == pytest.approx(best.loss, rel=2e-3)


def test_what_a_loss_needs_reaches_that_loss():
    there = plan_machines(Wish(parse_machines("64xA100"), loss=2.3))
    assert there.loss.value == pytest.approx(2.3, abs=0.01) and there.unmet is None
    back = plan_machines(Wish(parse_machines("64xA100"), seconds=there.seconds))
    assert back.loss.value == pytest.approx(2.3, abs=0.01)


def test_more_machines_reach_more_and_cost_as_much_an_hour():
    device = replace(DEVICES["h100"], price=2.0)
    few, many = (plan_machines(Wish(Machines(n, device), seconds=DAY)) for n in (8, 64))
    assert many.loss.value < few.loss.value
    assert many.cost == pytest.approx(8 * few.cost, rel=0.05) and few.cost == pytest.approx(8 * 24 * 2.0, rel=0.05)


def test_a_model_that_the_law_was_not_fitted_to_is_said_to_be_one():
    inside, outside = (plan_machines(Wish(parse_machines("8xH100"), seconds=part * DAY)) for part in (1, 0.001))
    assert inside.figures()["loss"]["within_law"] and not outside.figures()["loss"]["within_law"]
    assert outside.loss.high / outside.loss.value > inside.loss.high / inside.loss.value


def test_a_given_model_learns_for_the_time():
    found = plan_machines(Wish(parse_machines("8xA100"), seconds=DAY), [preset("gpt2-355m")])
    assert found.config.model.n_layers == 24
    assert found.seconds == pytest.approx(DAY, rel=0.02)


def test_a_short_text_is_read_often_and_gives_a_higher_loss():
    new = plan_machines(Wish(parse_machines("8xH100"), seconds=3 * DAY))
    again = plan_machines(Wish(parse_machines("8xH100"), seconds=3 * DAY, unique=2e9))
    assert again.tokens > 2e9 and again.loss.value > new.loss.value
    assert "2305.16264" in again.law.source


def test_time_that_is_too_short_says_how_many_machines_and_what_loss_it_allows():
    found = plan_machines(Wish(parse_machines("8xH100"), seconds=DAY, loss=2.25))
    assert found.unmet and found.unmet.startswith("time binds")
    more = int(found.unmet.split(" of them would meet")[0].split()[-1])
    assert more > 8
    met = plan_machines(Wish(parse_machines(f"{8 * -(-more // 8) * 2}xH100"), seconds=DAY, loss=2.25))
    assert met.unmet is None


def test_memory_that_is_too_small_names_a_number_that_is_enough():
    found = plan_machines(Wish(parse_machines("1xL4"), tokens=30e9), [preset("gpt2-1558m")])
    assert found.unmet and found.unmet.startswith("memory binds")
    enough = int(found.unmet.split(" x L4 would do")[0].split()[-1])
    assert plan_machines(Wish(parse_machines(f"{enough}xL4"), tokens=30e9), [preset("gpt2-1558m")]).unmet is None


def test_memory_falls_with_ranks_that_share_and_grows_with_the_micro_batch():
    config = resolve([shape_for(7e9)]).config
    one, shared = rank_memory(config, Layout(), 64), rank_memory(config, Layout(fsdp=8), 64)
    count = parameters(config.model).total
    assert one.weights == pytest.approx(4 * count, rel=1e-3)
    assert shared.weights == pytest.approx(one.weights / 8, rel=1e-6)
    assert shared.optimizer == pytest.approx(one.optimizer / 8, rel=1e-6)
    assert rank_memory(config, Layout(micro_batch=2), 64).activations == 2 * one.activations
    assert rank_memory(config, Layout(recompute="all"), 64).activations < one.activations / 4
    # The first of four stages keeps four micro-batches of a quarter of the blocks.
    assert rank_memory(config, Layout(pp=4), 64).activations == pytest.approx(one.activations)


def test_a_layout_fits_in_what_may_be_filled():
    config = resolve([shape_for(7e9)]).config
    machines = parse_machines("8xH100")
    free, tight = place(config, machines, 1e6), place(config, machines, 1e6, 35e9)
    assert free and tight and tight.memory.total <= 35e9 < free.memory.total
    assert tight.time.total / tight.batch_windows >= free.time.total / free.batch_windows
    assert place(config, machines, 1e6, 5e9) is None


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({}, "--days, --tokens or --loss"),
        ({"tokens": 1e9, "loss": 3.0}, "both given"),
        ({"seconds": -1.0}, "nothing to plan for"),
        ({"loss": 1.5}, "the lowest is 1.8"),
        ({"loss": 2.4, "unique": 1e8}, "text"),
    ],
)
def test_a_wish_that_no_run_can_have_is_refused(wish, word):
    with pytest.raises(ConfigError, match=word):
        plan_machines(Wish(parse_machines("8xH100"), **wish))


def test_a_model_that_never_reaches_the_loss_says_what_it_comes_to():
    with pytest.raises(ConfigError, match="take a larger one"):
        plan_machines(Wish(parse_machines("8xH100"), loss=2.2), [preset("gpt2-124m")])
