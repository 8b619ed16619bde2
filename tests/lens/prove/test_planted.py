"""Every planted fault is found and rightly placed, and its innocent sibling is proved."""

import pytest
from lens.planted_layers import PLANTED

from chainrule.lens import verify


def test_there_are_fifty_two_planted_faults():
    assert len(PLANTED) == 52


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_and_rightly_placed_and_its_innocent_sibling_is_proved(name):
    faulty, innocent, word = PLANTED[name]
    report = verify(*faulty(), coordinates=8)
    assert report.verdict == "wrong", report.summary
    assert word in report.summary
    assert report.place.site is not None or report.place.function_site is not None
    sibling = verify(*innocent(), coordinates=8)
    assert sibling.verdict == "proved", sibling.summary
