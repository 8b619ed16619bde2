"""The estimate follows what autograd keeps, and a model too large is refused with numbers."""

import pytest
import torch

from chainrule.base import DeviceError, processor_class
from chainrule.config import Config, Layer, ModelConfig, preset, resolve
from chainrule.model import GPT
from chainrule.model.loss import LOOKED_AT_SHARE
from chainrule.optim import Optimizer, muon, portions
from chainrule.plan import Machine, check_memory, memory_bytes, parameters
from chainrule.plan.memory import LOGITS_AT_ONCE, LOOKED_AT_ONCE, MOVING_NUMBERS, SLICE_NUMBERS

MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False}
SHAPE = {"vocab_size": 512, "context_length": 128, "emb_dim": 128, "n_heads": 4, "n_layers": 3}


def saved_bytes(model: ModelConfig, windows: int, bf16: bool, length: int = 0) -> int:
    """Bytes that autograd keeps for the backward pass, each storage once."""
    network = GPT(model)
    own = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    ids = torch.zeros(windows, length or model.context_length, dtype=torch.long)
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        loss = network.loss(ids, ids)
    del loss
    return sum(tensor.untyped_storage().nbytes() for pointer, tensor in kept.items() if pointer not in own)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("drop_rate", [0.0, 0.1])
@pytest.mark.parametrize("family", [{}, MODERN, MODERN | {"qk_norm": True}])
def test_activations_are_what_autograd_keeps(family, drop_rate, bf16):
    model = ModelConfig(**SHAPE, **family, drop_rate=drop_rate)
    # The difference of two batch sizes leaves out what does not grow with the batch (masks, cast weights).
    measured = saved_bytes(model, 3, bf16) - saved_bytes(model, 2, bf16)
    planned = memory_bytes(Config(model=model), precision="bfloat16" if bf16 else "float32").activations
    at_the_turning_point = model.context_length * model.vocab_size * 8
    assert planned - at_the_turning_point == pytest.approx(measured, rel=0.1)


def test_scores_are_planned_in_bfloat16_where_the_model_keeps_them():
    model = ModelConfig(**SHAPE, **MODERN, drop_rate=0.0)
    longer = model.model_copy(update={"context_length": 2 * model.context_length})
    # One window more of twice the length, or two more: what differs is scores alone.
    measured = (saved_bytes(longer, 3, True) - saved_bytes(longer, 2, True)) - (
        saved_bytes(model, 4, True) - saved_bytes(model, 2, True)
    )
    short, long = (
        memory_bytes(Config(model=shape), micro_batch=windows, precision="bfloat16").activations
        for shape, windows in ((model, 2), (longer, 1))
    )
    assert long - short == pytest.approx(measured, rel=0.02, abs=2**12)
    assert (long > short) is processor_class().attends_by_products
    assert GPT(model).blocks[0].attention.products_pay is processor_class().attends_by_products


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_the_optimizers_bytes_are_its_state(kind):
    config = Config(model=ModelConfig(**SHAPE), optimizer={"kind": kind})
    network = GPT(config.model)
    optimizer = Optimizer(network, config)
    ids = torch.zeros(1, 8, dtype=torch.long)
    network.loss(ids, ids).backward()
    optimizer.step(1.0)
    held = sum(tensor.nbytes for key, tensor in optimizer.state().items() if not key.endswith(":step"))
    assert memory_bytes(config).optimizer == held


def test_weights_and_gradients_are_four_bytes_each():
    config = Config()
    need = memory_bytes(config)
    assert need.weights == need.gradients == 4 * parameters(config.model).total


def test_recomputing_needs_less_and_larger_batches_need_more():
    config = Config()
    plain = memory_bytes(config, micro_batch=4)
    assert memory_bytes(config, micro_batch=4, checkpointing=True).activations < plain.activations / 3
    # Not twice as much: the portion of logits and the gradient of the head are there once.
    assert 1.9 * plain.activations < memory_bytes(config, micro_batch=8).activations < 2 * plain.activations
    assert memory_bytes(config, micro_batch=4, precision="bfloat16").activations < plain.activations
    assert memory_bytes(config, micro_batch=4, device="cuda").activations < plain.activations


def test_a_model_too_large_is_refused_with_numbers():
    machine = Machine(cores=2, memory_bytes=8 * 2**30, peak_flops=1e12)
    with pytest.raises(DeviceError) as caught:
        check_memory(resolve([preset("gpt2-1558m")]).config, machine)
    message = str(caught.value)
    assert (
        "1.56B parameters" in message and "cpu has 8.0 GiB available" in message and "lower model.n_layers" in message
    )
    assert caught.value.exit_code == 2


def test_a_window_too_long_is_told_apart():
    config = Config(model=ModelConfig(**SHAPE | {"context_length": 200_000}))
    with pytest.raises(DeviceError, match=r"lower model\.context_length or set machine\.activation_checkpointing"):
        check_memory(config, Machine(2, 8 * 2**30, 1e12))


def test_an_absurd_model_is_refused_by_arithmetic_alone():
    config = Config(model=ModelConfig(n_layers=10**12, vocab_size=10**12))
    with pytest.raises(DeviceError, match="parameters needs about"):
        check_memory(config, Machine(2, 8 * 2**30, 1e12))


def test_what_fits_comes_back_as_numbers():
    need = check_memory(resolve([preset("cpu-small")]).config, Machine(2, 8 * 2**30, 1e12))
    parts = need.components()
    assert need.total - parts["weights"] - parts["gradients"] - parts["optimizer"] > max(parts["activations"], 0)
    assert need.total < 2**30


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("family", [{}, MODERN | {"qk_norm": True}])
def test_windows_cut_short_keep_no_more_than_whole_ones(family, bf16):
    # A pass over windows in pieces has as many times the windows, so the same tokens.
    model = ModelConfig(**SHAPE, **family, drop_rate=0.1)
    pieces = [saved_bytes(model, 2 * n, bf16, model.context_length // n) for n in (1, 2, 4)]
    assert pieces[0] >= pieces[1] >= pieces[2]


def test_a_look_at_held_out_text_is_the_peak_of_a_small_model_with_many_words():
    wide = {"model": {"n_layers": 1, "emb_dim": 64, "n_heads": 1, "context_length": 128, "vocab_size": 32768}}
    need = memory_bytes(resolve([Layer("f", wide)]).config)
    assert need.evaluation > need.gradients + need.activations + need.holes + need.head
    assert need.total > need.weights + need.optimizer + need.evaluation


def test_a_head_that_is_the_embedding_too_has_its_gradient_beside_the_activations():
    tied, untied = (ModelConfig(**SHAPE, tied_embeddings=tied) for tied in (True, False))
    heads = [memory_bytes(Config(model=model)).head for model in (tied, untied)]
    assert heads == [4 * SHAPE["vocab_size"] * SHAPE["emb_dim"], 0]


def test_the_total_is_the_larger_of_the_two_phases():
    config = resolve([preset("gpt2-124m"), Layer("f", {"training": {"batch_tokens": 4096}})]).config
    small, large = memory_bytes(config, micro_batch=1, checkpointing=True), memory_bytes(config, micro_batch=2)
    for need in (small, large):
        assert need.total >= need.weights + need.optimizer + need.gradients + max(need.activations, need.update)
    whole = memory_bytes(config, micro_batch=4)
    assert whole.total < sum(whole.components().values())
    assert not whole.summed


def test_health_and_muon_cost_a_portion_and_no_copy_of_the_model():
    big = {"model": {"n_layers": 48, "emb_dim": 1600, "n_heads": 25}, "optimizer": {"kind": "muon"}}
    with_health = memory_bytes(resolve([Layer("f", big)]).config)
    without = memory_bytes(resolve([Layer("f", big | {"training": {"health_every": 0}})]).config)
    assert without.update < with_health.update < 0.15 * with_health.weights
    # Muon moves a slice besides; here AdamW's portion is an embedding of more numbers than Muon's portion and slice.
    adamw = {"optimizer": {"kind": "adamw"}}
    assert memory_bytes(resolve([Layer("f", big | adamw)]).config).update <= with_health.update
    narrow = {"model": {"n_layers": 48, "emb_dim": 768, "n_heads": 12, "vocab_size": 4096}}
    updates = [
        memory_bytes(resolve([Layer("f", narrow | kind)]).config).update
        for kind in (adamw, {"optimizer": {"kind": "muon"}})
    ]
    assert updates[0] < updates[1]


def test_many_logits_cost_a_portion_and_the_plan_knows_the_bounds_of_model_and_optimizer():
    config = resolve([preset("gpt2-124m"), Layer("f", {"training": {"batch_tokens": 2**16}})]).config
    few, many = memory_bytes(config, micro_batch=1), memory_bytes(config, micro_batch=64)
    assert many.activations < 64 * few.activations - 30e9
    assert GPT(ModelConfig(**SHAPE)).logits_at_once == LOGITS_AT_ONCE == LOOKED_AT_ONCE * LOOKED_AT_SHARE
    assert (muon.SLICE_NUMBERS, portions.PORTION_NUMBERS) == (SLICE_NUMBERS, MOVING_NUMBERS)
