import gc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.lens.tape import Value
from chainrule.lens.tape.memory import LARGE, Memory, overlap, places


def held(memory, tensor, number=0):
    value = Value(number, f"value{number}", "constant", memory.meta(tensor), tensor=tensor)
    memory.hold(tensor, value)
    return value


def test_a_tensor_is_known_by_identity_and_its_storage_by_number():
    memory, x = Memory(), torch.ones(3, 4)
    held(memory, x)
    assert memory.holding(x).value == 0
    assert memory.holding(x.clone()) is None
    assert memory.holding(x.view(-1)) is None
    assert memory.storage(x.t()) is memory.storage(x)
    assert memory.storage(x.clone()).number == 1


def test_a_new_tensor_at_an_old_address_is_not_taken_for_the_old_one():
    memory, numbers = Memory(), set()
    for i in range(200):
        x = torch.ones(5)
        assert memory.holding(x) is None
        value = Value(i, "value", "constant", memory.meta(x))
        memory.hold(x, value)
        numbers.add(value.meta.storage)
        del x
        gc.collect(0)
    assert len(numbers) == 200


def test_before_a_write_every_kept_value_of_the_storage_is_copied_and_the_tensor_itself_is_not():
    memory, x = Memory(), torch.arange(6.0)
    whole, part = held(memory, x), held(memory, x[2:4], 1)
    memory.before_write(x)
    x.zero_()
    assert whole.tensor.tolist() == [0, 1, 2, 3, 4, 5]
    assert part.tensor.tolist() == [2, 3]
    assert part.tensor.untyped_storage().data_ptr() == whole.tensor.untyped_storage().data_ptr()
    assert whole.overwritten
    assert part.overwritten


def test_a_write_is_missed_only_by_tensors_that_share_an_element_with_it():
    memory, x = Memory(), torch.zeros(3, 4)
    left, right, row = x[:, :2], x[:, 2:], x[1]
    for number, tensor in enumerate((x, left, right, row)):
        held(memory, tensor, number)
    memory.before_write(left)
    memory.wrote(left, Value(4, "value4", "result", memory.meta(left), tensor=left))
    assert [len(memory.missed(tensor)) for tensor in (x, left, right, row)] == [1, 0, 0, 1]


def test_a_tensor_of_inference_mode_has_no_version_and_is_no_trouble():
    with torch.inference_mode():
        x = torch.ones(2)
    assert Memory().meta(x).version == 0


@st.composite
def placed(draw):
    """A view of 24 elements."""
    x = torch.arange(24)
    shape = draw(st.sampled_from([(24,), (4, 6), (2, 3, 4), (6, 4)]))
    view = x.view(shape)
    for axis in range(len(shape)):
        start = draw(st.integers(0, shape[axis] - 1))
        view = view.narrow(axis, start, draw(st.integers(0, shape[axis] - start)))
    view = view[draw(st.sampled_from([..., slice(None, None, 2)]))]
    return view.t() if view.dim() == 2 and draw(st.booleans()) else view


@settings(max_examples=100, deadline=None)
@given(placed(), placed())
def test_overlap_is_having_an_element_in_common(one, other):
    spots = [(tuple(view.shape), view.stride(), view.storage_offset()) for view in (one, other)]
    assert overlap(*spots) == bool(set(one.flatten().tolist()) & set(other.flatten().tolist()))
    assert torch.equal(places(*spots[0], torch.device("cpu")), one)


@pytest.mark.parametrize("n", [LARGE // 2, LARGE])
def test_columns_beside_each_other_are_told_apart_unless_they_are_very_large(n):
    shape, stride = (n + 1, 1), (2, 1)
    assert overlap((shape, stride, 0), (shape, stride, 1)) == (n >= LARGE)
