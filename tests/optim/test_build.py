from contextlib import contextmanager
from typing import get_args

import pytest
import torch

from chainrule.config import Config, Layer, preset, resolve
from chainrule.config.optimizers import OPTIMIZERS, OptimizerKind
from chainrule.model import GPT
from chainrule.optim import Muon, Optimizer, build, portions

TINY = Layer("t", {"model": {"vocab_size": 32, "context_length": 8, "emb_dim": 16, "n_heads": 2, "n_layers": 2}})

each_kind = pytest.mark.parametrize("kind", OPTIMIZERS)


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


def grouped(model: GPT, optimizer: Optimizer) -> dict[str, tuple[torch.optim.Optimizer, dict]]:
    """The part and the group of each parameter that is moved, by its name; fails where one is in two."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    pairs = [(part, group) for part in optimizer.parts for group in part.param_groups]
    found = [(names[id(one)], (part, group)) for part, group in pairs for one in group["params"]]
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize("modern", [True, False])
@each_kind
def test_every_parameter_is_in_exactly_one_group(kind, modern):
    settings = config(kind, modern)
    model = GPT(settings.model)
    assert grouped(model, Optimizer(model, settings)).keys() == dict(model.named_parameters()).keys()


@each_kind
def test_what_does_not_learn_is_in_no_group_and_does_not_move(kind):
    settings = config(kind)
    torch.manual_seed(0)
    model = GPT(settings.model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("attention" in name)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = Optimizer(model, settings)
    learning = grouped(model, optimizer).keys()
    assert learning and all("attention" in name for name in learning)
    trained(settings, 2, optimizer, model)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == set(learning)


def test_norms_and_biases_do_not_decay_and_embeddings_are_not_orthogonalised():
    settings = config("muon", modern=False)
    model = GPT(settings.model)
    found = grouped(model, Optimizer(model, settings))
    plain = {name for name, (_, group) in found.items() if not group["weight_decay"]}
    assert plain and all(name.endswith(("norm.weight", "bias")) for name in plain)
    orthogonalised = {name for name, (part, _) in found.items() if isinstance(part, Muon)}
    assert found.keys() - plain - orthogonalised == {"token_embedding.weight", "position_embedding.weight"}
    stacked = {name for name, (_, group) in found.items() if group.get("pieces")}
    assert stacked == {name for name in found if name.endswith("qkv.weight")}


@each_kind
def test_both_learn_a_batch_by_heart(kind):
    _, _, losses = trained(config(kind, modern=True), 40)
    assert losses[-1] < 0.5 * losses[0]


@each_kind
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


@each_kind
def test_portions_bound_what_moves_at_once_and_change_no_bit(kind, monkeypatch):
    settings = config(kind)
    whole, _, losses = trained(settings, 3)
    monkeypatch.setattr(portions, "PORTION_NUMBERS", 1500)
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


def test_the_schema_the_rows_and_the_room_name_the_same_optimizers():
    assert set(get_args(OptimizerKind)) == set(OPTIMIZERS) == set(build.OPTIMIZERS)


@each_kind
def test_the_row_says_the_bytes_that_are_kept_and_the_rates_that_are_used(kind):
    settings = config(kind)
    model, optimizer, _ = trained(settings, 1)
    kept = sum(tensor.nbytes for key, tensor in optimizer.state().items() if not key.endswith(":step"))
    total = sum(parameter.numel() for parameter in model.parameters())
    inner = sum(p.numel() for name, p in model.named_parameters() if name.startswith("blocks.") and p.dim() > 1)
    assert kept == settings.optimizer.row.state_bytes(inner, total - inner)
    peaks = {group["peak"] for part in optimizer.parts for group in part.param_groups}
    assert set(settings.optimizer.peak_rates.values()) == peaks
