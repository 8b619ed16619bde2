from chainrule.data import DocumentPart, portions
from chainrule.data.parallel import PORTION_BYTES


def test_portions_keep_all_parts_in_order_and_all_but_the_last_are_full():
    sizes = [0, 10, PORTION_BYTES, 3, PORTION_BYTES - 4, 2, 5, 7]
    parts = [DocumentPart("s", "f", n, b"x" * size, True) for n, size in enumerate(sizes)]
    found = list(portions(parts))
    assert [part.number for portion in found for part in portion] == list(range(len(sizes)))
    amounts = [sum(len(part.content) for part in portion) for portion in found]
    assert len(found) == 3 and min(amounts[:-1]) >= PORTION_BYTES > amounts[-1]
    assert list(portions([])) == []
