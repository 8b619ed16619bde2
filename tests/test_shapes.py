"""What was let through because its like was seen before is still checked where it differs."""

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from shapes import decorate
from torch import Tensor


@pytest.fixture
def product():
    """A function with the annotations of a product, and what it was called with; it returns what it is told to."""
    calls = []

    def multiplied(a: Float[Tensor, "M K"], b: Float[Tensor, "K N"], result: object = None) -> Float[Tensor, "M N"]:
        calls.append((a, b))
        return a @ b if result is None else result

    return decorate(multiplied), calls


def test_a_call_of_the_same_shapes_passes_and_is_made_each_time(product):
    multiplied, calls = product
    for _ in range(3):
        assert multiplied(torch.ones(2, 3), torch.ones(3, 4)).shape == (2, 4)
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (torch.ones(2, 3), torch.ones(4, 4)),
        (torch.ones(2, 3, dtype=torch.int64), torch.ones(3, 4)),
        (torch.ones(2, 3, 1), torch.ones(3, 4)),
        ([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], torch.ones(3, 4)),
    ],
    ids=["shape", "dtype", "axes", "type"],
)
def test_other_arguments_are_refused_after_right_ones(product, a, b):
    multiplied, calls = product
    multiplied(torch.ones(2, 3), torch.ones(3, 4))
    for _ in range(2):
        with pytest.raises(TypeCheckError, match="checking the parameters"):
            multiplied(a, b)
    assert len(calls) == 1


@pytest.mark.parametrize("result", [torch.ones(2, 5), torch.ones(2, 4).long(), (torch.ones(2, 4),)], ids=str)
def test_another_result_is_refused_after_a_right_one_from_the_same_arguments(product, result):
    multiplied, _ = product
    multiplied(torch.ones(2, 3), torch.ones(3, 4), torch.ones(2, 4))
    for _ in range(2):
        with pytest.raises(TypeCheckError):
            multiplied(torch.ones(2, 3), torch.ones(3, 4), result)


def test_a_result_of_the_wrong_shape_is_refused_although_its_arguments_were_seen():
    results = [torch.ones(2), torch.ones(3), torch.ones(2)]

    def same(x: Float[Tensor, "T"]) -> Float[Tensor, "T"]:
        return results.pop(0)

    same = decorate(same)
    same(torch.zeros(2))
    with pytest.raises(TypeCheckError, match="return value"):
        same(torch.zeros(2))
    assert same(torch.zeros(2)).shape == (2,)


def test_what_holds_more_than_its_type_tells_is_checked_each_time():
    def first(xs: dict[str, Float[Tensor, "T"]]) -> int:
        return len(xs)

    first = decorate(first)
    assert first({"a": torch.ones(2)}) == 1
    with pytest.raises(TypeCheckError):
        first({"a": torch.ones(2, 2)})


def test_copies_of_an_inner_function_are_checked_as_the_first_was():
    def made(offset: float):
        def moved(x: Float[Tensor, "T"]) -> Float[Tensor, "T"]:
            return x + offset

        return decorate(moved)

    assert made(1.0)(torch.zeros(2)).tolist() == [1.0, 1.0]
    assert made(2.0)(torch.zeros(2)).tolist() == [2.0, 2.0]
    with pytest.raises(TypeCheckError):
        made(3.0)(torch.zeros(2, 2))


def test_the_functions_of_the_package_are_checked():
    from chainrule.model.attention import explicit_attention

    q, k = torch.ones(1, 2, 3, 4), torch.ones(1, 2, 5, 4)
    explicit_attention(q, k, k)
    with pytest.raises(TypeCheckError):
        explicit_attention(q, k[..., :3], k)
