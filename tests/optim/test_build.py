from contextlib import contextmanager
from typing import get_args

import pytest
import torch

from chainrule.config import Config, Layer, preset, resolve
from chainrule.config.optimizers import OPTIMIZERS, OptimizerKind
from chainrule.model import GPT
from chainrule.optim import Optimizer, build
from chainrule.optim.build import GROUPINGS, parameter_groups

TINY = Layer("t", {"model": {"vocab_size": 32, "context_length": 8, "emb_dim": 16, "n_heads": 2, "n_layers": 2}})


def config(kind: str, modern: bool = True) -> Config:
    layers = [preset("cpu-tiny" if modern else "gpt2-124m"), TINY, Layer("k", {"optimizer": {"kind": kind}})]
    return resolve(layers).config


def trained(settings: Config, n_steps: int, optimizer: Optimizer | None = None, model: GPT | None = None):
    torch.manual_seed(0)
    model = model or GPT(settings.model)
    optimizer = optimizer or Optimizer(model, settings)
    ids = torch.randint(0, 32, (4, 9), generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(n_steps):
        loss = model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        optimizer.step(1.0)
        optimizer.zero_grad()
        losses.append(loss.item())
    return model, optimizer, losses


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_every_parameter_is_in_exactly_one_group(kind, modern):
    settings = config(kind, modern)
    model = GPT(settings.model)
    grouped = [name for names in parameter_groups(model, settings).values() for name in names]
    assert sorted(grouped) == sorted(name for name, _ in model.named_parameters())


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_what_does_not_learn_is_in_no_group_and_does_not_move(kind):
    settings = config(kind)
    torch.manual_seed(0)
    model = GPT(settings.model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("attention" in name)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    grouped = [name for names in parameter_groups(model, settings).values() for name in names]
    assert grouped and all("attention" in name for name in grouped)
    trained(settings, 2, Optimizer(model, settings), model)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == set(grouped)


def test_norms_and_biases_do_not_decay_and_embeddings_are_not_orthogonalised():
    settings = config("muon", modern=False)
    groups = parameter_groups(GPT(settings.model), settings)
    assert all(name.endswith(("norm.weight", "bias")) for name in groups["plain"])
    assert set(groups["embeddings"]) == {"token_embedding.weight", "position_embedding.weight"}


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_both_learn_a_batch_by_heart(kind):
    _, _, losses = trained(config(kind, modern=True), 40)
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_state_that_is_taken_over_goes_on_with_the_same_bits(kind):
    settings = config(kind)
    straight, _, expected = trained(settings, 6)
    model, optimizer, first = trained(settings, 3)
    saved = {name: tensor.clone() for name, tensor in optimizer.state().items()}
    again = Optimizer(model, settings)
    again.load_state(saved)
    _, _, then = trained(settings, 3, again, model)
    assert first + then == expected
    for name, tensor in straight.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_a_state_of_another_model_is_refused():
    settings = config("adamw")
    optimizer = Optimizer(GPT(settings.model), settings)
    with pytest.raises(KeyError, match=r"blocks\.7"):
        optimizer.load_state({"blocks.7.attention.out.weight:exp_avg": torch.zeros(1)})


def test_the_learning_rate_is_the_peak_times_the_factor():
    settings = config("muon")
    _, optimizer, _ = trained(settings, 1)
    optimizer.step(0.25)
    rates = {group["lr"] for part in optimizer.parts for group in part.param_groups}
    assert rates == {0.25 * settings.optimizer.lr, 0.25 * settings.optimizer.muon_lr}


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_portions_bound_what_moves_at_once_and_change_no_bit(kind, monkeypatch):
    settings = config(kind)
    whole, _, losses = trained(settings, 3)
    monkeypatch.setattr(build, "PORTION_NUMBERS", 1500)
    model, optimizer, in_portions = trained(settings, 3)
    seen: list[list[torch.Tensor]] = []

    @contextmanager
    def around(moving):
        seen.append(moving)
        yield

    assert in_portions == losses
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), whole.parameters(), strict=True))
    model.loss(torch.zeros(1, 8, dtype=torch.long), torch.zeros(1, 8, dtype=torch.long)).backward()
    optimizer.step(0.1, around)
    assert len(seen) > 3
    assert all(len(moving) == 1 or sum(one.numel() for one in moving) <= 1500 for moving in seen)
    moved = [id(one) for moving in seen for one in moving]
    assert sorted(moved) == sorted(id(one) for one in model.parameters())


def test_muons_momentum_is_made_before_the_first_step_and_stays_where_it_is():
    settings = config("muon")
    model = GPT(settings.model)
    optimizer = Optimizer(model, settings)

    def places() -> dict[str, int]:
        return {key: one.data_ptr() for key, one in optimizer.state().items() if key.endswith(":momentum")}

    made = places()
    ids = torch.zeros(1, 8, dtype=torch.long)
    model.loss(ids, ids).backward()
    optimizer.step(1.0)
    assert made and places() == made
    assert any(optimizer.state()[key].count_nonzero() for key in made)
    optimizer.forget()
    assert places() == made
    assert optimizer.state().keys() == made.keys()
    assert not any(one.count_nonzero() for one in optimizer.state().values())


def test_the_schema_the_rows_and_the_groupings_name_the_same_optimizers():
    assert set(get_args(OptimizerKind)) == set(OPTIMIZERS) == set(GROUPINGS)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_the_state_that_is_planned_is_the_state_that_is_kept(kind):
    settings = config(kind)
    model, optimizer, _ = trained(settings, 1)
    kept = sum(tensor.numel() for key, tensor in optimizer.state().items() if not key.endswith(":step"))
    row, total = OPTIMIZERS[kind], sum(parameter.numel() for parameter in model.parameters())
    inner = sum(p.numel() for name, p in model.named_parameters() if name.startswith("blocks.") and p.dim() > 1)
    assert kept == row.matrix_state * inner + row.state * (total - inner)
    assert set(settings.optimizer.peak_rates) <= {"lr", "muon_lr"} and "lr" in settings.optimizer.peak_rates
