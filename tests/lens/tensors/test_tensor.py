"""The tensor explorer says what torch does: held against torch itself wherever there is something to hold against."""

import json
import math
import random
import warnings

import numpy as np
import pytest
import torch

import chainrule.lens.tensors.values as tensor_values
from chainrule import lens
from chainrule.base import LensError
from chainrule.lens.tensors.layout import overlaps_itself, places


def strided(seed: int) -> torch.Tensor:
    """A tensor with some shape, some order of axes, gaps and repeated axes."""
    chance = random.Random(seed)
    one = torch.arange(48).view(chance.choice([(48,), (6, 8), (2, 3, 8), (4, 1, 12), (2, 2, 3, 4)]))
    for _ in range(chance.randint(0, 3)):
        turn = chance.randint(0, 3)
        if turn == 0:
            one = one.permute(chance.sample(range(one.dim()), one.dim()))
        elif turn == 1:
            one = one[:: chance.randint(1, 2)]
        elif turn == 2:
            one = one.unsqueeze(chance.randint(0, one.dim()))
        else:
            one = one.expand([n if n != 1 else chance.randint(1, 3) for n in one.shape])
    return one


def factors(n: int, chance: random.Random) -> list[int]:
    found = []
    while n > 1 and chance.random() < 0.8:
        found.append(chance.choice([d for d in range(1, n + 1) if n % d == 0]))
        n //= found[-1]
    return [*found, n]


def test_a_view_is_said_to_work_exactly_where_torch_makes_one():
    answers = []
    for seed in range(400):
        one = strided(seed)
        shape = factors(one.numel(), random.Random(-seed))
        try:
            one.view(*shape)
            works = True
        except RuntimeError:
            works = False
        seen = lens.viewing(one, *shape)
        assert seen.works == works, (one.shape, one.stride(), shape, seen)
        answers.append(works)
    assert 50 < sum(answers) < 350


def test_a_refused_view_names_the_stride_that_would_be_needed():
    seen = lens.viewing(torch.arange(6).view(2, 3).T, 6)
    assert not seen and seen.axis == 0
    assert "stride[0] = shape[1] × stride[1] = 2 × 3 = 6, and it is 1" in seen.why


def test_one_size_may_be_left_to_be_worked_out_and_no_more():
    one = torch.zeros(2, 6)
    assert lens.viewing(one, -1, 4).shape == (3, 4)
    assert not lens.viewing(one, -1, 5)
    with pytest.raises(LensError, match="one of them may be -1"):
        lens.viewing(one, -1, -1)


def test_strides_that_overlap_are_found_as_counting_places_finds_them():
    for seed in range(300):
        chance = random.Random(seed)
        shape = [chance.randint(1, 4) for _ in range(chance.randint(0, 3))]
        stride = [chance.randint(0, 6) for _ in shape]
        found = overlaps_itself(shape, stride)
        assert found == (len(np.unique(places(shape, stride))) < math.prod(shape)), (shape, stride)


def test_the_span_reaches_to_the_last_place_of_any_element():
    for seed in range(50):
        one = strided(seed)
        view = lens.tensor(one)
        assert view.layout.span == places(one.shape, one.stride()).max() + 1
        assert view.layout.contiguous == one.is_contiguous()
        assert view.n_elements == one.numel()


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (torch.zeros(2, 3), "row-major"),
        (torch.zeros(2, 3).T, "column-major"),
        (torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last), "channels_last"),
        (torch.zeros(2, 3, 4, 5, 2).to(memory_format=torch.channels_last_3d), "channels_last_3d"),
        (torch.zeros(3, 1).expand(3, 4), "stride 0"),
        (torch.zeros(2, 3, 4).permute(2, 0, 1), "(1, 2, 0)"),
        (torch.zeros(6)[::2], "with gaps"),
        (torch.zeros(20).as_strided((4, 4), (2, 1)), "overlap"),
    ],
)
def test_the_order_in_memory_has_its_name(one, word):
    assert word in lens.tensor(one).layout.order


def test_who_shares_memory_is_what_a_write_shows():
    a = torch.zeros(2, 3)
    array = a.numpy()
    found = lens.shares(a=a, turned=a.T, row=a[0], other=a[1], array=array, copy=a.clone(), reshaped=a.T.reshape(6))
    assert found.groups == (("a", "turned", "row", "other", "array"), ("copy",), ("reshaped",))
    assert not found
    touching = {(pair.first, pair.second): pair.overlap for pair in found.pairs}
    assert touching["row", "other"] is False
    assert touching["a", "turned"] is touching["row", "array"] is True
    assert lens.shares(a, a.view(6)) and not lens.shares(a, torch.zeros(2, 3))


def test_arrays_and_two_tensors_made_from_one_array_share_too():
    array = np.zeros(4, dtype=np.float32)
    assert lens.shares(torch.from_numpy(array), torch.from_numpy(array), array[::-2])
    assert not lens.shares(array[:2], array[2:])
    assert not lens.shares(torch.tensor(array), array)


def test_a_view_of_other_width_overlaps_by_its_bytes():
    words = torch.zeros(4, dtype=torch.int32)
    octets = words.view(torch.uint8)
    assert lens.shares(words=words, octets=octets[:4]).pairs[0].overlap is True
    assert lens.shares(words=words[:1], octets=octets[4:]).pairs[0].overlap is False


def test_tensors_of_no_bytes_and_on_meta_share_only_with_their_own_views():
    empty, meta = torch.zeros(0, 3), torch.zeros(2, 3, device="meta")
    assert not lens.shares(empty, torch.zeros(0, 3))
    assert lens.shares(meta, meta.T)
    assert not lens.shares(meta, torch.zeros(2, 3, device="meta"))


def test_sharing_needs_two():
    with pytest.raises(LensError, match="two tensors"):
        lens.shares(torch.zeros(1))


@pytest.mark.parametrize(
    ("one", "array_shares"),
    [
        (torch.zeros(2), True),
        (torch.zeros(2, requires_grad=True), True),
        (torch.zeros(2, dtype=torch.bfloat16), False),
        (torch.zeros(2, dtype=torch.bfloat16, requires_grad=True), False),
        (torch.zeros(2, dtype=torch.complex64).conj(), False),
        (torch.zeros(2, dtype=torch.complex64).conj().imag, False),
    ],
)
def test_the_way_to_numpy_works_and_shares_as_it_says(one, array_shares):
    way = lens.tensor(one).numpy
    array = eval(way.call, {"t": one})
    assert way.shared is array_shares
    assert bool(lens.shares(one.detach(), array)) is array_shares


def test_how_a_tensor_is_made_decides_its_dtype():
    assert lens.tensor([1, 2]).made.startswith("torch.tensor of Python ints gives int64")
    assert lens.tensor([1, 2.5]).made.startswith("torch.tensor of Python ints and floats gives float32")
    assert lens.tensor(True).made.startswith("torch.tensor of a Python bool gives bool")
    assert "shared" in lens.tensor(np.zeros(2)).made
    assert "negative strides" in lens.tensor(np.arange(3)[::-1]).made
    frozen = np.arange(3)
    frozen.flags.writeable = False
    assert "read-only" in lens.tensor(frozen).made
    assert "default dtype" in lens.tensor(torch.zeros(1)).text()
    assert ".to(…)" in lens.tensor(torch.zeros(1, requires_grad=True).to(torch.float64)).text()


@pytest.mark.parametrize("wrong", ["text", [[1], [1, 2]], None, np.array(["a"]), object()])
def test_what_is_no_numbers_is_refused_with_what_is(wrong):
    with pytest.raises(LensError, match=r"give a tensor|convert it first"):
        lens.tensor(wrong)


def test_the_place_in_autograd_is_told():
    w = torch.ones(2, requires_grad=True)
    y = (w * 2).sum()
    y.backward()
    assert lens.tensor(w).autograd.has_grad
    assert lens.tensor(w).autograd.leaf
    assert lens.tensor(y).autograd.grad_fn == "SumBackward0"
    one = torch.zeros(2)
    one[0] = 1
    one.mul_(2)
    assert lens.tensor(one).autograd.version == 2
    with torch.inference_mode():
        unseen = torch.zeros(2)
    assert lens.tensor(unseen).autograd.version is None


def test_looking_changes_nothing():
    one = torch.randn(3, 4, requires_grad=True)
    before, state = one.detach().clone(), torch.random.get_rng_state()
    lens.tensor(one * 1).text()
    assert torch.equal(one, before) and one.grad is None and one._version == 0
    assert torch.equal(torch.random.get_rng_state(), state)


def test_nan_and_inf_are_counted_and_their_places_are_where_they_stand():
    one = torch.zeros(4, 5)
    one[1, 2] = one[3, 4] = math.nan
    one[0, 0], one[2, 2] = math.inf, -math.inf
    values = lens.tensor(one).values
    assert values.nan_places == ((1, 2), (3, 4))
    assert values.inf_places == ((0, 0), (2, 2))
    assert values.stats.n_nan == values.stats.n_inf == 2
    assert values.smallest == values.largest == 0.0


def test_large_integers_are_told_exactly():
    values = lens.tensor(torch.tensor([2**62 + 1, -5])).values
    assert (values.smallest, values.largest) == (-5, 2**62 + 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.bool, torch.bfloat16])
def test_a_histogram_counts_every_element_once(dtype):
    one = (torch.randn(500, generator=torch.Generator().manual_seed(1)) * 30).to(dtype)
    found = lens.tensor(one).values.histogram
    assert sum(found.counts) == 500
    assert list(found.edges) == sorted(found.edges)


def test_a_few_integers_have_a_bin_each():
    found = lens.tensor(torch.tensor([0, 1, 1, 3])).values.histogram
    assert found.counts == (1, 2, 0, 1)


def test_a_cell_of_a_heatmap_is_the_mean_of_its_elements():
    one = torch.arange(48.0 * 96).view(48, 96)
    found = lens.tensor(one).values.heatmap
    assert (len(found.rows), len(found.rows[0])) == (24, 48)
    assert found.rows[1][2] == one[2:4, 4:6].mean().item()
    one[0, 0] = math.nan
    assert math.isnan(lens.tensor(one).values.heatmap.rows[0][0])


def test_a_huge_tensor_is_sampled_and_says_so_but_its_ends_and_nan_are_exact(monkeypatch):
    monkeypatch.setattr(tensor_values, "MOST_MEASURED", 1000)
    monkeypatch.setattr(tensor_values, "N_SAMPLED", 200)
    one = torch.arange(4000.0).view(40, 100) + 1
    view = lens.tensor(one)
    assert view.values.n_sampled == 200
    assert (view.values.smallest, view.values.largest) == (1.0, 4000.0)
    assert "200 elements drawn from 4,000" in view.text()
    one[7, 9] = math.nan
    values = lens.tensor(one).values
    assert values.nan_places == ((7, 9),) and values.stats.n_nan == 1
    assert (values.smallest, values.largest) == (1.0, 4000.0)
    assert values.stats == lens.tensor(one).values.stats, "the same sample each time"


EVERY_KIND = {
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 3),
    "bool": torch.tensor([True, False]),
    "complex": torch.randn(3, 3, dtype=torch.complex64),
    "bf16": torch.randn(9).bfloat16(),
    "fp8": torch.zeros(2, 2).to(torch.float8_e4m3fn),
    "uint64": torch.zeros(3, dtype=torch.uint64),
    "meta": torch.zeros(3, 4, device="meta"),
    "expanded": torch.ones(1).expand(30, 40),
    "turned": torch.randn(20, 30).T,
    "graph": torch.randn(4, 4, requires_grad=True) * 2,
    "all NaN": torch.full((100,), math.nan),
    "extremes": torch.tensor([1.5e308, -1.5e308] * 60, dtype=torch.float64),
    "rank 4": torch.randn(2, 3, 4, 5),
    "one value": torch.ones(100),
    "neighbours": torch.tensor([1.0, 1.0000001] * 50),
}


@pytest.mark.parametrize("name", EVERY_KIND)
def test_every_kind_of_tensor_is_told_within_the_width_and_in_every_form(name):
    view = lens.tensor(EVERY_KIND[name], name=name)
    for width in (100, 60):
        assert max(map(len, view.text(width).splitlines())) <= width
    told = json.loads(lens.render(view, "json"))
    assert told["shape"] == list(EVERY_KIND[name].shape)
    page = lens.render(view, "html")
    assert page.startswith("<!doctype html>") and "http" not in page.replace("http://www.w3.org", "")
    assert lens.render(view, "svg").startswith("<svg") and lens.render(view, "md").startswith(f"# {name}")
    assert repr(view) == view.text() == lens.render(view)


def test_a_page_escapes_the_name():
    assert "<b>" not in lens.render(lens.tensor(torch.zeros(2), name="<b>"), "html")


def test_small_tensors_are_shown_whole_and_large_ones_as_pictures():
    small, large = lens.tensor(torch.tensor([[1, 2], [3, 4]])).text(), lens.tensor(torch.randn(50, 50)).text()
    assert small.endswith("whole\n  1  2\n  3  4")
    assert "histogram" in large and "heatmap" in large and "█" in large


def test_sparse_quantised_and_nested_tensors_are_refused_with_what_to_look_at():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds = {
            "to_dense": torch.eye(3).to_sparse(),
            "values": torch.eye(3).to_sparse_csr(),
            "dequantize": torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8),
            "unbind": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        }
    for remedy, one in kinds.items():
        with pytest.raises(LensError, match=remedy):
            lens.tensor(one)


def test_the_others_are_named_and_a_name_cannot_mean_two():
    one = torch.zeros(2, 3)
    text = lens.tensor(one, one[0], copy=one.clone()).text()
    assert "with other 1" in text
    with pytest.raises(LensError, match="name of the tensor itself"):
        lens.tensor(one, t=one)
