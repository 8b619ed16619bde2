"""Our kernels beside torch's operations: values and gradients, every odd shape, and who must not see them."""

import copy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from chainrule.base import DeviceError
from chainrule.config import ModelConfig
from chainrule.kernels import (
    causal_attention,
    cross_entropies,
    gated,
    gelu,
    loss_turned_into_gradient,
    rms_norm,
    rotated_heads,
    use_kernels,
)
from chainrule.kernels.attention import ATTENTION, STRETCH
from chainrule.kernels.build import _compiler
from chainrule.kernels.heads import _RotatedHeads
from chainrule.model import GPT

try:
    _compiler({})
except DeviceError:
    pytest.skip("no C++ compiler is here", allow_module_level=True)

# Of the largest number of a result, or of 1: the gradient of a norm of one number is nearly 0, by a difference. In
# bfloat16 one rounding of ours stands against two of torch's, 2^-8 each.
CLOSE = {torch.float32: 4e-6, torch.bfloat16: 1.2e-2}
ROWS, WIDTHS = (1, 3, 65, 130), (1, 7, 33, 64, 130)


def random(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def norm_of(x, weight):
    return rms_norm(x, weight, 1e-5)


def norm_inputs(rows, width, dtype):
    return random(rows, width, dtype=dtype), 1 + 0.3 * random(width, seed=1)


def gated_inputs(rows, width, dtype):
    return 3 * random(rows, width, dtype=dtype), random(rows, width, dtype=dtype, seed=1)


def gelu_inputs(rows, width, dtype):
    return (3 * random(rows, width, dtype=dtype),)


def loss_inputs(rows, width, dtype):
    targets = torch.randint(0, width, (rows,), generator=torch.Generator().manual_seed(2))
    return 3 * random(rows, width, dtype=dtype), targets.where(torch.arange(rows) % 5 != 3, -100)


KERNELS = {
    "rms_norm": (norm_of, norm_inputs),
    "gated": (gated, gated_inputs),
    "gelu": (gelu, gelu_inputs),
    "cross_entropies": (cross_entropies, loss_inputs),
}
HEARD = {"rms_norm": "rsqrt", "gated": "silu", "gelu": "gelu", "cross_entropies": "log_softmax"}
LYING = {
    "in columns": lambda x: x.mT.contiguous().mT if x.dim() > 1 else x,
    "apart": lambda x: x[::2],
    "nowhere": lambda x: x[:0],
}
each_kernel = pytest.mark.parametrize("name", KERNELS)


def result_and_gradients(function, inputs, create_graph=False):
    leaves = [one.detach().clone().requires_grad_(one.is_floating_point()) for one in inputs]
    result = function(*leaves)
    upstream = random(*result.shape, seed=9).to(result.dtype)
    wanted = [one for one in leaves if one.requires_grad]
    return [result, *torch.autograd.grad(result, wanted, upstream, create_graph=create_graph)]


def both_ways(function, inputs):
    """By torch, and by ours."""
    use_kernels("off")
    theirs = result_and_gradients(function, inputs)
    assert use_kernels("auto").name.startswith("own")
    return theirs, result_and_gradients(function, inputs)


def learning(inputs, dtype=None):
    """The inputs as leaves; targets stay what they are."""
    return [one.to(dtype).requires_grad_() if one.is_floating_point() else one for one in inputs]


def is_ours(tensor):
    return tensor.grad_fn is not None and tensor.grad_fn.name() == "_FusedBackward"


@each_kernel
@pytest.mark.parametrize("dtype", CLOSE, ids=str)
def test_values_and_gradients_are_torchs_for_every_odd_shape(name, dtype):
    function, make = KERNELS[name]
    for rows in ROWS:
        for width in WIDTHS:
            theirs, ours = both_ways(function, make(rows, width, dtype))
            assert is_ours(ours[0])
            for expected, found in zip(theirs, ours, strict=True):
                assert found.dtype == expected.dtype and found.shape == expected.shape
                error = (found.double() - expected.double()).abs().max() / expected.double().abs().max().clamp(min=1)
                assert error <= CLOSE[dtype], f"{rows} x {width}: {error:.1e}"


@each_kernel
def test_the_error_against_float64_is_of_the_size_of_torchs(name):
    function, make = KERNELS[name]
    inputs = make(130, 384, torch.float32)
    exact = result_and_gradients(function, learning(inputs, torch.float64))
    theirs, ours = both_ways(function, inputs)
    for true, expected, found in zip(exact, theirs, ours, strict=True):
        theirs_off, ours_off = ((one.double() - true).abs().max() for one in (expected, found))
        assert ours_off <= 4 * theirs_off


@each_kernel
def test_no_bit_depends_on_the_number_of_threads(name):
    function, make = KERNELS[name]
    use_kernels("auto")
    inputs, found = make(1000, 130, torch.float32), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            found.append(result_and_gradients(function, inputs))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def heads_of(x, of_queries, of_keys):
    return torch.cat(rotated_heads(x, (2, 2), turning(x.shape[1], 16), (of_queries, of_keys), 1e-5))


# So large that seven threads get work: each_block in native/parallel.h gives one none for less than 32,768 numbers.
SHARED = {
    "heads": (
        heads_of,
        lambda dtype: (random(3, 901, 96, dtype=dtype), 1 + random(16, seed=1), 1 + random(16, seed=2)),
    ),
    "attention": (
        causal_attention,
        lambda dtype: tuple(random(3, n, 2 * STRETCH + 45, 16, dtype=dtype, seed=n) for n in (4, 2, 2)),
    ),
}


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("name", SHARED)
def test_no_bit_of_heads_and_attention_depends_on_the_number_of_threads(name, dtype):
    function, make = SHARED[name]
    assert use_kernels("auto").reason == "on torch's threads"
    inputs, found = make(dtype), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            found.append(result_and_gradients(function, inputs))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


@each_kernel
@pytest.mark.parametrize("lie", LYING.values(), ids=LYING)
def test_inputs_may_lie_anywhere_and_be_empty(name, lie):
    function, make = KERNELS[name]
    theirs, ours = both_ways(function, [lie(one) if len(one) == 8 else one for one in make(8, 48, torch.float32)])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(theirs, ours, strict=True))


def test_heads_that_lie_between_each_other_are_normalised_where_they_are():
    heads, weight = random(2, 5, 6, 16), random(16)
    theirs, ours = both_ways(norm_of, (heads.transpose(1, 2)[:, :4], weight))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(theirs, ours, strict=True))


@each_kernel
def test_what_is_no_number_stays_none(name):
    function, make = KERNELS[name]
    inputs = make(4, 40, torch.float32)
    inputs[0][1, 37] = float("nan")
    theirs, ours = both_ways(function, inputs)
    assert all(torch.equal(a.isnan(), b.isnan()) for a, b in zip(theirs, ours, strict=True))


@each_kernel
def test_other_formats_and_devices_are_torchs(name):
    function, make = KERNELS[name]
    use_kernels("auto")
    inputs = make(3, 33, torch.float32)
    doubled = learning(inputs, torch.float64)
    assert not is_ours(function(*doubled)) and torch.autograd.gradcheck(function, doubled)
    assert function(*(one.to("meta") for one in inputs)).is_meta
    assert not is_ours(function(*learning(inputs, torch.float16)))


class Heard(TorchDispatchMode):
    """The operations of torch that happen."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


@each_kernel
def test_a_recording_hears_torchs_operations_forwards_and_backwards(name):
    function, make = KERNELS[name]
    use_kernels("auto")
    leaves = learning(make(3, 33, torch.float32))
    with Heard() as whole:
        function(*leaves).sum().backward()
    assert any(HEARD[name] in one for one in whole.names)
    # Watched from the gradient on alone: then the operations of the reference happen once more.
    result = function(*leaves)
    assert is_ours(result)
    with Heard() as backward:
        found = torch.autograd.grad(result.sum(), [leaf for leaf in leaves if leaf.requires_grad])
    assert any(HEARD[name] in one for one in backward.names)
    assert all(torch.equal(gradient, leaf.grad) for gradient, leaf in zip(found, leaves, strict=False))


@each_kernel
def test_gradients_can_be_differentiated_again(name):
    function, make = KERNELS[name]
    inputs = make(3, 9, torch.float32)
    second = []
    for kernels in ("off", "auto"):
        use_kernels(kernels)
        first, *rest = learning([one.clone() for one in inputs])
        (slope,) = torch.autograd.grad(function(first, *rest).square().sum(), first, create_graph=True)
        second.append(torch.autograd.grad(slope.square().sum(), first)[0])
    assert torch.allclose(*second, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("name", ["rms_norm", "gated", "gelu"])
def test_transforms_and_forward_derivatives_are_torchs(name):
    function, make = KERNELS[name]
    inputs = make(5, 9, torch.float32)
    tangents = tuple(torch.ones_like(one) for one in inputs)
    found = []
    for kernels in ("off", "auto"):
        use_kernels(kernels)
        dims = tuple(0 if one.dim() > 1 else None for one in inputs)
        mapped = torch.func.vmap(function, in_dims=dims)(*inputs)
        found.append((mapped, *torch.func.jvp(function, inputs, tangents)))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@each_kernel
def test_autocast_and_no_grad_change_no_format(name):
    function, make = KERNELS[name]
    inputs = make(5, 40, torch.float32)
    use_kernels("off")
    expected = function(*inputs)
    use_kernels("auto")
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = function(*inputs)
    assert found.dtype == expected.dtype and torch.allclose(found, expected, atol=1e-5)


def test_only_what_learns_gets_a_gradient():
    use_kernels("auto")
    x, weight = norm_inputs(4, 8, torch.float32)
    rms_norm(x, weight.requires_grad_(), 1e-5).sum().backward()
    assert x.grad is None and weight.grad is not None


def small_gpt():
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=50,
        context_length=16,
        emb_dim=32,
        n_heads=2,
        n_layers=2,
        norm="rmsnorm",
        position="rope",
        activation="swiglu",
        qk_norm=True,
        bias=False,
        drop_rate=0.0,
    )
    return GPT(config)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_gpt_has_the_same_loss_and_gradients(checkpointing):
    model = small_gpt()
    ids = torch.randint(0, 50, (2, 17), generator=torch.Generator().manual_seed(1))
    found = []
    for kernels in ("off", "auto"):
        use_kernels(kernels)
        one = copy.deepcopy(model).train()
        one.checkpointing = checkpointing
        loss = one.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        found.append([loss, *(parameter.grad for parameter in one.parameters())])
    assert not torch.equal(found[0][1], found[1][1]), "ours were not used"
    for expected, ours in zip(*found, strict=True):
        assert (ours - expected).abs().max() <= 2e-5 * expected.abs().max()


def turning(length, width):
    angles = torch.outer(torch.arange(length), 10.0 ** -torch.arange(0, width, 2).div(width)).repeat(1, 2)
    return angles.cos(), angles.sin()


@pytest.mark.parametrize("normed", [True, False], ids=["normalised", "rotated alone"])
@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1, 2), (2, 33, 3, 1, 34), (3, 40, 4, 2, 64), (1, 70, 2, 2, 16)], ids=str)
def test_heads_in_one_pass_are_torchs_to_a_rounding(shape, dtype, normed):
    """Odd widths and lengths, keys in groups, and a token of zeros."""
    batch, length, n_queries, n_keys, width = shape
    x = random(batch, length, (n_queries + 2 * n_keys) * width, dtype=dtype)
    x[0, length // 2] = 0
    norms = tuple(1 + 0.3 * random(width, seed=seed) for seed in (1, 2)) if normed else None
    rotation, found = turning(length, width), []
    leaves = [one.clone().requires_grad_() for one in (x, *(norms or ()))]
    for kernels in ("off", "auto"):
        use_kernels(kernels)
        given = (leaves[1], leaves[2]) if normed else None
        heads = rotated_heads(leaves[0], (n_queries, n_keys), rotation, given, 1e-5)
        if heads is None:
            # torch's operations in float64: in bfloat16 they round five times
            wide = [one.double() for one in leaves]
            heads = _RotatedHeads(n_queries, n_keys, 1e-5).reference(wide[0], *rotation, *wide[1:])
        else:
            assert all(is_ours(one) and one.dtype == dtype for one in heads) and kernels == "auto"
        upstream = [random(*one.shape, dtype=dtype, seed=9).to(one.dtype) for one in heads]
        found.append([*heads, *torch.autograd.grad(heads, leaves, upstream)])
    for expected, ours in zip(*found, strict=True):
        error = (ours.double() - expected.double()).abs().max() / expected.double().abs().max().clamp(min=1)
        assert error <= CLOSE[dtype] / (1 if dtype == torch.float32 else 2), f"{error:.1e}"


def test_heads_that_are_watched_or_of_another_format_are_left_to_torch():
    use_kernels("auto")
    x, rotation = random(2, 5, 3 * 16).requires_grad_(), turning(5, 16)
    assert rotated_heads(x.double(), (1, 1), rotation, None, 1e-5) is None
    with Heard():
        assert rotated_heads(x, (1, 1), rotation, None, 1e-5) is None
    q, k, v = rotated_heads(x, (1, 1), rotation, None, 1e-5)
    (slope,) = torch.autograd.grad((q * k * v).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), x)
    q, k, v = _RotatedHeads(1, 1, 1e-5).reference(x, *rotation)
    (slope,) = torch.autograd.grad((q * k * v).sum(), x, create_graph=True)
    assert torch.allclose(second, torch.autograd.grad(slope.square().sum(), x)[0], rtol=1e-4, atol=1e-4)


def test_a_model_asks_for_its_heads_in_one_pass():
    model, ids = small_gpt(), torch.arange(16)[None]
    assert use_kernels("auto").name.startswith("own")
    attention = model.blocks[0].attention
    stream = model.token_embedding(ids)
    q, _, _ = attention.projected(stream, model.position_embedding.rotation(slice(0, 16)))
    assert is_ours(q) and q.is_contiguous()


LOOKING_BACK = [(1, 1, 1, 1, 1), (2, 3, 3, 5, 7), (2, 4, 2, 33, 16), (1, 2, 1, STRETCH + 1, 8), (1, 4, 4, 300, 32)]


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("shape", LOOKING_BACK, ids=str)
def test_attention_by_products_is_as_near_to_the_exact_one_as_torchs_products(shape, dtype):
    """One stretch and several, keys in groups, odd lengths, a place of zeros; both against torch in float64."""
    batch, n_heads, n_keys, length, width = shape
    inputs = [3 * random(batch, n, length, width, dtype=dtype, seed=n) for n in (n_heads, n_keys, n_keys)]
    inputs[0][0, 0, length // 2] = inputs[1][0, 0, length // 2] = 0
    upstream, found = random(batch, n_heads, length, width, dtype=dtype, seed=9), []
    leaves = [one.clone().requires_grad_() for one in inputs]
    assert causal_attention(*leaves) is None, "none is in use"
    use_kernels("auto")
    for function in (causal_attention, ATTENTION.reference):
        result = function(*leaves)
        assert is_ours(result) is (function is causal_attention) and result.dtype == dtype
        found.append([result, *torch.autograd.grad(result, leaves, upstream)])
    wide = [one.double().requires_grad_() for one in inputs]
    exact = torch.nn.functional.scaled_dot_product_attention(*wide, is_causal=True, enable_gqa=n_heads != n_keys)
    for true, ours, theirs in zip([exact, *torch.autograd.grad(exact, wide, upstream.double())], *found, strict=True):
        ours_off, theirs_off = ((one.double() - true).norm() for one in (ours, theirs))
        # As many roundings; of a few dozen numbers chance makes a quarter more or less.
        assert ours_off <= 1.5 * theirs_off + 1e-7 * true.norm()


def test_attention_that_is_watched_differentiated_twice_or_not_finite_is_torchs():
    q, k, v = (random(1, 2, 9, 4, seed=seed).requires_grad_() for seed in range(3))
    use_kernels("auto")
    with Heard():
        assert causal_attention(q, k, v) is None
    seconds = []
    for function in (causal_attention, ATTENTION.reference):
        (slope,) = torch.autograd.grad(function(q, k, v).square().sum(), q, create_graph=True)
        seconds.append(torch.autograd.grad(slope.square().sum(), k)[0])
    assert torch.allclose(*seconds, rtol=1e-3, atol=1e-4)
    bad = q.detach().clone()
    bad[0, 1, 3] = float("nan")
    with torch.no_grad():
        assert torch.equal(causal_attention(bad, k, v).isnan(), ATTENTION.reference(bad, k, v).isnan())


def test_exported_programs_hold_torchs_operations():
    use_kernels("auto")

    class Norm(nn.Module):
        def forward(self, x, weight):
            return rms_norm(x, weight, 1e-5)

    program = torch.export.export(Norm(), norm_inputs(4, 8, torch.float32))
    assert any("rsqrt" in str(node.target) for node in program.graph.nodes)


def test_a_target_beyond_the_vocabulary_is_refused_and_nothing_is_read_there():
    use_kernels("auto")
    for wrong in (-1, 7):
        with pytest.raises(IndexError, match=f"target {wrong} "):
            cross_entropies(random(2, 7), torch.tensor([3, wrong]))


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
def test_a_loss_leaves_its_gradient_in_the_place_of_the_logits(dtype):
    logits, targets = loss_inputs(65, 33, dtype)
    leaf, share = logits.clone().requires_grad_(), torch.tensor(0.25)
    expected = cross_entropies(leaf, targets).sum() * share
    expected.backward()
    assert loss_turned_into_gradient(logits, targets, share) is None, "none is in use"
    assert torch.equal(logits, leaf.detach())
    use_kernels("auto")
    place = logits.data_ptr()
    loss = loss_turned_into_gradient(logits, targets, share)
    assert torch.allclose(loss, expected) and logits.data_ptr() == place
    assert (logits - leaf.grad).abs().max() <= CLOSE[dtype]
